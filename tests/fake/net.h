/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A relay and a dialer on loopback, with peers in processes of their own, for tests and benches. */
#ifndef CONTRACTOR_TESTS_FAKE_NET_H
#define CONTRACTOR_TESTS_FAKE_NET_H

#include <netinet/in.h>
#include <sys/types.h>

#include "net/dial-client.h"
#include "net/dialer.h"
#include "net/relay.h"

#define FAKE_DESTS_MAX 200

/*
 * The relay runs in the test's own loop and thinks that a connection to 127.0.1.N was meant for
 * dests[N]; with UDP it is the last byte of the datagram's first two that says N.
 */
struct fake_net {
	struct loop *loop;
	struct net_synth *synth;
	struct dialer_config dialer_config;
	pid_t dialer_pid;
	int dialer_fd;
	bool by_relay; /* bytes pass through the relay, though the dialer has offered to */
	struct dial_client *client;
	struct relay_config config; /* to be changed before fake_net_start */
	struct relay *relay;
	struct sockaddr_storage dests[FAKE_DESTS_MAX];
	size_t n_dests;
	uint16_t port; /* of the relay's listeners */
	unsigned events[_RELAY_EVENT_TYPE_MAX];
	struct relay_event last; /* its name in last_name */
	char last_name[NET_NAME_SIZE];
};

/*
 * Loop, listeners and defaults. The rules are borrowed. Names resolve so: NAME.refused.test to
 * 127.0.0.1 and so do all others, but evil.* to 10.0.0.1 and none.* to nothing.
 */
void fake_net_init(struct fake_net *f, const struct net_rule *rules, size_t n_rules);

/* Starts dialer and relay; or first the one and then, in another network namespace, the other. */
void fake_net_start(struct fake_net *f);
void fake_net_start_dialer(struct fake_net *f);
void fake_net_start_relay(struct fake_net *f);

/* Ends all of it and reaps the dialer. */
void fake_net_done(struct fake_net *f);

/* Where to connect to, to reach host (a name or an address) and port through the relay. */
struct sockaddr_in fake_net_dest(struct fake_net *f, const char *host, uint16_t port);

/* A process that runs fn(fd, arg) and exits with 0; only fd (as 3) stays open in it. */
pid_t fake_peer(void (*fn)(int fd, void *arg), int fd, void *arg);

/* Steps the loop until the process ends; ends the test too unless it exits with 0. */
void fake_net_wait(struct fake_net *f, pid_t pid);

/* Steps the loop for ms, or until *counter reaches n. */
void fake_net_step(struct fake_net *f, uint64_t ms, const unsigned *counter, unsigned n);

/* Steps the loop until the relay has no connection left, for 10 s at most. */
void fake_net_drain(struct fake_net *f);

/* A loopback listener or UDP socket on a port of the kernel's choice. */
int fake_listen(int type, uint16_t *ret_port);

/* Zeroed memory that a peer shares with the test. */
void *fake_shared(size_t n);
void fake_unshare(void *p, size_t n);

/* What peers use; each ends the process with a message when something is not as expected. */
_Noreturn void fake_die(const char *fmt, ...) _printf_(1, 2);
int fake_connect(const struct sockaddr_in *to);
int fake_accept(int listen_fd);
void fake_send(int fd, uint64_t start, uint64_t n); /* n bytes of the endless pattern */
void fake_receive(int fd, uint64_t start, uint64_t n);
void fake_expect_end(int fd);	/* end of file */
void fake_expect_reset(int fd); /* ECONNRESET or EPIPE, from reading or writing */

#endif
