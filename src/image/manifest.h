/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manifest beside a worker image (worker.img.json): what is in the image and how to boot it. */
#ifndef CONTRACTOR_IMAGE_MANIFEST_H
#define CONTRACTOR_IMAGE_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* A stretch of the image file, in bytes. */
struct manifest_part {
	uint64_t offset, size;
};

/* Owns its strings and arrays. */
struct manifest {
	char *arch;				   /* x86_64, aarch64: QEMU's name */
	char *suite;				   /* bookworm, or "" */
	char *cmdline;				   /* kernel parameters that the image needs */
	char sha256[65];			   /* of the image file */
	uint64_t size;				   /* of the image file */
	struct manifest_part root, kernel, initrd; /* all in the one image file */
	char *root_fs;				   /* ext4; "disk": of firmware boot */
	/*
	 * A stock system's whole disk as `root`, no kernel and no initrd: a copy of it is the
	 * worker's scratch disk, from which the firmware boots, and `seed` goes in beside it.
	 */
	bool firmware;
	struct manifest_part seed;
	bool layers; /* its worker mounts EROFS layers as the workspace, and packs what changed */
	char **packages; /* names of the installed packages, sorted */
	size_t n_packages;
	char **repositories; /* URLs that the package manager in the image uses */
	size_t n_repositories;
};

/*
 * Reads IMAGE.json for the image at `image_path`, opens the image read-only into *ret_fd, and
 * checks each part against the file's size. 0 or a negative errno with a sentence that says what
 * to do ("no manifest beside it; make one with contractor image build").
 */
int manifest_load(const char *image_path, struct manifest **ret, int *ret_fd, struct err *e);

/* The manifest as JSON text for the file, malloc'ed. NULL: OOM. */
char *manifest_print(const struct manifest *m);

/* Parses manifest text (len bytes, NUL behind). 0 or -EBADMSG. */
int manifest_parse(const char *text, size_t len, struct manifest **ret, struct err *e);

struct manifest *manifest_free(struct manifest *m);
CLEANUP_FUNC(manifest_free, struct manifest)

/* True if the package is installed in the image. */
bool manifest_has_package(const struct manifest *m, const char *name);

/* True if a play can be run in it: under one of the names that Ansible's package has had. */
bool manifest_has_ansible(const struct manifest *m);

#endif
