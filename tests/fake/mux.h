/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Both ends of a multiplexed port as processes, and what stands on either side of them. */
#ifndef CONTRACTOR_TESTS_FAKE_MUX_H
#define CONTRACTOR_TESTS_FAKE_MUX_H

#include <sys/types.h>

#include "net/mux-guest.h"
#include "net/mux-host.h"

#define WAIT_MS 10000

struct world {
	int manager, outside; /* our ends of the two dialer sockets */
	int port;	      /* the guest's end of the port, when the test is the guest */
	pid_t guest, host;    /* guest -1: the test */
	struct mux_host_counts *counts;
};

void world_up(struct world *w, bool with_guest, struct mux_host_config c);

/* How the host's end ended. */
int world_down(struct world *w);

/* Messages of the dialer's protocol; the descriptor is the caller's. */
void send_message(int fd, const struct dial_message *m, int with_fd);
struct dial_message receive_message(int fd, int *ret_fd);

/* The manager asks; the dialer hears it, and answers. */
void request(struct world *w, uint32_t id, enum net_proto proto);
struct dial_message outside_hears(struct world *w);
void outside_says(struct world *w, uint32_t id, enum dial_code code, int consume_fd);

/* Two sockets that are connected over loopback. */
void tcp_pair(int out[2]);

/* A connection through both ends: the manager's socket, and the server's. */
void connect_through(struct world *w, uint32_t id, enum net_proto proto, int *ret_client,
		     int *ret_server);

/* Bytes that differ by seed and place. */
void fill(char *data, size_t n, unsigned seed);
void send_all(int fd, const char *data, size_t n);
void expect_bytes(int fd, const char *data, size_t n);
void expect_eof(int fd);
void expect_reset(int fd);

/* Closes with a reset. */
void reset(int *fd);

#endif
