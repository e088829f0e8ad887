/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Makes files, folders and links below one folder, by one checked component at a time. */
#ifndef CONTRACTOR_ARCHIVE_PLACE_H
#define CONTRACTOR_ARCHIVE_PLACE_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "counted.h"
#include "filter.h"

/*
 * A folder that is open because the last entry was in it or below it. Its time is set when it is
 * left, as each file that is made in it changes it.
 */
struct place_level {
	int fd;
	size_t len; /* of its path; the path is a prefix of place.path */
	struct timespec mtime;
	mode_t mode; /* of the top folder, set at the end */
};

/* The way from the top folder to the last entry's folder. place_init and place_done. */
struct place {
	struct place_level levels[FILTER_DEPTH_MAX + 1];
	size_t n;
	char path[FILTER_PATH_MAX + 1];
	uint64_t implied;	/* folders made without an entry of their own */
	struct counted counted; /* files whose content place_remove takes off; the caller adds */
};

/* Starts at root_fd, which stays the caller's. 0 or a negative errno. */
int place_init(struct place *p, int root_fd);

/* Leaves all folders: sets their times. 0 or a negative errno. */
int place_finish(struct place *p);

/* Closes what is open. */
void place_done(struct place *p);

/*
 * Each makes what the plan says; the path's folders are made where they are missing. 0 or a
 * negative errno: -EEXIST for a path that is taken, -ENOTDIR when the way leads through a file
 * and -ELOOP through a symlink. place_folder gives 1 where the folder was there. place_file gives
 * an open descriptor, the caller's.
 */
int place_folder(struct place *p, const struct filter_plan *plan, const struct timespec *mtime);
int place_file(struct place *p, const struct filter_plan *plan, int *ret_fd);
int place_symlink(struct place *p, const char *path, const char *target,
		  const struct timespec *mtime);

/* The same, as a further name for the file that is open at fd, wherever that is. */
int place_link(struct place *p, const struct filter_plan *plan, int fd);

/* The same; -ENOENT when the target is missing and -EPERM when it is not a regular file. */
int place_hardlink(struct place *p, const struct filter_plan *plan);

/* Removes the symlink at the path, if there is one, and with that target: 1; else 0. */
int place_unlink(struct place *p, const char *path, const char *target);

/*
 * Removes what is at the path, with all below it, and adds what it was to `gone`: entries, and of
 * files in p->counted whose last name it was what they were counted with. 0, or a negative errno:
 * -ENOENT when nothing is there.
 */
int place_remove(struct place *p, const char *path, struct filter_sums *gone);

#endif
