/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The dialer of the single home: a process in our own network namespace. */
#ifndef CONTRACTOR_CLI_DIAL_PROCESS_H
#define CONTRACTOR_CLI_DIAL_PROCESS_H

#include <sys/types.h>

#include "base/err.h"
#include "net/rule.h"

/*
 * Forks a process that serves dialer_run() with these rules (borrowed for the call). It ends when
 * the other end of *ret_fd (SOCK_SEQPACKET, close-on-exec, the caller's) is closed, and dies with
 * the caller. The pid or a negative errno.
 */
pid_t dial_process_start(const struct net_rule *rules, size_t n, int *ret_fd, struct err *e);

#endif
