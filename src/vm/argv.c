/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The QEMU command line of a machine: a pure function, descriptors and no paths of the host. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#include "memory.h"
#include "vm.h"

#define MICROVM_DEVICES_MAX 8 /* virtio-mmio slots */
#define CPUS_MAX	    255
#define MEMORY_MIN	    (64 * MIB)
#define NAME_MAX_LEN	    20 /* virtio-blk's serial; a node name may have 31 */

#define SANDBOX "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

/*
 * Each way that a guest can end gives a SHUTDOWN event with its reason (guest-reset,
 * guest-shutdown, guest-panic), and QEMU stays, stopped, for the last look at its counters.
 * panic=shutdown would not do: with shutdown=pause it pauses without that event.
 */
#define ACTION "reboot=shutdown,shutdown=pause,panic=exit-failure"

static const char *const machine_args[_VM_MACHINE_MAX] = {
	[VM_MACHINE_MICROVM] = "microvm,acpi=on,rtc=on,isa-serial=on,x-option-roms=off,"
			       "auto-kernel-cmdline=off,mem-merge=off,dump-guest-core=off",
	[VM_MACHINE_Q35] = "q35,vmport=off,smm=off,sata=off,smbus=off,i8042=off,usb=off,hpet=off,"
			   "graphics=off,mem-merge=off,dump-guest-core=off",
	[VM_MACHINE_VIRT] = "virt,mem-merge=off,dump-guest-core=off",
};

/* Appends words until it has failed once; the caller looks at r at the end. */
struct builder {
	struct vm_argv a;
	size_t size;
	int r;
	bool mmio;
};

static void add_owned(struct builder *b, char *consume_word)
{
	if (b->r == 0 && b->a.n + 1 >= b->size) {
		size_t size = b->size ? b->size * 2 : 64;
		char **v = realloc(b->a.v, size * sizeof(*v));

		if (v) {
			b->a.v = v;
			b->size = size;
		} else {
			b->r = -ENOMEM;
		}
	}
	if (!consume_word)
		b->r = -ENOMEM;
	if (b->r < 0) {
		free(consume_word);
		return;
	}
	b->a.v[b->a.n++] = consume_word;
	b->a.v[b->a.n] = NULL;
}

static void add(struct builder *b, const char *word)
{
	add_owned(b, strdup(word));
}

/* An option and its formatted value. */
static void add_opt(struct builder *b, const char *opt, const char *fmt, ...) _printf_(3, 4);
static void add_opt(struct builder *b, const char *opt, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	add(b, opt);
	add_owned(b, n < 0 ? NULL : text);
}

/* A letter, then letters, digits, dots and dashes: fit for an id, a node name, JSON, an option. */
static bool is_name(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	if (n == 0 || n > NAME_MAX_LEN || strchr("-._0123456789", s[0]))
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == n;
}

static bool is_mac(const char *s)
{
	if (!s || strlen(s) != 17)
		return false;
	for (int i = 0; i < 17; i++) {
		if (i % 3 == 2 ? s[i] != ':' : !strchr("0123456789abcdefABCDEF", s[i]))
			return false;
	}
	return true;
}

static int check_disks(const struct vm_desc *d, struct err *e)
{
	if (d->n_disks > VM_DISKS_MAX)
		return err_set(e, -EINVAL, "a worker has at most %d disks", VM_DISKS_MAX);
	for (size_t i = 0; i < d->n_disks; i++) {
		const struct vm_disk *disk = &d->disks[i];

		if (!is_name(disk->serial))
			return err_set(e, -EINVAL,
				       "disk %zu: its serial is no name of 1 to %d "
				       "letters, digits, dots and dashes",
				       i, NAME_MAX_LEN);
		if (disk->fd < 0)
			return err_set(e, -EINVAL, "disk %s: no descriptor", disk->serial);
		if (disk->offset % 512 || disk->size % 512)
			return err_set(e, -EINVAL, "disk %s: not in whole sectors of 512 bytes",
				       disk->serial);
		if (disk->offset && !disk->size)
			return err_set(e, -EINVAL, "disk %s: an offset without a size",
				       disk->serial);
		for (size_t j = 0; j < i; j++) {
			if (strcmp(disk->serial, d->disks[j].serial) == 0)
				return err_set(e, -EINVAL, "two disks are called %s", disk->serial);
		}
	}
	return 0;
}

