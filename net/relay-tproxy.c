/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Original destinations as nft's tproxy leaves them: on the sockets themselves. */
#include "relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

static int tcp_destination(int fd, struct sockaddr_storage *ret, void *data)
{
	socklen_t len = sizeof(*ret);

	*ret = (struct sockaddr_storage){0};
	return getsockname(fd, (struct sockaddr *)ret, &len) < 0 ? -errno : 0;
}

static ssize_t udp_receive(int fd, void *buf, size_t size, struct sockaddr_storage *ret_src,
			   struct sockaddr_storage *ret_dst, void *data)
{
	char control[CMSG_SPACE(sizeof(struct sockaddr_in6))] = {0};
	struct iovec iov = {buf, size};
	struct msghdr mh = {.msg_name = ret_src,
			    .msg_namelen = sizeof(*ret_src),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control)};
	ssize_t n;

	*ret_src = *ret_dst = (struct sockaddr_storage){0};
	n = recvmsg(fd, &mh, MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&mh); h; h = CMSG_NXTHDR(&mh, h)) {
		if (h->cmsg_level == SOL_IP && h->cmsg_type == IP_ORIGDSTADDR)
			memcpy(ret_dst, CMSG_DATA(h), sizeof(struct sockaddr_in));
		else if (h->cmsg_level == SOL_IPV6 && h->cmsg_type == IPV6_ORIGDSTADDR)
			memcpy(ret_dst, CMSG_DATA(h), sizeof(struct sockaddr_in6));
	}
	return n;
}

static int udp_flow(const struct sockaddr_storage *src, const struct sockaddr_storage *dst,
		    void *data)
{
	_cleanup_close_ int fd =
		socket(dst->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool v6 = dst->ss_family == AF_INET6;
	socklen_t len = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int on = 1;

	if (fd < 0)
		return -errno;
	/* the address is another's, and several flows of one destination share it */
	if (setsockopt(fd, v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on,
		       sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)dst, len) < 0 ||
	    connect(fd, (const struct sockaddr *)src, len) < 0)
		return -errno;
	return take_fd(&fd);
}

const struct relay_ops relay_tproxy = {
	.tcp_destination = tcp_destination,
	.udp_receive = udp_receive,
	.udp_flow = udp_flow,
};
