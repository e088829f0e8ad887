/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the session share among themselves. */
#ifndef CONTRACTOR_CLI_SESSION_PRIVATE_H
#define CONTRACTOR_CLI_SESSION_PRIVATE_H

#include "dial-process.h"
#include "home.h"
#include "manager/proto.h"
#include "packer.h"
#include "session.h"
#include "term.h"

struct session {
	struct build *b;
	const struct session_job *job;
	struct loop *loop;
	struct proto_conn *conn;
	struct packer *pack;
	struct home *home;
	struct loop_source *deadline, *hello, *signals, *status, *space;
	pid_t dialer;	       /* of the single home */
	struct dial_port port; /* of the manager VM's */
	struct loop_source *port_end;
	size_t denied_before; /* by an earlier session of the build */
	struct term *term;    /* the terminal is the worker's shell's */
	bool ended, closed;   /* the session has its verdict; the manager's stream has ended */
	bool greeted;	      /* the manager has said hello */
	bool restored;	      /* the manager VM goes on from its template */
	cJSON *go;	      /* the input is complete; owned until it is sent */
	uint64_t heard_ms;    /* when its last word came */
	struct err gone;      /* how the home ended, empty while it is there */
	int console_fd;
	size_t console_bytes;
};

/* Ends the session by its first cause; later ones change nothing. */
void session_end(struct session *s, const struct verdict *v);
void session_end_broken(struct session *s, const char *text);

/* The worker has come to its shell, and left it: the terminal is its own for as long. */
void session_shell_begin(struct session *s);
void session_shell_end(struct session *s);

/* Tells the manager to go, once the input is complete and the manager is there. */
void session_go(struct session *s);

/* The manager and its worker wait in their VM, which becomes a template. */
void session_save_home(struct session *s);

/* The home has ended by itself: home_callbacks. */
void session_home_ended(const char *text, void *user_data);

/* Starts the home, its dialer and the connection to the manager, and sends the order. */
int session_start_manager(struct session *s, const struct proto_callbacks *cb, struct err *e);

#endif
