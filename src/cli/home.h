/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a manager lives, from outside: namespaces here, or a virtual machine; it runs, and ends. */
#ifndef CONTRACTOR_CLI_HOME_H
#define CONTRACTOR_CLI_HOME_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "image/manager-image.h"
#include "launch.h"
#include "nested.h"
#include "qmp/qmp.h"
#include "qmp/state.h"
#include "vm/vm.h"

struct home;

/* What the spec says of I/O, in QEMU's terms. */
enum vm_io home_io(enum spec_io io);

struct home_callbacks {
	/* It has ended by itself: how, fit for a terminal. Once. */
	void (*ended)(const char *text, void *user_data);
	void *user_data;
};

/*
 * Starts contractor-manager in namespaces on this host. *ret_control is our end of its stream,
 * the caller's; so are the files. 0 or a negative errno.
 */
int home_start_single(struct loop *l, const struct launch_files *files, bool debug,
		      const struct home_callbacks *cb, struct home **ret, int *ret_control,
		      struct err *e);

/*
 * Starts a manager VM by the plan, from the image that manager_image_make has opened as image_fd;
 * the files become its disks. Else like the above.
 */
int home_start_nested(struct loop *l, const struct launch_files *files,
		      const struct nested_plan *plan, const struct manager_image *image,
		      int image_fd, const struct home_callbacks *cb, struct home **ret,
		      struct home_ports *ret_ports, struct err *e);

/*
 * Starts a manager VM that waits for its disks, and is held to no processor time and file size
 * before home_limit. Else like the above.
 */
int home_start_waiting(struct loop *l, const struct nested_plan *plan,
		       const struct manager_image *image, int image_fd,
		       const struct home_callbacks *cb, struct home **ret,
		       struct home_ports *ret_ports, struct err *e);

/*
 * Gives a waiting one its disks. How many times fn is called, once for each command that this
 * takes; or a negative errno.
 */
int home_attach(struct home *h, const struct launch_files *files, qmp_reply_fn fn, void *user_data);

/* Holds it to this from now on. 0 or a negative errno. */
int home_limit(struct home *h, uint64_t cpu_time_ms, uint64_t file_size, struct err *e);

/*
 * Takes a manager VM that waits in the user's pool; *ret_memory is what it has. 0; -ENOENT: there
 * is no pool; or a negative errno: none fits, with the reason. Else like home_start_nested.
 */
int home_take(struct loop *l, const struct launch_files *files, const struct nested_plan *plan,
	      const struct manager_image *image, const struct home_callbacks *cb, struct home **ret,
	      struct home_ports *ret_ports, uint64_t *ret_memory, struct err *e);

/*
 * With plan->kept: stops the manager VM and saves its devices' state, or restores it and lets it
 * run. fn is told once. 0 or a negative errno.
 */
int home_save(struct home *h, int state, qmp_state_fn fn, void *user_data);
int home_restore(struct home *h, int state, qmp_state_fn fn, void *user_data);

/* The last bytes of the manager VM's console; NULL in the other home. */
const struct buf *home_console(const struct home *h);

/* Ends it, with all that runs in it, and frees. Accepts NULL; returns NULL. */
struct home *home_free(struct home *h);
CLEANUP_FUNC(home_free, struct home)

#endif
