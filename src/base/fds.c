/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Control messages with descriptors. */
#include "fds.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

union control {
	char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

ssize_t fds_send(int sock, const struct iovec *iov, size_t n_iov, const int *fds, size_t n,
		 int flags)
{
	union control control = {.room = {0}};
	struct msghdr mh = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n_iov};
	ssize_t sent;

	if (n > FDS_MAX)
		return -E2BIG;
	if (n > 0) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, n * sizeof(int));
		mh.msg_control = control.room;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	sent = sendmsg(sock, &mh, flags | MSG_NOSIGNAL);
	return sent < 0 ? -errno : sent;
}

/* Puts the descriptors of one control message behind the `got` that are there; how many then. */
static size_t take(const struct cmsghdr *h, int *fds, size_t n, size_t got)
{
	for (size_t i = 0; i < (h->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
		int one;

		memcpy(&one, CMSG_DATA(h) + i * sizeof(int), sizeof(one));
		if (got < n)
			fds[got++] = one;
		else
			(void)close(one);
	}
	return got;
}

ssize_t fds_receive(int sock, const struct iovec *iov, size_t n_iov, int *fds, size_t n, int flags)
{
	union control control;
	struct msghdr mh = {.msg_iov = (struct iovec *)iov,
			    .msg_iovlen = n_iov,
			    .msg_control = control.room,
			    .msg_controllen = sizeof(control.room)};
	ssize_t bytes;
	size_t got = 0;

	for (size_t i = 0; i < n; i++)
		fds[i] = -1;
	bytes = recvmsg(sock, &mh, flags | MSG_CMSG_CLOEXEC);
	if (bytes < 0)
		return -errno;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&mh); h; h = CMSG_NXTHDR(&mh, h)) {
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
			got = take(h, fds, n, got);
	}
	return bytes;
}
