/* SPDX-License-Identifier: GPL-3.0-or-later */
/* IP addresses: conversions, and the tables of special-purpose ranges. */
#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>

int net_addr_parse(const char *text, struct net_addr *ret)
{
	struct net_addr a = {0};

	if (inet_pton(AF_INET, text, a.b) != 1) {
		if (inet_pton(AF_INET6, text, a.b) != 1)
			return -EINVAL;
		a.v6 = true;
	}
	*ret = a;
	return 0;
}

char *net_addr_format(const struct net_addr *a, char out[NET_ADDR_TEXT_MAX])
{
	if (!inet_ntop(a->v6 ? AF_INET6 : AF_INET, a->b, out, NET_ADDR_TEXT_MAX))
		out[0] = '\0';
	return out;
}

int net_addr_from_sockaddr(const struct sockaddr_storage *ss, struct net_addr *ret,
			   uint16_t *ret_port)
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
	struct net_addr a = {0};
	uint16_t port;

	if (ss->ss_family == AF_INET) {
		memcpy(&in4, ss, sizeof(in4));
		memcpy(a.b, &in4.sin_addr, 4);
		port = ntohs(in4.sin_port);
	} else if (ss->ss_family == AF_INET6) {
		memcpy(&in6, ss, sizeof(in6));
		a.v6 = true;
		memcpy(a.b, &in6.sin6_addr, 16);
		port = ntohs(in6.sin6_port);
	} else {
		return -EAFNOSUPPORT;
	}
	*ret = net_addr_unmap(&a);
	if (ret_port)
		*ret_port = port;
	return 0;
}

socklen_t net_addr_to_sockaddr(const struct net_addr *a, uint16_t port,
			       struct sockaddr_storage *ret)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memset(ret, 0, sizeof(*ret));
	if (a->v6) {
		memcpy(&in6.sin6_addr, a->b, 16);
		memcpy(ret, &in6, sizeof(in6));
		return sizeof(in6);
	}
	memcpy(&in4.sin_addr, a->b, 4);
	memcpy(ret, &in4, sizeof(in4));
	return sizeof(in4);
}

struct net_addr net_addr_ip4(uint32_t host_order)
{
	struct net_addr a = {0};
	uint32_t be = htonl(host_order);

	memcpy(a.b, &be, 4);
	return a;
}

bool net_addr_in_prefix(const struct net_addr *a, const struct net_addr *prefix, unsigned len)
{
	unsigned bytes = len / 8, bits = len % 8;

	if (a->v6 != prefix->v6 || len > (a->v6 ? 128U : 32U))
		return false;
	if (memcmp(a->b, prefix->b, bytes) != 0)
		return false;
	return bits == 0 || (a->b[bytes] ^ prefix->b[bytes]) >> (8 - bits) == 0;
}

/* An entry of the tables: the first that matches decides. */
struct range {
	uint8_t b[16];
	uint8_t len;
	enum net_addr_class class;
	uint8_t embeds; /* offset of an IPv4 address within, 0: none */
};

/* IANA's special-purpose registry, multicast, and the metadata services of the large clouds. */
static const struct range ranges4[] = {
	{{169, 254, 169, 254}, 32, NET_ADDR_METADATA, 0}, /* most clouds */
	{{169, 254, 170, 2}, 32, NET_ADDR_METADATA, 0},	  /* Amazon ECS task credentials */
	{{168, 63, 129, 16}, 32, NET_ADDR_METADATA, 0},	  /* Azure's wire server */
	{{100, 100, 100, 200}, 32, NET_ADDR_METADATA, 0}, /* Alibaba */
	{{192, 0, 0, 192}, 32, NET_ADDR_METADATA, 0},	  /* Oracle */
	{{0}, 8, NET_ADDR_UNSPECIFIED, 0},
	{{10}, 8, NET_ADDR_PRIVATE, 0},
	{{100, 64}, 10, NET_ADDR_PRIVATE, 0},
	{{127}, 8, NET_ADDR_LOOPBACK, 0},
	{{169, 254}, 16, NET_ADDR_LINK_LOCAL, 0},
	{{172, 16}, 12, NET_ADDR_PRIVATE, 0},
	{{192, 0, 0}, 24, NET_ADDR_RESERVED, 0},
	{{192, 0, 2}, 24, NET_ADDR_TEST, 0},
	{{192, 88, 99}, 24, NET_ADDR_RESERVED, 0}, /* 6to4 relay anycast */
	{{192, 168}, 16, NET_ADDR_PRIVATE, 0},
	{{198, 18}, 15, NET_ADDR_TEST, 0},
	{{198, 51, 100}, 24, NET_ADDR_TEST, 0},
	{{203, 0, 113}, 24, NET_ADDR_TEST, 0},
	{{224}, 4, NET_ADDR_MULTICAST, 0},
	{{255, 255, 255, 255}, 32, NET_ADDR_BROADCAST, 0},
	{{240}, 4, NET_ADDR_RESERVED, 0},
	{{0}, 0, NET_ADDR_GLOBAL, 0},
};

