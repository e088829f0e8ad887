/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Looking for KVM, and for virtual machines inside its virtual machines. */
#include <fcntl.h>

#include "base/io.h"
#include "isolation.h"
#include "vm/vm.h"

/* "Y" or "1", by the kernel's age. */
static bool says_yes(const char *path)
{
	_cleanup_buf_ struct buf text = {0};

	return io_read_file(AT_FDCWD, path, KIB, &text, NULL) == 0 &&
	       strchr("Yy1", buf_str(&text)[0]) && buf_str(&text)[0];
}

void isolation_probe(const char *arch, struct isolation_facts *ret)
{
	*ret = (struct isolation_facts){0};
	ret->kvm = vm_probe_accel(arch, ret->kvm_why, sizeof(ret->kvm_why)) == VM_ACCEL_KVM;
	ret->nested = says_yes("/sys/module/kvm_intel/parameters/nested") ||
		      says_yes("/sys/module/kvm_amd/parameters/nested");
}
