/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The worker's interfaces: tap, bridge, address, neighbour, routes. */
#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <sys/ioctl.h>

#include "base/buf.h"
#include "base/io.h"
#include "link-private.h"
#include "ruleset.h"

#define LINK_MSG_ROOM 1024

int link_errno(int nle)
{
	static const struct {
		int nle, no;
	} map[] = {
		{NLE_INTR, EINTR},   {NLE_AGAIN, EAGAIN},	 {NLE_NOMEM, ENOMEM},
		{NLE_EXIST, EEXIST}, {NLE_INVAL, EINVAL},	 {NLE_RANGE, ERANGE},
		{NLE_BUSY, EBUSY},   {NLE_OBJ_NOTFOUND, ENOENT}, {NLE_NOACCESS, EACCES},
		{NLE_PERM, EPERM},   {NLE_NODEV, ENODEV},	 {NLE_OPNOTSUPP, EOPNOTSUPP},
	};

	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		if (map[i].nle == -nle)
			return -map[i].no;
	}
	return nle < 0 ? -EIO : 0;
}

struct nl_sock *link_connect(struct err *e)
{
	struct nl_sock *s = nl_socket_alloc();
	int r = s ? nl_connect(s, NETLINK_ROUTE) : -NLE_NOMEM;

	if (r == 0)
		return s;
	(void)err_set(e, link_errno(r), "netlink to the kernel's network: %s", nl_geterror(r));
	nl_socket_free(s);
	return NULL;
}

int link_open_tap(const char *name, struct err *e)
{
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq req = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int r = -errno;

	if (fd < 0 && (r == -EACCES || r == -EPERM))
		return err_set(e, r,
			       "/dev/net/tun: permission denied; as root run chmod 0666"
			       " /dev/net/tun, or add a udev rule that does");
	if (fd < 0)
		return err_errno(e, r, "/dev/net/tun: is the kernel module tun there?");
	if (strlen(name) >= sizeof(req.ifr_name))
		return err_set(e, -EINVAL, "%s: too long for an interface", name);
	memcpy(req.ifr_name, name, strlen(name));
	if (ioctl(fd, TUNSETIFF, &req) < 0)
		return err_errno(e, -errno, "/dev/net/tun: making interface %s", name);
	return take_fd(&fd);
}

/* A message about the interface of that name; NULL for want of memory. */
static struct nl_msg *link_msg(int type, int flags, const char *name, unsigned up)
{
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC, .ifi_flags = up, .ifi_change = up};
	struct nl_msg *m = nlmsg_alloc_size(LINK_MSG_ROOM);

	if (m && nlmsg_put(m, NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, NLM_F_REQUEST | flags) &&
	    nlmsg_append(m, &ifi, sizeof(ifi), NLMSG_ALIGNTO) == 0 &&
	    nla_put_string(m, IFLA_IFNAME, name) == 0)
		return m;
	nlmsg_free(m);
	return NULL;
}

/* Sends, waits for the answer, frees the message (NULL: no memory). */
static int send_msg(struct nl_sock *s, struct nl_msg *consume_m, const char *what, const char *name,
		    struct err *e)
{
	int r;

	if (!consume_m)
		return err_oom(e);
	r = nl_send_sync(s, consume_m);
	return r < 0 ? err_set(e, link_errno(r), "%s %s: %s", what, name, nl_geterror(r)) : 0;
}

/* Without IPv6 addresses: the kernel then says and answers nothing by IPv6. */
static int put_no_ipv6(struct nl_msg *m)
{
	struct nlattr *spec = nla_nest_start(m, IFLA_AF_SPEC), *inet6;

	inet6 = spec ? nla_nest_start(m, AF_INET6) : NULL;
	if (!inet6 || nla_put_u8(m, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE) < 0)
		return -ENOMEM;
	nla_nest_end(m, inet6);
	nla_nest_end(m, spec);
	return 0;
}

/* A bridge that keeps no state which the worker could fill: no spanning tree, no snooping. */
static int put_bridge(struct nl_msg *m, const struct link_config *c)
{
	struct nlattr *info, *data;

	if (nla_put(m, IFLA_ADDRESS, 6, c->host_mac) < 0)
		return -ENOMEM;
	info = nla_nest_start(m, IFLA_LINKINFO);
	if (!info || nla_put_string(m, IFLA_INFO_KIND, "bridge") < 0)
		return -ENOMEM;
	data = nla_nest_start(m, IFLA_INFO_DATA);
	if (!data || nla_put_u32(m, IFLA_BR_STP_STATE, 0) < 0 ||
	    nla_put_u8(m, IFLA_BR_MCAST_SNOOPING, 0) < 0)
		return -ENOMEM;
	nla_nest_end(m, data);
	nla_nest_end(m, info);
	return 0;
}

