/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding what the manager VM's image is made of. */
#include "manager-home.h"

#include <errno.h>
#include <limits.h>

#include "paths.h"
#include "vm/find.h"

/* The installed QEMU; a worker of another architecture than the host's is not nested yet. */
#define ARCH "x86_64"

int manager_home_image(const struct manager_home_options *o, struct manager_image *ret, int *ret_fd,
		       struct err *e)
{
	_cleanup_free_ char *program = NULL, *firmware = NULL, *cache = NULL, *dir = NULL,
			    *busybox = NULL;
	struct manager_image_spec s = {
		.arch = ARCH,
		.kernel = o->kernel,
		.modules = o->modules,
		.output = o->output,
		.fetch = o->fetch,
		.say = o->say,
		.user_data = o->user_data,
	};
	char qemu[PATH_MAX];
	int r = vm_find_qemu(ARCH, qemu, e);

	if (r == 0)
		r = paths_manager(&program, e);
	if (r == 0)
		r = paths_firmware(&firmware, e);
	if (r == 0)
		r = paths_cache(&cache, e);
	if (r == 0 && o->debug && !(busybox = paths_program("busybox")))
		r = err_set(e, -ENOENT, "busybox is not installed; install busybox-static");
	if (r < 0)
		return r;
	dir = paths_join(cache, "manager");
	if (!dir)
		return err_oom(e);
	s.qemu = qemu;
	s.program = program;
	s.firmware_dir = firmware;
	s.cache_dir = dir;
	s.busybox = busybox;
	return manager_image_make(&s, ret, ret_fd, e);
}
