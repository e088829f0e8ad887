/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bytes of a copy, from what the host can see of it. */
#include "progress.h"

#include <sys/stat.h>

#include "base/num.h"
#include "events.h"

#define EVENT_MS 1000

char *progress_text(const struct build_progress *p, char *out, size_t size)
{
	char ms[NUM_TEXT_MAX], bytes[NUM_TEXT_MAX], total[NUM_TEXT_MAX], rate[NUM_TEXT_MAX];

	(void)format_duration(p->ms, ms);
	(void)format_size(p->bytes, bytes);
	(void)format_size(p->total, total);
	(void)format_size(p->rate, rate);
	if (p->bytes == 0)
		(void)snprintf(out, size, "%s %s", p->phase, ms);
	else if (p->total)
		(void)snprintf(out, size, "%s %s, %s of %s, %s/s", p->phase, ms, bytes, total,
			       rate);
	else
		(void)snprintf(out, size, "%s %s, %s, %s/s", p->phase, ms, bytes, rate);
	return out;
}

static uint64_t allocated(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

/* What the phase has copied so far: the packer fills the input disk while the worker boots. */
static uint64_t copied(const struct build *b, const char *phase, int input_rw, int output)
{
	const struct limits_sample *last;

	if (strcmp(phase, "copy-out") == 0)
		return allocated(output);
	if (strcmp(phase, "copy-in") == 0 && b->n_samples > 0) {
		last = &b->samples[b->n_samples - 1];
		return last->read - MIN(last->read, b->read_before);
	}
	if ((strcmp(phase, "start") == 0 || strcmp(phase, "boot") == 0 ||
	     strcmp(phase, "ready") == 0) &&
	    b->in_bytes == 0)
		return allocated(input_rw);
	return 0;
}

void progress_tick(struct build *b, int input_rw, int output)
{
	const struct build_phase *p = &b->phases[b->n_phases - 1];
	struct build_progress now = {.phase = p->name, .ms = build_now(b) - p->start_ms};
	char text[160];

	now.bytes = copied(b, p->name, input_rw, output);
	if (strcmp(p->name, "copy-in") == 0) {
		now.total = b->in_bytes;
		now.bytes = MIN(now.bytes, now.total);
	}
	now.rate = now.ms ? now.bytes * 1000 / now.ms : 0;
	ui_status(&b->ui, "%s", progress_text(&now, text, sizeof(text)));
	if (now.bytes && build_now(b) - b->progress_told_ms >= EVENT_MS) {
		b->progress_told_ms = build_now(b);
		events_progress(b, &now);
	}
}
