/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Descriptors over local sockets (SCM_RIGHTS). */
#ifndef CONTRACTOR_BASE_FDS_H
#define CONTRACTOR_BASE_FDS_H

#include <sys/socket.h>
#include <sys/uio.h>

#define FDS_MAX 8 /* in one message */

/*
 * As sendmsg with these flags and MSG_NOSIGNAL, and n <= FDS_MAX descriptors with the first byte;
 * they stay the caller's. The bytes sent, or a negative errno. Allocates nothing.
 */
ssize_t fds_send(int sock, const struct iovec *iov, size_t n_iov, const int *fds, size_t n,
		 int flags);

/*
 * As recvmsg with these flags (MSG_TRUNC: what a packet was long). fds[0] to fds[n - 1] become what
 * came with it, close-on-exec and the caller's, or -1; any more are closed. The bytes, or a
 * negative errno.
 */
ssize_t fds_receive(int sock, const struct iovec *iov, size_t n_iov, int *fds, size_t n, int flags);

#endif
