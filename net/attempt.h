/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the worker tried and was refused: each different attempt once, with its count. */
#ifndef CONTRACTOR_NET_ATTEMPT_H
#define CONTRACTOR_NET_ATTEMPT_H

#include "addr.h"

/* A build that scans a network must not fill memory or the report. */
#define ATTEMPTS_MAX 256

enum attempt_kind {
	ATTEMPT_DENIED,	   /* no rule allows it */
	ATTEMPT_SPOOF_MAC, /* not from the worker's own MAC */
	ATTEMPT_SPOOF_IP,  /* not from its own address */
	ATTEMPT_SPOOF_ARP, /* ARP for or from an address that is not its own */
	_ATTEMPT_KIND_MAX,
};

/* A plain value; equal bytes are the same attempt, so zero it before it is filled. */
struct attempt {
	enum attempt_kind kind;
	uint8_t proto; /* of IP; 0: none was there, as in ARP */
	bool has_dst;
	struct net_addr dst; /* of ARP: the address asked for */
	uint16_t port;	     /* destination; 0: a protocol without ports */
	struct net_addr src; /* of spoofed kinds; else zero */
	uint8_t mac[6];	     /* source, of spoofed kinds; else zero */
};

struct attempt_entry {
	struct attempt what;
	uint64_t count;
};

/* A zeroed struct is empty. */
struct attempts {
	struct attempt_entry e[ATTEMPTS_MAX];
	size_t n;
	uint64_t others; /* beyond the first ATTEMPTS_MAX different ones */
};

/* Counts an attempt. True if it is a new one and has an entry. */
bool attempts_add(struct attempts *a, const struct attempt *what);

#define ATTEMPT_TEXT_MAX 160

/* "tcp to 1.2.3.4 port 443", "an IPv4 packet from 10.0.0.9, which is not the worker's"; out. */
char *attempt_text(const struct attempt *a, char out[ATTEMPT_TEXT_MAX]);

#endif
