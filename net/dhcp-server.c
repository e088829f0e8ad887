/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DHCP in the loop. */
#include "dhcp-server.h"

#include <errno.h>
#include <sys/socket.h>

#define BATCH 16 /* datagrams in one turn of the loop */

struct dhcp_server {
	struct loop_source *source;
	int fd;
	struct dhcp_lease lease;
};

static void on_socket(struct loop_source *src, uint32_t events, void *user_data)
{
	struct dhcp_server *s = user_data;
	uint8_t in[DHCP_MESSAGE_MAX], out[DHCP_REPLY_LEN];
	struct dhcp_message m;
	bool broadcast;

	for (int i = 0; i < BATCH; i++) {
		struct sockaddr_storage to;
		struct net_addr a;
		socklen_t len;
		ssize_t n = recv(s->fd, in, sizeof(in), MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0)
			return;
		if ((size_t)n > sizeof(in) || dhcp_decode(in, (size_t)n, &m) < 0 ||
		    !dhcp_reply(&s->lease, &m, out, &broadcast))
			continue;
		a = net_addr_ip4(broadcast ? INADDR_BROADCAST : s->lease.address);
		len = net_addr_to_sockaddr(&a, DHCP_CLIENT_PORT, &to);
		(void)sendto(s->fd, out, sizeof(out), MSG_DONTWAIT | MSG_NOSIGNAL,
			     (struct sockaddr *)&to, len); /* a lost one is asked for again */
	}
}

int dhcp_server_new(struct loop *l, int fd, const struct dhcp_lease *lease,
		    struct dhcp_server **ret, struct err *e)
{
	struct dhcp_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_oom(e);
	s->fd = fd;
	s->lease = *lease;
	r = loop_add_fd(l, fd, EPOLLIN, on_socket, s, &s->source);
	if (r < 0) {
		free(s);
		return err_errno(e, r, "cannot start the DHCP server");
	}
	*ret = s;
	return 0;
}

struct dhcp_server *dhcp_server_free(struct dhcp_server *s)
{
	if (!s)
		return NULL;
	s->source = loop_remove(s->source);
	free(s);
	return NULL;
}
