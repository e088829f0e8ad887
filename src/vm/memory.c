/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guest's memory by descriptor: QEMU's open() of it is answered from outside. */
/*
 * memory-backend-file takes a path, opens it O_RDWR even for a private mapping (7.2; with
 * readonly=on the guest's RAM would be ROM), and knows no descriptor set. A bind mount would need
 * the path in every mount namespace on the way, and would let a QEMU that is taken over write to
 * the memory that later machines start from. So the filter of its system calls (filter.c) stops
 * exactly this open, and we put a descriptor of our choice in its place (seccomp_unotify(2)).
 */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fds.h"
#include "base/macro.h"

int vm_memory_send(int socket_fd, int listener)
{
	char byte = 0;
	ssize_t r = fds_send(socket_fd, &(struct iovec){&byte, 1}, 1, &listener, 1, 0);

	return r < 0 ? (int)r : 0;
}

int vm_memory_take(int socket_fd)
{
	char byte;
	int listener;
	ssize_t r =
		fds_receive(socket_fd, &(struct iovec){&byte, 1}, 1, &listener, 1, MSG_DONTWAIT);

	if (r < 0)
		return (int)r;
	return listener < 0 ? -EBADMSG : listener;
}

int vm_memory_answer(int listener, int fd)
{
	/* a later kernel may know longer ones, and writes all of its own */
	union {
		struct seccomp_notif v;
		char room[512];
	} call = {.room = {0}};
	union {
		struct seccomp_notif_resp v;
		char room[512];
	} answer = {.room = {0}};
	struct seccomp_notif_addfd add = {0};
	int n;

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call.v) < 0)
		return -errno;
	add.id = call.v.id;
	add.srcfd = (uint32_t)fd;
	add.newfd_flags = O_CLOEXEC;
	n = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	answer.v.id = call.v.id;
	if (n < 0)
		answer.v.error = -errno;
	else
		answer.v.val = n;
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer.v) < 0)
		return -errno;
	return n < 0 ? answer.v.error : 0;
}
