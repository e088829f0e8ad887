/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The wait in the queue: a look four times a second, signals heard. */
#include "turn.h"

#include <signal.h>

#include "base/loop.h"
#include "base/num.h"
#include "events.h"

#define LOOK_MS 250

struct turn {
	struct build *b;
	struct loop *loop;
	uint64_t limit, told; /* the place that was last told */
	bool ours, ended;
};

static void end_broken(struct turn *t, const char *text)
{
	t->b->verdict = verdict_make(VERDICT_INFRASTRUCTURE, "%s", text);
	t->ended = true;
}

static void look(struct turn *t)
{
	struct err e = ERR_INIT;
	char text[NUM_TEXT_MAX];
	struct build *b = t->b;
	uint64_t before, place;

	if (jobs_before(&b->jobs, &before, &e) < 0) {
		end_broken(t, e.text);
		return;
	}
	t->ours = before < t->limit;
	if (t->ours)
		return;
	place = before - t->limit + 1;
	if (t->told == 0)
		build_phase(b, "queued");
	if (t->told != place) {
		t->told = place;
		ui_say(&b->ui, "waiting for other builds: place %llu in the queue",
		       (unsigned long long)place);
		events_queued(b, place, t->limit);
	}
	ui_status(&b->ui, "queued %s, place %llu",
		  format_duration(build_now(b) - b->phases[b->n_phases - 1].start_ms, text),
		  (unsigned long long)place);
}

static void on_look(struct loop_source *s, void *user_data)
{
	struct turn *t = user_data;

	look(t);
	if (t->ours || t->ended)
		loop_quit(t->loop, 0);
}

static void on_signal(struct loop_source *s, const struct signalfd_siginfo *info, void *user_data)
{
	struct turn *t = user_data;

	t->b->verdict = verdict_make(VERDICT_INTERRUPTED, "interrupted by SIG%s in the queue",
				     sigabbrev_np((int)info->ssi_signo));
	t->ended = true;
	loop_quit(t->loop, 0);
}

static int wait_in_loop(struct turn *t)
{
	struct loop_source *timer, *signals;
	sigset_t set;
	int r = loop_new(&t->loop);

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	if (r == 0)
		r = loop_add_signals(t->loop, &set, on_signal, t, &signals);
	if (r == 0)
		r = loop_add_timer(t->loop, on_look, t, &timer);
	if (r == 0)
		r = loop_timer_set(timer, LOOK_MS, LOOK_MS);
	if (r == 0)
		r = loop_run(t->loop);
	t->loop = loop_free(t->loop);
	return r;
}

bool turn_wait(struct build *b)
{
	struct turn t = {.b = b, .limit = b->opt.jobs_limit ? b->opt.jobs_limit : jobs_default()};

	look(&t);
	if (!t.ours && !t.ended && wait_in_loop(&t) < 0)
		end_broken(&t, "cannot wait in the queue of builds");
	return t.ours && !t.ended;
}
