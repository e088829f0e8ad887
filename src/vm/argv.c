/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The QEMU command line of a machine description: pure. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#include "vm.h"

#define ARGS_MAX 160

/* Collects arguments; after the first failure the rest are passed over and `r` tells. */
struct builder {
	struct vm_argv a;
	int r;
};

static void add(struct builder *b, const char *fmt, ...) _printf_(2, 3);
static void add(struct builder *b, const char *fmt, ...)
{
	va_list ap;

	if (b->r < 0)
		return;
	if (b->a.n == ARGS_MAX) {
		b->r = -E2BIG;
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&b->a.v[b->a.n], fmt, ap) < 0) {
		b->a.v[b->a.n] = NULL;
		b->r = -ENOMEM;
	} else {
		b->a.n++;
	}
	va_end(ap);
}

void vm_argv_done(struct vm_argv *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i]);
	free(a->v);
	*a = (struct vm_argv){0};
}

/* The suffix of virtio devices on the machine's bus. */
static const char *bus(const struct vm_desc *d)
{
	return d->machine == VM_MACHINE_MICROVM ? "device" : "pci";
}

static void add_machine(struct builder *b, const struct vm_desc *d)
{
	/* without KVM the PIT and PIC of microvm have to stay; ACPI is how Debian's kernel finds
	 * devices */
	static const char *const names[_VM_MACHINE_MAX] = {
		[VM_MACHINE_MICROVM] = "microvm,rtc=on,isa-serial=on,x-option-roms=off",
		[VM_MACHINE_Q35] = "q35,vmport=off,smm=off,sata=off,smbus=off,usb=off,hpet=off",
		[VM_MACHINE_VIRT] = "virt",
	};

	add(b, "-machine");
	add(b, "%s", names[d->machine]);
	add(b, "-accel");
	if (d->accel == VM_ACCEL_KVM)
		add(b, "kvm");
	else if (d->tb_size)
		add(b, "tcg,thread=multi,tb-size=%" PRIu64, (uint64_t)(d->tb_size / MIB));
	else
		add(b, "tcg,thread=multi");
	add(b, "-cpu");
	add(b, "%s", d->accel == VM_ACCEL_KVM ? "host" : "max");
	add(b, "-smp");
	add(b, "%u", d->cpus);
	add(b, "-m");
	add(b, "%" PRIu64 "M", (uint64_t)(d->memory / MIB));
}

static void add_boot(struct builder *b, const struct vm_desc *d)
{
	if (d->kernel) {
		add(b, "-kernel");
		add(b, "%s", d->kernel);
	}
	if (d->initrd) {
		add(b, "-initrd");
		add(b, "%s", d->initrd);
	}
	if (d->kernel && d->cmdline) {
		add(b, "-append");
		add(b, "%s", d->cmdline);
	}
}

/*
 * The descriptor becomes a set, and the set a file name: QEMU opens no path. no-flush: the guest's
 * flushes end in the host's page cache, for nothing on these disks outlives the host.
 */
static void add_disk(struct builder *b, const struct vm_desc *d, size_t i)
{
	const struct vm_disk *k = &d->disks[i];
	const char *ro = k->read_only ? "true" : "false";
	char part[96] = "";

	if (k->size)
		(void)snprintf(part, sizeof(part), ",\"offset\":%" PRIu64 ",\"size\":%" PRIu64,
			       k->offset, k->size);
	add(b, "-add-fd");
	add(b, "fd=%d,set=%zu", k->fd, i);
	add(b, "-blockdev");
	add(b,
	    "{\"driver\":\"raw\",\"node-name\":\"%s\",\"read-only\":%s,\"discard\":\"ignore\","
	    "\"cache\":{\"no-flush\":true}%s,\"file\":{\"driver\":\"file\",\"filename\":"
	    "\"/dev/fdset/%zu\",\"locking\":\"off\",\"read-only\":%s,"
	    "\"cache\":{\"no-flush\":true}}}",
	    k->serial, ro, part, i, ro);
	add(b, "-device");
	add(b, "virtio-blk-%s,drive=%s,serial=%s,werror=stop,rerror=stop", bus(d), k->serial,
	    k->serial);
}

static void add_ports(struct builder *b, const struct vm_desc *d)
{
	if (d->n_ports == 0)
		return;
	add(b, "-device");
	add(b, "virtio-serial-%s", bus(d));
	for (size_t i = 0; i < d->n_ports; i++) {
		add(b, "-chardev");
		add(b, "socket,id=port%zu,fd=%d", i, d->ports[i].fd);
		add(b, "-device");
		add(b, "virtserialport,chardev=port%zu,name=%s", i, d->ports[i].name);
	}
}

