/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Steps go to the child by a pipe; it looks at the clock and at the disk twice a second. */
#include "ticker.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>

#include "base/child.h"
#include "base/io.h"
#include "progress.h"

#define TICK_MS	 500
#define STEP_MAX 200

/* One step, as it goes through the pipe. */
struct step {
	char what[STEP_MAX];
	uint64_t began_ms, free; /* bytes that the file system had left; 0: it does not write */
};

static uint64_t get_free(const char *dir)
{
	struct statvfs v;

	return statvfs(dir, &v) < 0 ? 0 : (uint64_t)v.f_bfree * v.f_frsize;
}

static char *describe(const struct step *s, const char *dir, char *out, size_t size)
{
	uint64_t now = get_free(dir);
	struct build_progress p = {.phase = s->what, .ms = io_now_ms() - s->began_ms};

	p.bytes = s->free > now ? s->free - now : 0;
	p.rate = p.ms ? p.bytes * 1000 / p.ms : 0;
	return progress_text(&p, out, size);
}

static void end_step(struct ui *u, const struct step *s, const char *dir)
{
	char text[STEP_MAX + 100];

	if (s->what[0])
		ui_say(u, "%s", describe(s, dir, text, sizeof(text)));
}

static _Noreturn void draw(struct ui *u, int fd, const char *dir)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct step s = {.what = ""};
	char text[STEP_MAX + 100];

	/* ^C is the parent's; its end closes the pipe */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGINT, SIG_IGN);
	for (;;) {
		if (poll(&p, 1, TICK_MS) > 0) {
			struct step next;
			ssize_t n = io_read_full(fd, &next, sizeof(next));

			end_step(u, &s, dir);
			if (n != (ssize_t)sizeof(next))
				_exit(0);
			s = next;
		}
		if (s.what[0])
			ui_status(u, "%s", describe(&s, dir, text, sizeof(text)));
	}
}

void ticker_start(struct ticker *t, const char *dir)
{
	struct ui u = {.mode = UI_NORMAL};
	int p[2];

	ui_init(&u);
	if (!u.live || pipe2(p, O_CLOEXEC) < 0)
		return;
	t->pid = fork();
	if (t->pid == 0) {
		(void)close(p[1]);
		draw(&u, p[0], dir);
	}
	(void)close(p[0]);
	if (t->pid < 0) {
		t->pid = 0;
		(void)close(p[1]);
		return;
	}
	t->fd = p[1];
	t->dir = dir;
}

void ticker_say(struct ticker *t, const char *what, bool writes)
{
	struct step s = {.began_ms = io_now_ms()};

	if (t->pid == 0) {
		(void)fprintf(stderr, "contractor: %s\n", what);
		return;
	}
	s.free = writes ? get_free(t->dir) : 0;
	(void)snprintf(s.what, sizeof(s.what), "%s", what);
	(void)io_write_full(t->fd, &s, sizeof(s));
}

void ticker_stop(struct ticker *t)
{
	if (t->pid == 0)
		return;
	fd_close(&t->fd);
	(void)child_wait(t->pid, NULL);
	t->pid = 0;
}
