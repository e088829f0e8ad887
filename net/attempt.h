/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the worker tried and the kernel refused, as a value. */
#ifndef CONTRACTOR_NET_ATTEMPT_H
#define CONTRACTOR_NET_ATTEMPT_H

#include "addr.h"

enum attempt_kind {
	ATTEMPT_DENIED,	   /* no rule allows it */
	ATTEMPT_SPOOF_MAC, /* not from the worker's own MAC */
	ATTEMPT_SPOOF_IP,  /* not from its own address */
	ATTEMPT_SPOOF_ARP, /* ARP for or from an address that is not its own */
	_ATTEMPT_KIND_MAX,
};

/* A plain value: what one attempt has in common with the next one of its kind. */
struct attempt {
	enum attempt_kind kind;
	uint8_t proto; /* of IP; 0: none was there, as in ARP */
	bool has_dst;
	struct net_addr dst; /* of ARP: the address asked for */
	uint16_t port;	     /* destination; 0: a protocol without ports */
	struct net_addr src; /* of spoofed kinds; else zero */
	uint8_t mac[6];	     /* source, of spoofed kinds; else zero */
};

#define ATTEMPT_TEXT_MAX 160

/* "tcp to 1.2.3.4 port 443", "an IPv4 packet from 10.0.0.9, which is not the worker's"; out. */
char *attempt_text(const struct attempt *a, char out[ATTEMPT_TEXT_MAX]);

#endif