static int check_ports(const struct vm_desc *d, struct err *e)
{
	if (d->n_ports > VM_PORTS_MAX)
		return err_set(e, -EINVAL, "a worker has at most %d serial ports", VM_PORTS_MAX);
	for (size_t i = 0; i < d->n_ports; i++) {
		if (!is_name(d->ports[i].name))
			return err_set(e, -EINVAL,
				       "serial port %zu: its name is no name of 1 to "
				       "%d letters, digits, dots and dashes",
				       i, NAME_MAX_LEN);
		if (d->ports[i].fd < 0)
			return err_set(e, -EINVAL, "serial port %s: no descriptor",
				       d->ports[i].name);
	}
	return 0;
}

static int check_machine(const struct vm_desc *d, struct err *e)
{
	bool x86 = d->arch && strcmp(d->arch, "x86_64") == 0;
	/* the random number source, and the controller of the ports */
	size_t virtio = d->n_disks + 1 + (d->n_ports > 0) + (d->tap_fd >= 0);

	if (!d->arch || strlen(d->arch) > NAME_MAX_LEN ||
	    strspn(d->arch, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(d->arch))
		return err_set(e, -EINVAL, "no architecture by QEMU's name (x86_64, aarch64)");
	if (d->machine >= _VM_MACHINE_MAX || d->accel >= _VM_ACCEL_MAX)
		return err_set(e, -EINVAL, "no machine type or accelerator of ours");
	if (x86 != (d->machine != VM_MACHINE_VIRT))
		return err_set(e, -EINVAL, "machine type %.*s does not fit architecture %s",
			       (int)strcspn(machine_args[d->machine], ","),
			       machine_args[d->machine], d->arch);
	if (d->cpus < 1 || d->cpus > CPUS_MAX)
		return err_set(e, -EINVAL, "%u processors, but 1 to %d are possible", d->cpus,
			       CPUS_MAX);
	if (d->slots && d->machine == VM_MACHINE_MICROVM)
		return err_set(e, -EINVAL, "machine type microvm has no slots for disks");
	if (d->memory < MEMORY_MIN)
		return err_set(e, -EINVAL, "less than %llu MiB of memory", MEMORY_MIN / MIB);
	if (!d->kernel && (d->initrd || d->cmdline))
		return err_set(e, -EINVAL, "an initrd or a command line, but no kernel");
	if (!d->kernel && d->machine == VM_MACHINE_MICROVM && d->memory_kind != VM_MEMORY_TEMPLATE)
		return err_set(e, -EINVAL,
			       "no kernel, and machine type microvm cannot boot by "
			       "firmware; use machine type q35");
	if (d->machine == VM_MACHINE_MICROVM && virtio > MICROVM_DEVICES_MAX)
		return err_set(e, -EINVAL, "%zu devices, but machine type microvm has room for %d",
			       virtio, MICROVM_DEVICES_MAX);
	if (d->memory_kind >= _VM_MEMORY_MAX || (d->memory_kind && d->memory_fd < 0))
		return err_set(e, -EINVAL, "no file for the memory");
	if (d->qmp_fd < 0)
		return err_set(e, -EINVAL, "no QMP socket");
	if (d->tap_fd >= 0 && !is_mac(d->mac))
		return err_set(e, -EINVAL, "a network without a MAC address");
	return 0;
}

/*
 * Under TCG: what distributions ask for (x86-64-v2), and no more. Measured with gcc, tar and
 * sha256sum, in seconds of QEMU's CPU time: this 10, max 12 to 15, Nehalem 14, Haswell 15 (Linux
 * takes the meltdown measures on what says it is Intel's). NULL: QEMU's own choice.
 */
static const char *cpu_model(const struct vm_desc *d)
{
	if (d->accel == VM_ACCEL_KVM)
		return "host";
	if (strcmp(d->arch, "x86_64") == 0)
		return "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand,-svm";
	if (strcmp(d->arch, "aarch64") == 0)
		return "cortex-a72";
	return NULL;
}

static void add_machine(struct builder *b, const struct vm_desc *d)
{
	const char *cpu = cpu_model(d);

	add(b, "-nodefaults");
	add(b, "-no-user-config");
	add_opt(b, "-display", "none");
	add_opt(b, "-sandbox", SANDBOX);
	add_opt(b, "-action", ACTION);
	add_opt(b, "-machine", "%s%s", machine_args[d->machine],
		d->memory_kind == VM_MEMORY_OWN ? "" : ",memory-backend=ram");
	if (d->memory_kind != VM_MEMORY_OWN)
		add_opt(b, "-object",
			"memory-backend-file,id=ram,mem-path=" VM_MEMORY_PATH ",size=%" PRIu64
			"M,share=%s",
			d->memory / (uint64_t)MIB,
			d->memory_kind == VM_MEMORY_SHARED ? "on" : "off");
	if (d->memory_kind == VM_MEMORY_TEMPLATE)
		add_opt(b, "-incoming", "defer");
	if (d->accel == VM_ACCEL_KVM)
		add_opt(b, "-accel", "kvm");
	else if (d->tb_size)
		add_opt(b, "-accel", "tcg,tb-size=%" PRIu64,
			MAX(d->tb_size / (uint64_t)MIB, (uint64_t)1));
	else
		add_opt(b, "-accel", "tcg");
	if (d->virtual_clock && d->accel == VM_ACCEL_TCG)
		add_opt(b, "-icount", "shift=4");
	if (cpu)
		add_opt(b, "-cpu", "%s", cpu);
	add_opt(b, "-smp", "%u", d->cpus);
	add_opt(b, "-m", "%" PRIu64 "M", d->memory / (uint64_t)MIB);
	if (d->paused)
		add(b, "-S");
}

static void add_kernel(struct builder *b, const struct vm_desc *d)
{
	if (!d->kernel)
		return;
	add_opt(b, "-kernel", "%s", d->kernel);
	if (d->initrd)
		add_opt(b, "-initrd", "%s", d->initrd);
	if (d->cmdline)
		add_opt(b, "-append", "%s", d->cmdline);
}

/* A virtio device on the machine's bus; PCI ones speak virtio 1 only, as the mmio ones do. */
#define add_virtio(b, kind, fmt, ...)                   \
	add_opt(b, "-device", "virtio-" kind "-%s" fmt, \
		(b)->mmio ? "device" : "pci,disable-legacy=on", __VA_ARGS__)

/*
 * Two nodes a disk: the descriptor, and the stretch of it that is the disk, named by the serial.
 * Nothing is ever flushed to the host's disk: who reads it after QEMU reads the same page cache,
 * and none of it outlives the build. Discards are ignored: how much of the scratch disk's file is
 * allocated is then a mark that the guest can raise and never lower. What is a disk here is a file
 * to the machine around this one, whose page cache is enough.
 */
char *vm_disk_node(const struct vm_disk *disk, size_t set)
{
	const char *ro = disk->read_only ? "true" : "false";
	const char *driver = disk->block ? "host_device" : "file";
	const char *direct = disk->block ? "\"direct\":true," : "";
	char stretch[80] = "", *text;

	if (disk->size)
		(void)snprintf(stretch, sizeof(stretch),
			       "\"offset\":%" PRIu64 ",\"size\":%" PRIu64 ",", disk->offset,
			       disk->size);
	if (asprintf(&text,
		     "{\"driver\":\"raw\",\"node-name\":\"%s\",%s\"read-only\":%s,\"discard\":"
		     "\"ignore\","
		     "\"cache\":{%s\"no-flush\":true},\"file\":{\"driver\":\"%s\","
		     "\"node-name\":\"%s-file\",\"filename\":\"/dev/fdset/%zu\",\"read-only\":%s,"
		     "\"discard\":\"ignore\",\"locking\":\"off\","
		     "\"cache\":{%s\"no-flush\":true}}}",
		     disk->serial, stretch, ro, direct, driver, disk->serial, set, ro, direct) < 0)
		return NULL;
	return text;
}

static void add_disk(struct builder *b, const struct vm_disk *disk, size_t set, bool boot)
{
	add_opt(b, "-add-fd", "fd=%d,set=%zu,opaque=%s", disk->fd, set, disk->serial);
	add(b, "-blockdev");
	add_owned(b, vm_disk_node(disk, set));
	add_virtio(b, "blk", ",id=%s-disk,drive=%s,serial=%s,werror=stop,rerror=stop%s",
		   disk->serial, disk->serial, disk->serial, boot ? ",bootindex=0" : "");
}

/* Where disks can be put in while the machine runs. */
static void add_slots(struct builder *b, unsigned n)
{
	for (unsigned i = 1; i <= n; i++)
		add_opt(b, "-device", "pcie-root-port,id=slot%u,chassis=%u", i, i);
}

static void add_chardev(struct builder *b, const char *id, int fd)
{
	add_opt(b, "-chardev", "socket,id=%s,fd=%d", id, fd);
}

static void add_ports(struct builder *b, const struct vm_desc *d)
{
	if (d->n_ports == 0)
		return;
	add_virtio(b, "serial", ",id=ports,max_ports=%zu", d->n_ports + 1);
	for (size_t i = 0; i < d->n_ports; i++) {
		char id[16];

		/* number 0 is the virtio console's */
		(void)snprintf(id, sizeof(id), "port%zu", i + 1);
		add_chardev(b, id, d->ports[i].fd);
		add_opt(b, "-device", "virtserialport,bus=ports.0,nr=%zu,chardev=%s,name=%s", i + 1,
			id, d->ports[i].name);
	}
}

static void add_devices(struct builder *b, const struct vm_desc *d)
{
	if (b->mmio)
		add_opt(b, "-global", "virtio-mmio.force-legacy=off");
	add_chardev(b, "qmp", d->qmp_fd);
	add_opt(b, "-mon", "chardev=qmp,mode=control");
	if (d->console_fd >= 0) {
		add_chardev(b, "console", d->console_fd);
		add_opt(b, "-serial", "chardev:console");
	}
	add_opt(b, "-device", b->mmio ? "pvpanic" : "pvpanic-pci");
	add_opt(b, "-object", "rng-builtin,id=rng");
	add_virtio(b, "rng", ",rng=%s", "rng");
	add_slots(b, d->slots);
	for (size_t i = 0; i < d->n_disks; i++)
		add_disk(b, &d->disks[i], i + 1,
			 !d->kernel && i == 0 && d->memory_kind != VM_MEMORY_TEMPLATE);
	add_ports(b, d);
	if (d->tap_fd >= 0) {
		add_opt(b, "-netdev", "tap,id=net,fd=%d,vhost=off", d->tap_fd);
		add_virtio(b, "net", ",netdev=net,mac=%s%s", d->mac, b->mmio ? "" : ",romfile=");
	}
}

int vm_argv(const struct vm_desc *d, struct vm_argv *ret, struct err *e)
{
	struct builder b = {.mmio = d->machine == VM_MACHINE_MICROVM};
	char name[64];
	int r = check_machine(d, e);

	if (r == 0)
		r = check_disks(d, e);
	if (r == 0)
		r = check_ports(d, e);
	if (r < 0)
		return r;
	(void)snprintf(name, sizeof(name), "qemu-system-%s", d->arch);
	add(&b, name);
	add_machine(&b, d);
	add_kernel(&b, d);
	add_devices(&b, d);
	if (b.r < 0) {
		vm_argv_done(&b.a);
		return err_oom(e);
	}
	*ret = b.a;
	return 0;
}

void vm_argv_done(struct vm_argv *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i]);
	free(a->v);
	memset(a, 0, sizeof(*a));
}