static void add_network(struct builder *b, const struct vm_desc *d)
{
	if (d->tap_fd < 0) {
		/* -nodefaults leaves none, and says so to whoever reads the command line */
		add(b, "-nic");
		add(b, "none");
		return;
	}
	add(b, "-netdev");
	add(b, "tap,id=net,fd=%d,vhost=off", d->tap_fd);
	add(b, "-device");
	add(b, "virtio-net-%s,netdev=net,mac=%s%s", bus(d), d->mac,
	    d->machine == VM_MACHINE_MICROVM ? "" : ",romfile=");
}

/* Plain words only: they end up amid commas and JSON. */
static bool is_word(const char *s)
{
	return s && *s && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-._:") == strlen(s);
}

static int check(const struct vm_desc *d, struct err *e)
{
	if (!d->arch || strspn(d->arch, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(d->arch))
		return err_set(e, -EINVAL, "the machine's architecture is no name");
	if (d->machine != VM_MACHINE_VIRT && strcmp(d->arch, "x86_64") != 0)
		return err_set(e, -EINVAL, "machines of type microvm and q35 are x86_64, not %s",
			       d->arch);
	if (d->machine == VM_MACHINE_VIRT && strcmp(d->arch, "x86_64") == 0)
		return err_set(e, -EINVAL, "x86_64 has no machine of type virt");
	if (d->machine == VM_MACHINE_MICROVM && !d->kernel)
		return err_set(
			e, -EINVAL,
			"no kernel in the image's manifest, and microvm has no firmware boot; "
			"use --machine q35");
	if (d->cpus < 1 || d->memory < MIB || d->n_disks > VM_DISKS_MAX ||
	    d->n_ports > VM_PORTS_MAX)
		return err_set(e, -EINVAL, "the machine has no CPU, no memory or too many devices");
	for (size_t i = 0; i < d->n_disks; i++) {
		/* virtio-blk serials have 20 bytes */
		if (!is_word(d->disks[i].serial) || strlen(d->disks[i].serial) > 20)
			return err_set(e, -EINVAL, "disk %zu has no usable serial", i);
		if (d->disks[i].size % 512 || d->disks[i].offset % 512)
			return err_set(e, -EINVAL, "the %s disk is not of whole 512-byte sectors",
				       d->disks[i].serial);
	}
	for (size_t i = 0; i < d->n_ports; i++) {
		if (!is_word(d->ports[i].name))
			return err_set(e, -EINVAL, "port %zu has no usable name", i);
	}
	if (d->tap_fd >= 0 && !is_word(d->mac))
		return err_set(e, -EINVAL, "the network device has no MAC address");
	return 0;
}

int vm_argv(const struct vm_desc *d, struct vm_argv *ret, struct err *e)
{
	struct builder b = {0};
	int r = check(d, e);

	if (r < 0)
		return r;
	b.a.v = calloc(ARGS_MAX + 1, sizeof(*b.a.v));
	if (!b.a.v)
		return err_oom(e);
	add(&b, "qemu-system-%s", d->arch);
	add(&b, "-nodefaults");
	add(&b, "-no-user-config");
	add(&b, "-display");
	add(&b, "none");
	add(&b, "-sandbox");
	add(&b, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	/* an ended guest leaves QEMU paused, for a last look at its counters */
	add(&b, "-action");
	add(&b, "reboot=shutdown,shutdown=pause,panic=pause");
	add_machine(&b, d);
	add_boot(&b, d);
	if (d->paused)
		add(&b, "-S");
	add(&b, "-chardev");
	add(&b, "socket,id=qmp,fd=%d", d->qmp_fd);
	add(&b, "-mon");
	add(&b, "chardev=qmp,mode=control");
	if (d->console_fd >= 0) {
		add(&b, "-chardev");
		add(&b, "socket,id=console,fd=%d", d->console_fd);
		add(&b, "-serial");
		add(&b, "chardev:console");
	}
	for (size_t i = 0; i < d->n_disks; i++)
		add_disk(&b, d, i);
	add_ports(&b, d);
	add_network(&b, d);
	add(&b, "-object");
	add(&b, "rng-builtin,id=rng");
	add(&b, "-device");
	add(&b, "virtio-rng-%s,rng=rng", bus(d));
	if (b.r < 0) {
		vm_argv_done(&b.a);
		return err_errno(e, b.r, "QEMU's command line");
	}
	*ret = b.a;
	return 0;
}
