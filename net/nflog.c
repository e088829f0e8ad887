/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The NFLOG socket. */
#include "nflog.h"

#include <errno.h>
#include <netlink/msg.h>
#include <netlink/netfilter/log.h>
#include <netlink/netfilter/log_msg.h>
#include <netlink/netfilter/nfnl.h>
#include <netlink/netlink.h>

#include "link-private.h"

#define COPY_RANGE 128
#define RCVBUF	   (1 << 20)
/* Datagrams read at one go, so that a flood leaves the rest of the loop its turn. */
#define READS_MAX 64
/* Reads of a drain: more than the socket's buffer can hold. */
#define DRAIN_MAX 16384

struct nflog {
	struct nl_sock *sock;
	struct loop_source *source;
	nflog_fn fn;
	void *user_data;
	struct nflog_stats stats;
};

struct nflog *nflog_free(struct nflog *n)
{
	if (!n)
		return NULL;
	(void)loop_remove(n->source);
	nl_socket_free(n->sock);
	free(n);
	return NULL;
}

static int on_message(struct nl_msg *msg, void *user_data)
{
	struct nflog *n = user_data;
	struct nfnl_log_msg *m = NULL;
	struct nflog_raw raw = {0};
	struct attempt what;
	int len = 0, mac_len = 0;

	if (nfnlmsg_log_msg_parse(nlmsg_hdr(msg), &m) < 0) {
		n->stats.broken++;
		return NL_OK;
	}
	raw.payload = nfnl_log_msg_get_payload(m, &len);
	raw.len = raw.payload && len > 0 ? (size_t)len : 0;
	raw.mac = nfnl_log_msg_get_hwaddr(m, &mac_len);
	raw.mac_len = mac_len > 0 ? (size_t)mac_len : 0;
	raw.prefix = nfnl_log_msg_get_prefix(m);
	if (nfnl_log_msg_test_hwproto(m))
		raw.ether_type = ntohs(nfnl_log_msg_get_hwproto(m));
	if (nflog_decode(&raw, &what) < 0) {
		n->stats.broken++;
	} else {
		n->stats.packets++;
		n->fn(&what, n->user_data);
	}
	nfnl_log_msg_put(m);
	return NL_OK;
}

/* Reads at most `reads` datagrams. */
static void read_some(struct nflog *n, int reads)
{
	for (int i = 0; i < reads; i++) {
		int r = nl_recvmsgs_default(n->sock);

		if (r == -NLE_NOMEM) /* ENOBUFS: what came too fast is gone, the rest is there */
			n->stats.lost++;
		else if (r == -NLE_AGAIN)
			return;
	}
}

static void on_ready(struct loop_source *s, uint32_t events, void *user_data)
{
	read_some(user_data, READS_MAX);
}

void nflog_drain(struct nflog *n)
{
	read_some(n, DRAIN_MAX);
}

void nflog_get_stats(const struct nflog *n, struct nflog_stats *ret)
{
	*ret = n->stats;
}

static int bind_group(struct nl_sock *s, uint16_t group)
{
	struct nfnl_log *log = nfnl_log_alloc();
	int r;

	if (!log)
		return -NLE_NOMEM;
	nfnl_log_set_group(log, group);
	nfnl_log_set_copy_mode(log, NFNL_LOG_COPY_PACKET);
	nfnl_log_set_copy_range(log, COPY_RANGE);
	nfnl_log_set_queue_threshold(log, 1);
	r = nfnl_log_create(s, log);
	nfnl_log_put(log);
	return r;
}

int nflog_new(struct loop *l, uint16_t group, nflog_fn fn, void *user_data, struct nflog **ret,
	      struct err *e)
{
	_cleanup_(nflog_free_p) struct nflog *n = calloc(1, sizeof(*n));
	int r;

	if (n)
		n->sock = nl_socket_alloc();
	if (!n || !n->sock)
		return err_oom(e);
	n->fn = fn;
	n->user_data = user_data;
	r = nfnl_connect(n->sock);
	if (r == 0)
		r = bind_group(n->sock, group);
	if (r == 0)
		r = nl_socket_modify_cb(n->sock, NL_CB_VALID, NL_CB_CUSTOM, on_message, n);
	if (r == 0)
		r = nl_socket_set_nonblocking(n->sock);
	if (r < 0)
		return err_set(e, link_errno(r),
			       "NFLOG group %u: %s; is the kernel module nfnetlink_log there?",
			       group, nl_geterror(r));
	nl_socket_disable_seq_check(n->sock);
	/* beyond rmem_max only the initial user namespace may go; the default serves too */
	(void)nl_socket_set_buffer_size(n->sock, RCVBUF, 0);
	r = loop_add_fd(l, nl_socket_get_fd(n->sock), EPOLLIN, on_ready, n, &n->source);
	if (r < 0)
		return err_errno(e, r, "NFLOG in the loop");
	*ret = take_ptr(&n);
	return 0;
}
