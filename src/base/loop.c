/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The event loop over epoll, timerfd, signalfd and pidfd. */
#include "loop.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

enum source_kind {
	SOURCE_FD,
	SOURCE_TIMER,
	SOURCE_SIGNAL,
	SOURCE_CHILD,
	_SOURCE_KIND_MAX,
};

struct loop_source {
	struct loop *loop;
	struct loop_source *next;
	enum source_kind kind;
	int fd;
	uint32_t events;
	bool owned; /* we opened fd and close it */
	bool dead;
	pid_t pid;
	union {
		loop_fd_fn on_fd;
		loop_timer_fn on_timer;
		loop_signal_fn on_signal;
		loop_child_fn on_child;
	};
	void *user_data;
};

struct loop {
	int epoll;
	struct loop_source *sources;
	int depth;    /* dispatches under way: dead sources are freed at 0 */
	bool unswept; /* there are some */
	bool quit;
	int value;
};

int loop_new(struct loop **ret)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		int r = -errno;

		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

/* Frees what was removed. Outside a dispatch that is at most one source. */
static void sweep(struct loop *l)
{
	struct loop_source **p = &l->sources;

	if (!l->unswept)
		return;
	l->unswept = false;
	while (*p) {
		struct loop_source *s = *p;

		if (s->dead) {
			*p = s->next;
			free(s);
		} else {
			p = &s->next;
		}
	}
}

struct loop *loop_free(struct loop *l)
{
	if (!l)
		return NULL;
	while (l->sources)
		(void)loop_remove(l->sources);
	(void)close(l->epoll);
	free(l);
	return NULL;
}

static int add(struct loop *l, enum source_kind kind, int fd, bool owned, uint32_t events,
	       void *user_data, struct loop_source **ret)
{
	struct loop_source *s = calloc(1, sizeof(*s));
	struct epoll_event ev = {.events = events, .data.ptr = s};
	int r = -ENOMEM;

	if (s && epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) == 0) {
		s->loop = l;
		s->kind = kind;
		s->fd = fd;
		s->events = events;
		s->owned = owned;
		s->user_data = user_data;
		s->next = l->sources;
		l->sources = s;
		*ret = s;
		return 0;
	}
	if (s)
		r = -errno;
	free(s);
	if (owned)
		(void)close(fd);
	return r;
}

int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *user_data,
		struct loop_source **ret)
{
	int r = add(l, SOURCE_FD, fd, false, events, user_data, ret);

	if (r == 0)
		(*ret)->on_fd = fn;
	return r;
}

int loop_fd_events(struct loop_source *s, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = s};

	if (events == s->events)
		return 0;
	if (epoll_ctl(s->loop->epoll, EPOLL_CTL_MOD, s->fd, &ev) < 0)
		return -errno;
	s->events = events;
	return 0;
}

int loop_add_timer(struct loop *l, loop_timer_fn fn, void *user_data, struct loop_source **ret)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int r;

	if (fd < 0)
		return -errno;
	r = add(l, SOURCE_TIMER, fd, true, EPOLLIN, user_data, ret);
	if (r == 0)
		(*ret)->on_timer = fn;
	return r;
}

int loop_timer_set(struct loop_source *s, uint64_t first_ms, uint64_t period_ms)
{
	struct itimerspec its = {0};

	if (first_ms != UINT64_MAX) {
		its.it_value.tv_sec = (time_t)(first_ms / 1000);
		its.it_value.tv_nsec = (long)(first_ms % 1000) * 1000000;
		if (first_ms == 0)
			its.it_value.tv_nsec = 1; /* 0 would disarm */
		its.it_interval.tv_sec = (time_t)(period_ms / 1000);
		its.it_interval.tv_nsec = (long)(period_ms % 1000) * 1000000;
	}
	return timerfd_settime(s->fd, 0, &its, NULL) < 0 ? -errno : 0;
}

int loop_add_signals(struct loop *l, const sigset_t *set, loop_signal_fn fn, void *user_data,
		     struct loop_source **ret)
{
	int fd, r;

	if (sigprocmask(SIG_BLOCK, set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = add(l, SOURCE_SIGNAL, fd, true, EPOLLIN, user_data, ret);
	if (r == 0)
		(*ret)->on_signal = fn;
	return r;
}

int loop_add_child(struct loop *l, pid_t pid, loop_child_fn fn, void *user_data,
		   struct loop_source **ret)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = add(l, SOURCE_CHILD, fd, true, EPOLLIN, user_data, ret);
	if (r == 0) {
		(*ret)->on_child = fn;
		(*ret)->pid = pid;
	}
	return r;
}

struct loop_source *loop_remove(struct loop_source *s)
{
	if (!s || s->dead)
		return NULL;
	s->dead = s->loop->unswept = true;
	(void)epoll_ctl(s->loop->epoll, EPOLL_CTL_DEL, s->fd, NULL);
	if (s->owned)
		(void)close(s->fd);
	if (s->loop->depth == 0)
		sweep(s->loop);
	return NULL;
}

static void dispatch(struct loop_source *s, uint32_t events)
{
	struct signalfd_siginfo ssi;
	siginfo_t si = {0};
	uint64_t ticks;

	switch (s->kind) {
	case SOURCE_FD:
		s->on_fd(s, events, s->user_data);
		return;
	case SOURCE_TIMER:
		if (read(s->fd, &ticks, sizeof(ticks)) == sizeof(ticks))
			s->on_timer(s, s->user_data);
		return;
	case SOURCE_SIGNAL:
		if (read(s->fd, &ssi, sizeof(ssi)) == sizeof(ssi))
			s->on_signal(s, &ssi, s->user_data);
		return;
	case SOURCE_CHILD:
		if (waitid(P_PID, (id_t)s->pid, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0)
			return;
		s->on_child(s, &si, s->user_data);
		(void)loop_remove(s);
		return;
	case _SOURCE_KIND_MAX:
		return;
	}
}

int loop_step(struct loop *l, int timeout_ms)
{
	struct epoll_event ev[32];
	int n = epoll_wait(l->epoll, ev, ARRAY_SIZE(ev), timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	l->depth++;
	for (int i = 0; i < n && !l->quit; i++) {
		struct loop_source *s = ev[i].data.ptr;

		if (!s->dead)
			dispatch(s, ev[i].events);
	}
	l->depth--;
	if (l->depth == 0)
		sweep(l);
	return 0;
}

int loop_run(struct loop *l)
{
	l->quit = false;
	while (!l->quit) {
		int r = loop_step(l, -1);

		if (r < 0)
			return r;
	}
	return l->value;
}

void loop_quit(struct loop *l, int value)
{
	l->quit = true;
	l->value = value;
}
