/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading raw netlink bytes. */
/*
 *   message:    u32 length (with this header) | u16 type | u16 flags | u32 seq | u32 port | payload
 *   attribute:  u16 length (with this header) | u16 type | payload
 * Both in host order, both padded to 4 bytes; the last padding may be missing (linux/netlink.h).
 */
#include "nl-read.h"

#include <endian.h>
#include <errno.h>
#include <linux/netlink.h>

static void advance(struct nl_bytes *rest, size_t n)
{
	n = MIN((n + 3) & ~(size_t)3, rest->len);
	rest->p += n;
	rest->len -= n;
}

int nl_next_message(struct nl_bytes *rest, struct nl_message *ret)
{
	struct nlmsghdr h;

	if (rest->len == 0)
		return 0;
	if (rest->len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, rest->p, sizeof(h));
	if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > rest->len)
		return -EBADMSG;
	*ret = (struct nl_message){
		.type = h.nlmsg_type,
		.flags = h.nlmsg_flags,
		.seq = h.nlmsg_seq,
		.payload = {rest->p + sizeof(h), h.nlmsg_len - sizeof(h)},
	};
	advance(rest, h.nlmsg_len);
	return 1;
}

int nl_next_attr(struct nl_bytes *rest, struct nl_attr_view *ret)
{
	struct nlattr a;

	if (rest->len == 0)
		return 0;
	if (rest->len < sizeof(a))
		return -EBADMSG;
	memcpy(&a, rest->p, sizeof(a));
	if (a.nla_len < sizeof(a) || a.nla_len > rest->len)
		return -EBADMSG;
	*ret = (struct nl_attr_view){
		.type = a.nla_type & NLA_TYPE_MASK,
		.data = {rest->p + sizeof(a), a.nla_len - sizeof(a)},
	};
	advance(rest, a.nla_len);
	return 1;
}

bool nl_find_attr(struct nl_bytes attrs, uint16_t type, struct nl_bytes *ret)
{
	struct nl_attr_view a;

	while (nl_next_attr(&attrs, &a) > 0) {
		if (a.type == type) {
			*ret = a.data;
			return true;
		}
	}
	return false;
}

bool nl_be32(struct nl_bytes data, uint32_t *ret)
{
	uint32_t v;

	if (data.len != sizeof(v))
		return false;
	memcpy(&v, data.p, sizeof(v));
	*ret = be32toh(v);
	return true;
}

bool nl_be64(struct nl_bytes data, uint64_t *ret)
{
	uint64_t v;

	if (data.len != sizeof(v))
		return false;
	memcpy(&v, data.p, sizeof(v));
	*ret = be64toh(v);
	return true;
}

bool nl_is_string(struct nl_bytes data, const char *s)
{
	size_t n = strlen(s);

	if (data.len == n + 1 && data.p[n] != 0)
		return false;
	return (data.len == n || data.len == n + 1) && memcmp(data.p, s, n) == 0;
}