static int make_bridge(struct nl_sock *s, const struct link_config *c, struct err *e)
{
	struct nl_msg *m = link_msg(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, c->bridge, 0);

	if (m && put_bridge(m, c) < 0) {
		nlmsg_free(m);
		m = NULL;
	}
	return send_msg(s, m, "making bridge", c->bridge, e);
}

/* The bridge learns no addresses from its port: the worker could send from millions. */
static int put_port(struct nl_msg *m)
{
	struct nlattr *info = nla_nest_start(m, IFLA_LINKINFO), *data;

	if (!info || nla_put_string(m, IFLA_INFO_SLAVE_KIND, "bridge") < 0)
		return -ENOMEM;
	data = nla_nest_start(m, IFLA_INFO_SLAVE_DATA);
	if (!data || nla_put_u8(m, IFLA_BRPORT_LEARNING, 0) < 0)
		return -ENOMEM;
	nla_nest_end(m, data);
	nla_nest_end(m, info);
	return 0;
}

/* Two messages, as the kernel takes a port's settings only once it is one. */
static int enslave(struct nl_sock *s, const struct link_config *c, struct err *e)
{
	unsigned bridge = if_nametoindex(c->bridge);
	struct nl_msg *m = link_msg(RTM_NEWLINK, 0, c->tap, 0);
	int r;

	if (m && nla_put_u32(m, IFLA_MASTER, bridge) < 0) {
		nlmsg_free(m);
		m = NULL;
	}
	r = send_msg(s, m, "putting on the bridge", c->tap, e);
	if (r < 0)
		return r;
	m = link_msg(RTM_NEWLINK, 0, c->tap, 0);
	if (m && put_port(m) < 0) {
		nlmsg_free(m);
		m = NULL;
	}
	return send_msg(s, m, "setting up the bridge's port", c->tap, e);
}

static int set_up(struct nl_sock *s, const char *name, const uint8_t *mac, struct err *e)
{
	struct nl_msg *m = link_msg(RTM_NEWLINK, 0, name, 0);
	int r;

	if (m && ((mac && nla_put(m, IFLA_ADDRESS, 6, mac) < 0) || put_no_ipv6(m) < 0)) {
		nlmsg_free(m);
		m = NULL;
	}
	r = send_msg(s, m, "setting up", name, e);
	if (r < 0)
		return r;
	return send_msg(s, link_msg(RTM_NEWLINK, 0, name, IFF_UP), "bringing up", name, e);
}

/* An address of either family, its bytes in network order. */
static struct nl_addr *ip(int family, const void *bytes, int prefix)
{
	struct nl_addr *n = nl_addr_build(family, bytes, family == AF_INET ? 4 : 16);

	if (n)
		nl_addr_set_prefixlen(n, prefix);
	return n;
}

static int add_address(struct nl_sock *s, int family, const void *bytes, const char *ifname,
		       struct err *e)
{
	struct rtnl_addr *a = rtnl_addr_alloc();
	struct nl_addr *local = ip(family, bytes, family == AF_INET ? 24 : 64);
	int r = -NLE_NOMEM;

	if (a && local) {
		rtnl_addr_set_ifindex(a, (int)if_nametoindex(ifname));
		if (family == AF_INET6) /* nobody else is there to ask */
			rtnl_addr_set_flags(a, IFA_F_NODAD);
		r = rtnl_addr_set_local(a, local);
		if (r == 0)
			r = rtnl_addr_add(s, a, NLM_F_EXCL);
	}
	nl_addr_put(local);
	rtnl_addr_put(a);
	return r < 0 ? err_set(e, link_errno(r), "giving %s its address: %s", ifname,
			       nl_geterror(r))
		     : 0;
}

static int add_neighbour(struct nl_sock *s, int family, const void *bytes,
			 const struct link_config *c, const char *ifname, struct err *e)
{
	struct rtnl_neigh *n = rtnl_neigh_alloc();
	struct nl_addr *dst = ip(family, bytes, family == AF_INET ? 32 : 128);
	struct nl_addr *mac = nl_addr_build(AF_LLC, c->worker_mac, 6);
	int r = -NLE_NOMEM;

	if (n && dst && mac) {
		rtnl_neigh_set_ifindex(n, (int)if_nametoindex(ifname));
		rtnl_neigh_set_state(n, NUD_PERMANENT);
		rtnl_neigh_set_lladdr(n, mac);
		r = rtnl_neigh_set_dst(n, dst);
		if (r == 0)
			r = rtnl_neigh_add(s, n, NLM_F_CREATE | NLM_F_EXCL);
	}
	nl_addr_put(dst);
	nl_addr_put(mac);
	rtnl_neigh_put(n);
	return r < 0 ? err_set(e, link_errno(r), "the worker as neighbour of %s: %s", ifname,
			       nl_geterror(r))
		     : 0;
}

