/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sockets for DNS, DHCP and the relay. */
#include "listen.h"

#include <errno.h>

#define BACKLOG 4096 /* the kernel cuts it to somaxconn; more SYNs are answered by cookies */

static int set(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on)) < 0 ? -errno : 0;
}

static int prepare(int fd, bool v6, int type, enum net_listen_kind kind, const char *interface)
{
	int r = set(fd, SOL_SOCKET, SO_REUSEADDR);

	if (r == 0 && v6)
		r = set(fd, SOL_IPV6, IPV6_V6ONLY);
	if (r == 0 && kind == NET_LISTEN_TPROXY)
		r = v6 ? set(fd, SOL_IPV6, IPV6_TRANSPARENT) : set(fd, SOL_IP, IP_TRANSPARENT);
	if (r == 0 && kind == NET_LISTEN_TPROXY && type == SOCK_DGRAM)
		r = v6 ? set(fd, SOL_IPV6, IPV6_RECVORIGDSTADDR)
		       : set(fd, SOL_IP, IP_RECVORIGDSTADDR);
	if (r == 0 && kind == NET_LISTEN_BROADCAST)
		r = set(fd, SOL_SOCKET, SO_BROADCAST);
	if (r == 0 && interface &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
		       (socklen_t)strlen(interface) + 1) < 0)
		r = -errno;
	return r;
}

int net_listen(int type, enum net_listen_kind kind, const struct net_addr *addr, uint16_t port,
	       const char *interface, struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t len = net_addr_to_sockaddr(addr, port, &ss);
	_cleanup_close_ int fd = socket(ss.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	char text[NET_ADDR_TEXT_MAX];
	int r = fd < 0 ? -errno : prepare(fd, addr->v6, type, kind, interface);

	if (r == 0 && bind(fd, (struct sockaddr *)&ss, len) < 0)
		r = -errno;
	if (r == 0 && type == SOCK_STREAM && listen(fd, BACKLOG) < 0)
		r = -errno;
	if (r < 0)
		return err_errno(e, r, "cannot serve %s on %s port %u",
				 type == SOCK_STREAM ? "TCP" : "UDP", net_addr_format(addr, text),
				 port);
	return take_fd(&fd);
}
