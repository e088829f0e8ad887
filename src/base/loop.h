/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The event loop: one thread, one epoll, callbacks with user data. */
#ifndef CONTRACTOR_BASE_LOOP_H
#define CONTRACTOR_BASE_LOOP_H

#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#include "err.h"

struct loop;
struct loop_source;

/* `events` are EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR bits. */
typedef void (*loop_fd_fn)(struct loop_source *s, uint32_t events, void *user_data);
typedef void (*loop_timer_fn)(struct loop_source *s, void *user_data);
typedef void (*loop_signal_fn)(struct loop_source *s, const struct signalfd_siginfo *info,
			       void *user_data);
typedef void (*loop_child_fn)(struct loop_source *s, const siginfo_t *info, void *user_data);

/* A new loop in *ret, freed with loop_free together with its sources. 0 or a negative errno. */
int loop_new(struct loop **ret);
struct loop *loop_free(struct loop *l);
CLEANUP_FUNC(loop_free, struct loop)

/* Watches fd, which stays the caller's and must outlive the source. */
int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *user_data,
		struct loop_source **ret);

/* Changes what an fd source waits for; 0 mutes it. */
int loop_fd_events(struct loop_source *s, uint32_t events);

/* A timer, disarmed at first. */
int loop_add_timer(struct loop *l, loop_timer_fn fn, void *user_data, struct loop_source **ret);

/* Fires after first_ms, then every period_ms (0: once). first_ms UINT64_MAX disarms. */
int loop_timer_set(struct loop_source *s, uint64_t first_ms, uint64_t period_ms);

/* Blocks the signals of the set for the process and reports them. */
int loop_add_signals(struct loop *l, const sigset_t *set, loop_signal_fn fn, void *user_data,
		     struct loop_source **ret);

/* Reports the end of child `pid` once, reaped, through a pidfd. */
int loop_add_child(struct loop *l, pid_t pid, loop_child_fn fn, void *user_data,
		   struct loop_source **ret);

/*
 * Ends a source: no callback comes any more, the memory goes once no callback runs. Legal inside
 * its own callback; accepts NULL; returns NULL.
 */
struct loop_source *loop_remove(struct loop_source *s);

/* Runs until loop_quit; returns its value, or a negative errno when epoll fails. */
int loop_run(struct loop *l);

/* Waits at most timeout_ms (-1: for ever) and dispatches once. 0 or a negative errno. */
int loop_step(struct loop *l, int timeout_ms);

/* Ends loop_run with `value` (not negative) after the present callback. */
void loop_quit(struct loop *l, int value);

#endif