/* Packets for that prefix are for this machine: there is no other way for them. */
static int add_local_route(struct nl_sock *s, int family, const void *bytes, int prefix,
			   struct err *e)
{
	struct rtnl_route *route = rtnl_route_alloc();
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
	struct nl_addr *dst = ip(family, bytes, prefix);
	char text[INET6_ADDRSTRLEN] = "";
	int r = -NLE_NOMEM;

	if (route && hop && dst) {
		rtnl_route_nh_set_ifindex(hop, (int)if_nametoindex("lo"));
		rtnl_route_add_nexthop(route, hop); /* takes it over */
		hop = NULL;
		rtnl_route_set_table(route, RT_TABLE_LOCAL);
		rtnl_route_set_scope(route, RT_SCOPE_HOST);
		r = rtnl_route_set_type(route, RTN_LOCAL);
		if (r == 0)
			r = rtnl_route_set_dst(route, dst);
		if (r == 0) /* two rules may name one prefix */
			r = rtnl_route_add(s, route, NLM_F_REPLACE);
	}
	if (hop)
		rtnl_route_nh_free(hop);
	nl_addr_put(dst);
	rtnl_route_put(route);
	(void)inet_ntop(family, bytes, text, sizeof(text));
	return r < 0 ? err_set(e, link_errno(r), "the local route for %s/%d: %s", text, prefix,
			       nl_geterror(r))
		     : 0;
}

static int add_routes(struct nl_sock *s, const struct link_config *c, struct err *e)
{
	struct in_addr net = {htonl(RULESET_SYNTH_NET)};
	int r = add_local_route(s, AF_INET, &net, RULESET_SYNTH_PREFIX, e);

	for (size_t i = 0; i < c->n_rules && r == 0; i++) {
		const struct net_rule *rule = &c->rules[i];

		if (rule->kind != NET_HOST_IP4 && rule->kind != NET_HOST_IP6)
			continue;
		r = add_local_route(s, rule->kind == NET_HOST_IP4 ? AF_INET : AF_INET6, &rule->addr,
				    rule->prefix_len, e);
	}
	return r;
}

/* True if this setting of br_netfilter is off here now, or there is no such thing. */
static bool turn_off(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	char now = 0;

	if (fd < 0 && errno == ENOENT)
		return access("/proc/sys/net", F_OK) == 0;
	if (fd >= 0)
		return io_write_full(fd, "0", 1) == 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && io_read_full(fd, &now, 1) == 1 && now == '0';
}

/*
 * br_netfilter, if it is there, passes a bridge's frames through the IP hooks before the bridge
 * hands them up, and the socket that tproxy chose is lost between.
 */
static bool bridge_netfilter_off(void)
{
	bool off4 = turn_off("/proc/sys/net/bridge/bridge-nf-call-iptables");

	return turn_off("/proc/sys/net/bridge/bridge-nf-call-ip6tables") && off4;
}

/* Addresses, the worker as a neighbour, and what is delivered here. */
static int add_addresses(struct nl_sock *s, const struct link_config *c, const char *ifname,
			 struct err *e)
{
	int r = add_address(s, AF_INET, &c->host, ifname, e);

	if (r == 0)
		r = add_neighbour(s, AF_INET, &c->worker, c, ifname, e);
	if (r == 0 && !IN6_IS_ADDR_UNSPECIFIED(&c->host6)) {
		r = add_address(s, AF_INET6, &c->host6, ifname, e);
		if (r == 0)
			r = add_neighbour(s, AF_INET6, &c->worker6, c, ifname, e);
	}
	return r < 0 ? r : add_routes(s, c, e);
}

int link_up(const struct link_config *c, struct link *ret, struct err *e)
{
	_cleanup_close_ int tap = -1;
	_cleanup_nl_sock_ struct nl_sock *s = link_connect(e);
	bool bridge = bridge_netfilter_off();
	const char *ifname = bridge ? c->bridge : c->tap;
	struct link out = {0};
	int r;

	if (!s)
		return e && e->code ? e->code : -ENOMEM;
	tap = link_open_tap(c->tap, e);
	if (tap < 0)
		return tap;
	r = set_up(s, "lo", NULL, e);
	if (r == 0 && bridge)
		r = make_bridge(s, c, e);
	if (r == 0 && bridge)
		r = enslave(s, c, e);
	if (r == 0 && bridge)
		r = set_up(s, c->tap, NULL, e);
	/* last: a bridge that comes up without a live port drops what it sends until later */
	if (r == 0)
		r = set_up(s, ifname, c->host_mac, e);
	if (r == 0)
		r = add_addresses(s, c, ifname, e);
	if (r == 0 && c->rate)
		r = link_shape(c->tap, c->rate, e);
	if (r < 0)
		return err_wrap(e, "the worker's network");
	memcpy(out.ifname, ifname, strlen(ifname));
	out.tap_fd = take_fd(&tap);
	*ret = out;
	return 0;
}
