/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Managers that wait: booted manager VMs, each for one build, behind a socket of the user's. */
#ifndef CONTRACTOR_CLI_POOL_H
#define CONTRACTOR_CLI_POOL_H

#include "base/json.h"
#include "home.h"

#define POOL_MAX	 16
#define POOL_IDLE_MS	 3600000 /* without a build, the default */
#define POOL_MESSAGE_MAX 65536
#define POOL_TAKE_MS	 20000 /* for a waiting manager to get its disks */
#define POOL_SOCKET	 "managers.sock"
#define POOL_LOCK	 "managers.lock"

/*
 * What is said over the socket (SOCK_SEQPACKET), a letter and what belongs to it:
 *
 *	T {...} and descriptors		a build wants a manager: its walls, and its disks (4, or 5
 *					with a layer)
 *	G and 2 descriptors		it has one: the manager's stream, the dialer's
 *	N text				it has none, and why
 *	E text				the manager VM that was given has ended: how
 *	C bytes				before that, its console's last ones
 *	S				what is there?
 *	I {...}				that
 *	X				end: those that wait at once, then those that work
 *
 * A client that closes the socket gives its manager up, which is then killed.
 */
enum pool_word {
	POOL_TAKE = 'T',
	POOL_GIVEN = 'G',
	POOL_NONE = 'N',
	POOL_ENDED = 'E',
	POOL_CONSOLE = 'C',
	POOL_STATUS = 'S',
	POOL_INFO = 'I',
	POOL_STOP = 'X',
};

/* The socket of this user's pool: its path, malloc'ed, its folder made. 0 or a negative errno. */
int pool_path(const char *name, char **ret, struct err *e);

/* Sends one word with what belongs to it. 0 or a negative errno. */
int pool_send(int fd, enum pool_word word, const void *data, size_t len, const int *fds,
	      size_t n_fds);

/*
 * Receives one into data (of POOL_MESSAGE_MAX + 1 bytes, NUL-terminated) and up to n_fds
 * descriptors, of which those that did not come are -1. Its length without the letter, or a
 * negative errno: -EPIPE at the end, -EAGAIN.
 */
ssize_t pool_receive(int fd, enum pool_word *ret_word, char *data, int *fds, size_t n_fds);

/* A socket to the pool; -ENOENT: there is none, or nobody serves it. Else a negative errno. */
int pool_connect(struct err *e);

/*
 * Takes a waiting manager for a build by this plan, made from the image at that path; *ret_memory
 * is what its VM has. The socket, which is to be kept, or a negative errno: -ENOENT without a pool,
 * -EBUSY with the reason when none fits.
 */
int pool_take(const struct launch_files *files, const struct nested_plan *plan, const char *image,
	      struct home_ports *ret_ports, uint64_t *ret_memory, struct err *e);

struct pool_options {
	unsigned n;
	uint64_t idle_ms;
	struct nested_plan plan;
	const struct manager_image *image;
	int image_fd;
	const char *path; /* of the socket: removed when the pool takes no more builds */
};

/*
 * Serves the listening socket until told to stop, or nothing was asked for the idle time; that and
 * the lock are closed when it takes no more builds, so that another can begin. `ready` is called
 * once: with NULL when all managers wait, or with what is wrong. 0 or a negative errno.
 */
int pool_serve(int consume_listener, int consume_lock, const struct pool_options *o,
	       void (*ready)(const char *error, void *user_data), void *user_data, struct err *e);

#endif
