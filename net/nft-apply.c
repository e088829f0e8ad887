/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The nf_tables socket: one sendmsg for a batch, one answer for each message of it. */
#include "nft-apply.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/text.h"
#include "nl-read.h"

#define DEADLINE_MS 10000
#define RECV_SIZE   65536
/* An answer takes an skb, which counts for more than its bytes; 2 MiB is enough for 1000. */
#define RCVBUF (2 * MIB)

struct nft_conn {
	struct nl_sock *sock;
	uint32_t seq; /* of dumps; those of a batch are its own */
	uint8_t recv[RECV_SIZE];
};

struct nft_conn *nft_close(struct nft_conn *c)
{
	if (!c)
		return NULL;
	nl_socket_free(c->sock);
	free(c);
	return NULL;
}

int nft_open(struct nft_conn **ret, struct err *e)
{
	_cleanup_(nft_close_p) struct nft_conn *c = calloc(1, sizeof(*c));
	int on = 1, fd, r;

	if (c)
		c->sock = nl_socket_alloc();
	if (!c || !c->sock)
		return err_oom(e);
	r = nl_connect(c->sock, NETLINK_NETFILTER);
	if (r < 0)
		return err_set(e, -EPROTONOSUPPORT,
			       "netlink to nf_tables: %s; is the kernel module"
			       " nfnetlink there?",
			       nl_geterror(r));
	fd = nl_socket_get_fd(c->sock);
	/* older kernels answer without words */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	r = (int)RCVBUF;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &r, sizeof(r)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &r, sizeof(r));
	c->seq = 1U << 30;
	*ret = take_ptr(&c);
	return 0;
}

/* A batch is one datagram: the send buffer must hold it. The kernel doubles what it is told. */
static void grow_sndbuf(int fd, size_t need)
{
	int have = 0, want = (int)need;
	socklen_t len = sizeof(have);

	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &have, &len) == 0 && (size_t)have >= 2 * need)
		return;
	/* FORCE goes over wmem_max, but only the initial user namespace may */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof(want)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &want, sizeof(want));
}

