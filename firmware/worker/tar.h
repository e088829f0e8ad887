/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing a pax archive to stdout, in large pieces. What cannot be written ends the program. */
#ifndef CONTRACTOR_FIRMWARE_TAR_H
#define CONTRACTOR_FIRMWARE_TAR_H

/* Data of a sparse file; between them there are holes. */
struct tar_extent {
	long offset, size;
};

/* Strings are borrowed and need no NUL. */
struct tar_entry {
	char type; /* typeflag: '0' file, '1' hard link, '2' symlink, '3' whiteout, '5' folder */
	const char *path; /* a folder's with a slash at its end */
	const char *link; /* what links lead to */
	long path_len, link_len;
	long mode, size, seconds, nanoseconds;
	const struct tar_extent *extents; /* of a sparse file, in order; else NULL */
	long n_extents;
};

/* Before all others. */
void tar_begin(void);

/*
 * Writes the headers. Where the entry has content (its size, or that of its extents), it must
 * follow, by tar_room and tar_took, and then tar_pad.
 */
void tar_header(const struct tar_entry *e);

/* Where content goes next; *ret_size bytes (1 or more) have room there. */
char *tar_room(long *ret_size);

/* So much of the room is content now. */
void tar_took(long size);

/* Fills up to a whole block. */
void tar_pad(void);

/* The end marker, and all that was not written yet. */
void tar_end(void);

#endif
