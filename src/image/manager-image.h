/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manager VM's kernel and initramfs: what goes in, when it is made anew, where it is kept. */
#ifndef CONTRACTOR_IMAGE_MANAGER_IMAGE_H
#define CONTRACTOR_IMAGE_MANAGER_IMAGE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/sha256.h"
#include "manifest.h"

#define MANAGER_IMAGE_FORMAT 1

/* Paths are borrowed for the call. */
struct manager_image_spec {
	const char *arch;	  /* of the workers: x86_64 */
	const char *qemu;	  /* the installed qemu-system-ARCH */
	const char *program;	  /* contractor-manager */
	const char *firmware_dir; /* where manager/init and manager/modules are */
	const char *kernel;	  /* NULL: the distribution's, with its modules */
	const char *modules;	  /* lib/modules/VERSION */
	const char *busybox;	  /* static, for a shell on the console; NULL: no shell */
	const char *cache_dir;	  /* a folder of the user's */
	const char *output;	  /* NULL: into the cache, and only when an input has changed */
	bool fetch;		  /* look for a newer kernel package */
	void (*say)(const char *text, void *user_data); /* what takes long; may be NULL */
	void *user_data;
};

/* One file, [kernel][initramfs], with a manifest PATH.json beside it. Owns its strings. */
struct manager_image {
	char *path;
	char *cmdline; /* kernel parameters that the image needs */
	struct manifest_part kernel, initrd;
	char key[SHA256_HEX_SIZE]; /* over all inputs */
	bool made;		   /* anew, by this call */
};

/*
 * Makes the image, or finds it in the cache: same inputs, same key, same bytes. Two calls at the
 * same time wait for each other; an interrupted one leaves nothing that counts. *ret_fd (may be
 * NULL) gets the image opened read-only. 0 or a negative errno with what to do.
 */
int manager_image_make(const struct manager_image_spec *s, struct manager_image *ret, int *ret_fd,
		       struct err *e);
void manager_image_done(struct manager_image *m);

/* Pure: the manifest's text, malloc'ed; `inputs` has one line for each. NULL: OOM. */
char *manager_image_print(const struct manager_image *m, const char *arch, bool debug,
			  const char *inputs);

/* Pure: the manifest's text, parsed; path and made are left empty. 0 or -EBADMSG. */
int manager_image_parse(const char *text, size_t len, struct manager_image *ret, struct err *e);

#endif