static int send_bytes(struct nft_conn *c, const void *data, size_t len)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct iovec iov = {(void *)data, len};
	struct msghdr mh = {.msg_name = &kernel,
			    .msg_namelen = sizeof(kernel),
			    .msg_iov = &iov,
			    .msg_iovlen = 1};
	ssize_t n;

	do
		n = sendmsg(nl_socket_get_fd(c->sock), &mh, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* The next datagram from the kernel in c->recv: its length, 0 for a stranger's, or an errno. */
static ssize_t receive(struct nft_conn *c, uint64_t until_ms)
{
	struct pollfd p = {.fd = nl_socket_get_fd(c->sock), .events = POLLIN};
	struct sockaddr_nl from = {0};
	struct iovec iov = {c->recv, sizeof(c->recv)};
	struct msghdr mh = {.msg_name = &from,
			    .msg_namelen = sizeof(from),
			    .msg_iov = &iov,
			    .msg_iovlen = 1};
	uint64_t now = io_now_ms();
	ssize_t n;

	if (now >= until_ms || poll(&p, 1, (int)(until_ms - now)) == 0)
		return -ETIMEDOUT;
	n = recvmsg(p.fd, &mh, MSG_DONTWAIT);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	if (mh.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	return from.nl_pid == 0 ? n : 0;
}

/* The kernel's words from an error message: behind struct nlmsgerr, as it came capped. */
static void ext_ack(const struct nl_message *m, char out[256])
{
	struct nl_bytes rest = m->payload, text;

	out[0] = 0;
	if (!(m->flags & NLM_F_ACK_TLVS) || rest.len < sizeof(struct nlmsgerr))
		return;
	if (!(m->flags & NLM_F_CAPPED))
		return;
	rest.p += sizeof(struct nlmsgerr);
	rest.len -= sizeof(struct nlmsgerr);
	if (nl_find_attr(rest, NLMSGERR_ATTR_MSG, &text) && text.len) {
		(void)text_escape_line((const char *)text.p,
				       strnlen((const char *)text.p, text.len), out, 256);
	}
}

/* *left falls with each answer; a refusal ends it. */
static int take_ack(const struct nft_batch *b, const struct nl_message *m, size_t *left,
		    struct err *e)
{
	struct nlmsgerr ne;
	char words[256];

	if (m->type != NLMSG_ERROR)
		return 0;
	if (m->payload.len < sizeof(ne))
		return err_set(e, -EBADMSG, "nf_tables: an answer of %zu bytes", m->payload.len);
	memcpy(&ne, m->payload.p, sizeof(ne));
	if (m->seq == 0 || m->seq > b->n)
		return 0; /* of an earlier batch that was given up */
	if (ne.error == 0) {
		if (b->labels[m->seq - 1].acked && *left)
			--*left;
		return 0;
	}
	ext_ack(m, words);
	/* hostile or not, a positive number is no errno */
	return err_errno(e, ne.error < 0 ? ne.error : -EPROTO, "nf_tables: %s%s%s%s",
			 b->labels[m->seq - 1].what, words[0] ? " (" : "", words,
			 words[0] ? ")" : "");
}

int nft_apply(struct nft_conn *c, const struct nft_batch *b, struct err *e)
{
	uint64_t until = io_now_ms() + DEADLINE_MS;
	size_t left = 0;
	int r;

	for (size_t i = 0; i < b->n; i++)
		left += b->labels[i].acked;
	grow_sndbuf(nl_socket_get_fd(c->sock), b->bytes.len);
	r = send_bytes(c, b->bytes.data, b->bytes.len);
	if (r < 0)
		return err_errno(e, r, "nf_tables: sending %zu messages in %zu bytes", b->n,
				 b->bytes.len);
	while (left) {
		ssize_t n = receive(c, until);
		struct nl_bytes rest = {c->recv, n > 0 ? (size_t)n : 0};
		struct nl_message m;

		if (n < 0)
			return err_errno(e, (int)n, "nf_tables: %zu of %zu answers are missing",
					 left, b->n);
		while ((r = nl_next_message(&rest, &m)) > 0) {
			r = take_ack(b, &m, &left, e);
			if (r < 0)
				return r;
		}
		if (r < 0)
			return err_set(e, r, "nf_tables: an answer is broken");
	}
	return 0;
}

int nft_decode_object(const void *payload, size_t len, struct nft_reading *ret)
{
	struct nl_bytes rest = {payload, len}, name, type, data, v;
	struct nft_reading r = {0};
	bool quota;

	if (len < sizeof(struct nfgenmsg))
		return 0;
	rest.p += sizeof(struct nfgenmsg);
	rest.len -= sizeof(struct nfgenmsg);
	if (!nl_find_attr(rest, NFTA_OBJ_NAME, &name) ||
	    !nl_find_attr(rest, NFTA_OBJ_TYPE, &type) ||
	    !nl_find_attr(rest, NFTA_OBJ_DATA, &data) || !nl_be32(type, &r.type))
		return 0;
	quota = r.type == NFT_OBJECT_QUOTA;
	if ((!quota && r.type != NFT_OBJECT_COUNTER) || name.len == 0 || name.len > sizeof(r.name))
		return 0;
	memcpy(r.name, name.p, name.len);
	r.name[sizeof(r.name) - 1] = 0;
	if (!nl_find_attr(data, quota ? NFTA_QUOTA_CONSUMED : NFTA_COUNTER_BYTES, &v) ||
	    !nl_be64(v, &r.bytes))
		return 0;
	if (!nl_find_attr(data, quota ? NFTA_QUOTA_BYTES : NFTA_COUNTER_PACKETS, &v) ||
	    !nl_be64(v, quota ? &r.limit : &r.packets))
		return 0;
	*ret = r;
	return 1;
}

static int ask_objects(struct nft_conn *c, uint8_t family, const char *table)
{
	struct nfgenmsg g = {family, NFNETLINK_V0, 0};
	struct nl_msg *m = nlmsg_alloc_size(512);
	int r = -ENOMEM;

	c->seq++;
	if (m &&
	    nlmsg_put(m, NL_AUTO_PORT, c->seq, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETOBJ, 0,
		      NLM_F_REQUEST | NLM_F_DUMP) &&
	    nlmsg_append(m, &g, sizeof(g), NLMSG_ALIGNTO) == 0 &&
	    nla_put_string(m, NFTA_OBJ_TABLE, table) == 0)
		r = send_bytes(c, nlmsg_hdr(m), nlmsg_hdr(m)->nlmsg_len);
	nlmsg_free(m);
	return r;
}

/* 1 at the end of the dump, 0 when more is to come, or a negative errno. */
static int take_objects(struct nft_conn *c, struct nl_bytes rest, struct nft_reading *out,
			size_t *n, size_t max)
{
	struct nl_message m;
	int32_t error;
	int r;

	while ((r = nl_next_message(&rest, &m)) > 0) {
		if (m.seq != c->seq)
			continue;
		if (m.type == NLMSG_DONE)
			return 1;
		if (m.type == NLMSG_ERROR) {
			if (m.payload.len < sizeof(error))
				return -EBADMSG;
			memcpy(&error, m.payload.p, sizeof(error));
			return error < 0 ? error : -EPROTO;
		}
		if (*n < max && nft_decode_object(m.payload.p, m.payload.len, &out[*n]))
			++*n;
	}
	return r;
}

int nft_read_objects(struct nft_conn *c, uint8_t family, const char *table, struct nft_reading *ret,
		     size_t max, struct err *e)
{
	uint64_t until = io_now_ms() + DEADLINE_MS;
	size_t n = 0;
	int r;

	r = ask_objects(c, family, table);
	while (r == 0) {
		ssize_t len = receive(c, until);

		r = (int)MIN(len, 0);
		if (len > 0)
			r = take_objects(c, (struct nl_bytes){c->recv, (size_t)len}, ret, &n, max);
	}
	if (r < 0)
		return err_errno(e, r, "nf_tables: reading the counters of table %s", table);
	return (int)n;
}
