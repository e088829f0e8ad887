/* SPDX-License-Identifier: GPL-3.0-or-later */
/* IP addresses as values: text, sockaddr, prefixes, and what kind of place an address names. */
#ifndef CONTRACTOR_NET_ADDR_H
#define CONTRACTOR_NET_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/macro.h"

/* IPv4 in the first four bytes, the others zero; network order. Equal values are equal bytes. */
struct net_addr {
	bool v6;
	uint8_t b[16];
};

enum net_addr_class {
	NET_ADDR_GLOBAL,
	NET_ADDR_PRIVATE, /* RFC 1918, CGNAT, unique local, site local, local-use NAT64 */
	NET_ADDR_LOOPBACK,
	NET_ADDR_LINK_LOCAL,
	NET_ADDR_MULTICAST,
	NET_ADDR_METADATA, /* a cloud's metadata service */
	NET_ADDR_TEST,	   /* documentation and benchmarking */
	NET_ADDR_BROADCAST,
	NET_ADDR_UNSPECIFIED,
	NET_ADDR_RESERVED,
	_NET_ADDR_CLASS_MAX,
};

#define NET_ADDR_TEXT_MAX INET6_ADDRSTRLEN

/* Strict text form (inet_pton: no octal, no scope id, no prefix). 0 or -EINVAL. */
int net_addr_parse(const char *text, struct net_addr *ret);

/* The usual text form; returns out. */
char *net_addr_format(const struct net_addr *a, char out[NET_ADDR_TEXT_MAX]);

/* From AF_INET or AF_INET6 (IPv4-mapped becomes IPv4). 0 or -EAFNOSUPPORT. */
int net_addr_from_sockaddr(const struct sockaddr_storage *ss, struct net_addr *ret,
			   uint16_t *ret_port);

/* Fills *ret for connect or bind; its length. */
socklen_t net_addr_to_sockaddr(const struct net_addr *a, uint16_t port,
			       struct sockaddr_storage *ret);

/* An IPv4 address from host order. */
struct net_addr net_addr_ip4(uint32_t host_order);

/* IPv4-mapped IPv6 (::ffff:a.b.c.d) is IPv4 to the kernel: the same as that IPv4 address. */
struct net_addr net_addr_unmap(const struct net_addr *a);

/* True if both are of one family and share the first `len` bits. */
bool net_addr_in_prefix(const struct net_addr *a, const struct net_addr *prefix, unsigned len);

/*
 * The IPv4 address that a translated form leads to: mapped, SIIT, NAT64's well-known prefix, 6to4.
 * False when there is none.
 */
bool net_addr_embedded(const struct net_addr *a, struct net_addr *ret);

/* Of translated forms: the class of the IPv4 address within. */
enum net_addr_class net_addr_classify(const struct net_addr *a);

/* "a private address", "the unspecified address": to stand after "is". */
const char *net_addr_class_text(enum net_addr_class c);

#endif
