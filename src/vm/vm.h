/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One QEMU process: from a description of a machine to a running, sandboxed child with QMP. */
#ifndef CONTRACTOR_VM_VM_H
#define CONTRACTOR_VM_VM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/loop.h"
#include "qmp/qmp.h"

#define VM_DISKS_MAX 8
#define VM_PORTS_MAX 8

enum vm_machine {
	VM_MACHINE_MICROVM, /* x86_64, virtio-mmio */
	VM_MACHINE_Q35,	    /* x86_64, virtio-pci */
	VM_MACHINE_VIRT,    /* aarch64 and others, virtio-pci */
	_VM_MACHINE_MAX,
};

enum vm_accel {
	VM_ACCEL_KVM,
	VM_ACCEL_TCG,
	_VM_ACCEL_MAX,
};

/* QEMU's I/O class, as ionice(1) has it. */
enum vm_io {
	VM_IO_LOW,    /* best effort, level 7 */
	VM_IO_IDLE,   /* idle */
	VM_IO_NORMAL, /* none: as it comes from the nice value */
	_VM_IO_MAX,
};

/* A raw virtio-blk disk on a descriptor of ours: a file, or a disk of this machine. */
struct vm_disk {
	const char *serial; /* root, input, output, scratch */
	int fd;
	bool read_only;
	uint64_t offset, size; /* a stretch of the file; size 0: all of it */
	bool block;	       /* fd is a block device; vm_start finds that out */
};

/* A virtio-serial port on our end of a stream socket (QEMU gets the other end as fd). */
struct vm_port {
	const char *name; /* contractor.ctl, contractor.log */
	int fd;
};

/* What the guest's memory is. */
enum vm_memory {
	VM_MEMORY_OWN,	  /* anonymous, QEMU's own */
	VM_MEMORY_SHARED, /* a file that it writes to: a template is made */
	/* a file that it never writes to: it waits for the state that belongs to it (-incoming) */
	VM_MEMORY_TEMPLATE,
	_VM_MEMORY_MAX,
};

/* The whole machine; pointers are borrowed while vm_argv or vm_start run. */
struct vm_desc {
	const char *arch; /* x86_64 */
	enum vm_machine machine;
	enum vm_accel accel;
	unsigned cpus;
	uint64_t memory;    /* bytes */
	const char *kernel; /* paths as QEMU will see them, or NULL for firmware boot */
	const char *initrd;
	/*
	 * With the words of vm_kernel_parameters (kernel.h). On a microvm Linux needs "reboot=t" in
	 * any case: of its other ways to reboot none works there, and the last of them, a jump to
	 * the BIOS, ran into nowhere in 3 of 14 reboots, for ever.
	 */
	const char *cmdline;
	struct vm_disk disks[VM_DISKS_MAX];
	size_t n_disks;
	struct vm_port ports[VM_PORTS_MAX];
	size_t n_ports;
	int console_fd; /* stream socket for the serial console, or -1 */
	int qmp_fd;	/* stream socket */
	int tap_fd;	/* -1: no network device at all */
	const char *mac;
	uint64_t tb_size; /* bytes for TCG's translated code, 0: QEMU's default */
	/*
	 * TCG, in a machine that is emulated itself: time passes by instructions (16 ns each)
	 * while the guest runs, and as ours while it waits. Its timer ticks else take a third of
	 * a build's processor time (measured), and more on a busy host.
	 */
	bool virtual_clock;
	bool paused;	/* -S */
	unsigned slots; /* for disks that come later: vm_attach */
	enum vm_memory memory_kind;
	int memory_fd; /* of VM_MEMORY_TEMPLATE: best open for reading only */
};

/* An argv that owns its strings, NULL-terminated. */
struct vm_argv {
	char **v;
	size_t n;
};

/*
 * Pure: the command line for a description. Descriptor numbers in it are the description's own.
 * 0, -EINVAL (a description that no QEMU can run, with the reason) or -ENOMEM.
 */
int vm_argv(const struct vm_desc *d, struct vm_argv *ret, struct err *e);
void vm_argv_done(struct vm_argv *a);

/* Kernel and initrd to be laid into QEMU's private root, as stretches of open files. */
struct vm_blob {
	int fd;
	uint64_t offset, size;
};

struct vm_start {
	struct vm_desc
		desc; /* kernel and initrd paths are set by vm_start when the blobs have fds */
	struct vm_blob kernel, initrd; /* fd -1: none */
	uint64_t cpu_time_ms;	       /* RLIMIT_CPU, a quarter and two seconds more; 0: none */
	uint64_t file_size;	       /* RLIMIT_FSIZE; 0: none */
	int nice;
	enum vm_io io;
	int cgroup_fd; /* cgroup.procs of the cgroup for QEMU; 0 or less: none */
	uint64_t qmp_deadline_ms;
};

struct vm;

struct vm_callbacks {
	qmp_event_fn event;					      /* QMP events */
	void (*console)(const char *data, size_t n, void *user_data); /* raw, hostile */
	/* QEMU ended, its last events are delivered; waitpid status; once, last */
	void (*exited)(int status, void *user_data);
	void *user_data;
};

/*
 * Starts QEMU in namespaces and an empty root of its own, with descriptors only. The descriptors in
 * the description stay the caller's; console and QMP sockets are made here (their fds are ignored).
 * A user namespace is made in any case: the caller may be a plain user, the root of a user
 * namespace or the real root, with /proc mounted. 0 or a negative errno with the cause.
 */
int vm_start(struct loop *l, const struct vm_start *s, const struct vm_callbacks *cb,
	     struct vm **ret, struct err *e);

/* Pure: the block node of a disk whose descriptor is in this set, as JSON, malloc'ed; NULL: OOM. */
char *vm_disk_node(const struct vm_disk *disk, size_t set);

#define VM_ATTACH_COMMANDS 3

/*
 * Puts a disk into a slot (from 1) of a running machine; its descriptor stays the caller's. fn is
 * called VM_ATTACH_COMMANDS times, once for each command that this takes. 0 or a negative errno
 * (then fn may have been called for fewer).
 */
int vm_attach(struct vm *v, const struct vm_disk *disk, unsigned slot, uint64_t deadline_ms,
	      qmp_reply_fn fn, void *user_data);

/* The QMP connection, owned by the vm. */
struct qmp *vm_qmp(struct vm *v);
pid_t vm_pid(const struct vm *v);

/* The last bytes of the console (at most 16 KiB kept), as they came. */
const struct buf *vm_console(const struct vm *v);

/*
 * How QEMU ended, as part of a sentence and fit for a terminal: its status, what was wrong with its
 * QMP, and the last line that it wrote to stderr; returns out.
 */
char *vm_end_text(const struct vm *v, char *out, size_t size);

/* SIGKILL, if it still runs; its end is told as any other. Accepts NULL. */
void vm_kill(struct vm *v);

/* SIGKILL and reap; idempotent. Frees, also inside its own callbacks. Accepts NULL; returns NULL.
 */
struct vm *vm_free(struct vm *v);
CLEANUP_FUNC(vm_free, struct vm)

/*
 * VM_ACCEL_KVM if /dev/kvm opens read-write and really makes a virtual machine whose CPU has the
 * features that a stock kernel boots with; else TCG with the reason in why (for the one line).
 */
enum vm_accel vm_probe_accel(const char *arch, char *why, size_t why_size);

#endif