static const struct range ranges6[] = {
	{{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54}, 128, NET_ADDR_METADATA, 0}, /* Amazon */
	{{0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54}, 128, NET_ADDR_METADATA, 0}, /* Google */
	{{0xfd, 0x00, 0x00, 0x42, [15] = 0x42}, 128, NET_ADDR_METADATA, 0},	  /* Scaleway */
	{{0}, 128, NET_ADDR_UNSPECIFIED, 0},
	{{[15] = 1}, 128, NET_ADDR_LOOPBACK, 0},
	{{[10] = 0xff, 0xff}, 96, NET_ADDR_GLOBAL, 12},		   /* mapped */
	{{[8] = 0xff, 0xff}, 96, NET_ADDR_GLOBAL, 12},		   /* SIIT, RFC 2765 */
	{{0x00, 0x64, 0xff, 0x9b}, 96, NET_ADDR_GLOBAL, 12},	   /* NAT64, RFC 6052 */
	{{0x00, 0x64, 0xff, 0x9b, 0, 1}, 48, NET_ADDR_PRIVATE, 0}, /* NAT64 of one's own */
	{{0x20, 0x02}, 16, NET_ADDR_GLOBAL, 2},			   /* 6to4 */
	{{0x20, 0x01, 0x00, 0x02}, 48, NET_ADDR_TEST, 0},
	{{0x20, 0x01, 0x0d, 0xb8}, 32, NET_ADDR_TEST, 0},
	{{0x20, 0x01}, 23, NET_ADDR_RESERVED, 0}, /* Teredo, ORCHID and other protocols */
	{{0x3f, 0xff}, 20, NET_ADDR_TEST, 0},
	{{0xfc}, 7, NET_ADDR_PRIVATE, 0},
	{{0xfe, 0x80}, 10, NET_ADDR_LINK_LOCAL, 0},
	{{0xfe, 0xc0}, 10, NET_ADDR_PRIVATE, 0},
	{{0xff}, 8, NET_ADDR_MULTICAST, 0},
	{{0x20}, 3, NET_ADDR_GLOBAL, 0},
	{{0}, 0, NET_ADDR_RESERVED, 0}, /* IPv4-compatible too; only 2000::/3 is given out */
};

static const struct range *find_range(const struct net_addr *a)
{
	const struct range *r = a->v6 ? ranges6 : ranges4;

	for (;; r++) { /* the last entry matches everything */
		struct net_addr p = {.v6 = a->v6};

		memcpy(p.b, r->b, sizeof(p.b));
		if (net_addr_in_prefix(a, &p, r->len))
			return r;
	}
}

bool net_addr_embedded(const struct net_addr *a, struct net_addr *ret)
{
	const struct range *r = find_range(a);

	if (r->embeds == 0)
		return false;
	*ret = (struct net_addr){0};
	memcpy(ret->b, a->b + r->embeds, 4);
	return true;
}

struct net_addr net_addr_unmap(const struct net_addr *a)
{
	static const struct net_addr mapped = {.v6 = true, .b = {[10] = 0xff, 0xff}};
	struct net_addr v4;

	if (net_addr_in_prefix(a, &mapped, 96) && net_addr_embedded(a, &v4))
		return v4;
	return *a;
}

enum net_addr_class net_addr_classify(const struct net_addr *a)
{
	struct net_addr inner;

	if (net_addr_embedded(a, &inner))
		return find_range(&inner)->class;
	return find_range(a)->class;
}

const char *net_addr_class_text(enum net_addr_class c)
{
	switch (c) {
	case NET_ADDR_GLOBAL:
		return "a public address";
	case NET_ADDR_PRIVATE:
		return "a private address";
	case NET_ADDR_LOOPBACK:
		return "a loopback address";
	case NET_ADDR_LINK_LOCAL:
		return "a link-local address";
	case NET_ADDR_MULTICAST:
		return "a multicast address";
	case NET_ADDR_METADATA:
		return "a cloud's metadata service";
	case NET_ADDR_TEST:
		return "an address for documentation or benchmarks";
	case NET_ADDR_BROADCAST:
		return "the broadcast address";
	case NET_ADDR_UNSPECIFIED:
		return "the unspecified address";
	case NET_ADDR_RESERVED:
		return "a reserved address";
	case _NET_ADDR_CLASS_MAX:
		break;
	}
	return "an address of unknown kind";
}
