/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manager VM's init: sets the machine up, runs contractor-manager, powers the machine off. */
/*
 * What the host sees: the console, with one line "contractor: ..." for everything that fails; the
 * port contractor.manager, on which contractor-manager speaks; the port contractor.dial, by which
 * it gets its connections; and the machine's end.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/io.h"
#include "net/mux-guest.h"
#include "pump.h"
#include "setup.h"

#define MANAGER "/usr/libexec/contractor/contractor-manager"
#define BUSYBOX "/usr/bin/busybox"
/* After the manager's end, until the host has taken its last words and closed the port. */
#define GOODBYE_MS 2000

#define CONTROL_FD 3
#define DIALER_FDS 64 /* the dialer's begin here */

static void say(const char *text)
{
	(void)dprintf(STDERR_FILENO, "contractor: %s\n", text);
}

static _Noreturn void power_off(void)
{
	sync();
	(void)reboot(RB_POWER_OFF);
	/* without a way to switch it off the kernel halts; init must not return */
	for (;;)
		(void)pause();
}

static _Noreturn void die(const struct err *e)
{
	say(e->text);
	say("powering off");
	power_off();
}

static int open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	for (int i = 0; i < 3; i++) {
		if (dup2(fd, i) < 0)
			return -errno;
	}
	if (fd > 2)
		(void)close(fd);
	return 0;
}

/* Only an image made with --debug has one. */
static void start_shell(void)
{
	static const char *const argv[] = {"sh", NULL};
	const struct child_fd fds[] = {{0, 0}, {1, 1}, {2, 2}};
	const struct child_spec spec = {
		.path = BUSYBOX, .argv = argv, .fds = fds, .n_fds = 3, .new_session = 1};
	struct err e = ERR_INIT;

	if (access(BUSYBOX, X_OK) == 0 && child_spawn(&spec, &e) < 0)
		say(e.text);
}

/* In a process that has its requests and the port, and nothing else. */
static _Noreturn void dial(int port, int requests)
{
	struct err e = ERR_INIT;
	int high = fcntl(port, F_DUPFD, DIALER_FDS), other = fcntl(requests, F_DUPFD, DIALER_FDS);

	if (high < 0 || other < 0 || close_range(CONTROL_FD, DIALER_FDS - 1, 0) < 0)
		_exit(1);
	/* the host closes the port of a build that has no network */
	if (setup_wait_host(high, &e) == 0 && mux_guest_run(high, other, &e) < 0)
		say(e.text);
	_exit(0);
}

static pid_t start_dialer(int port, int *ret_fd, struct err *e)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, -errno, "cannot make the dialer's socket");
	pid = fork();
	if (pid == 0)
		dial(port, pair[1]);
	if (pid < 0)
		return err_errno(e, -errno, "cannot start the dialer");
	(void)close(pair[1]);
	*ret_fd = pair[0];
	return pid;
}

/* The manager's network namespace is a new one: nothing in it leads out of the machine. */
static pid_t start_manager(const struct devices *d, int control, int dialer, struct err *e)
{
	const char *const argv[] = {"contractor-manager",
				    "--control",
				    "3",
				    "--image",
				    "4",
				    "--input",
				    "5",
				    "--output",
				    "6",
				    "--scratch",
				    "7",
				    "--dialer",
				    "8",
				    d->layer >= 0 ? "--layer" : NULL,
				    "9",
				    NULL};
	static const char *const env[] = {"PATH=/usr/bin:/usr/sbin:/bin:/sbin", NULL};
	const struct child_fd fds[] = {
		{control, CONTROL_FD},	      {d->image, CONTROL_FD + 1},
		{d->input, CONTROL_FD + 2},   {d->output, CONTROL_FD + 3},
		{d->scratch, CONTROL_FD + 4}, {dialer, CONTROL_FD + 5},
		{d->layer, CONTROL_FD + 6},
	};
	const struct child_spec spec = {
		.path = MANAGER,
		.argv = argv,
		.envp = env,
		.clone_flags = CLONE_NEWNET,
		.fds = fds,
		.n_fds = ARRAY_SIZE(fds) - (d->layer < 0),
		.new_session = 1,
	};

	return child_spawn(&spec, e);
}

/* Reaps whatever has ended; true when the manager was among it, which is then told. */
static bool reap(pid_t manager)
{
	char text[64], line[128];
	bool ended = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != manager)
			continue;
		ended = true;
		if (status == 0)
			continue;
		(void)snprintf(line, sizeof(line), "contractor-manager ended: %s",
			       child_status_text(status, text, sizeof(text)));
		say(line);
	}
	return ended;
}

/* Moves bytes until the manager has ended and the host has what it said, or the host is gone. */
static void serve(struct pump *p, pid_t manager, int signals)
{
	uint64_t end = UINT64_MAX;

	while (!p->hung_up) {
		struct pollfd fds[3] = {[2] = {.fd = signals, .events = POLLIN}};
		uint64_t now = io_now_ms();
		struct signalfd_siginfo info;

		if (now >= end)
			return;
		pump_prepare(p, fds);
		if (poll(fds, ARRAY_SIZE(fds), end == UINT64_MAX ? -1 : (int)(end - now)) < 0)
			continue;
		pump_step(p, fds);
		if (fds[2].revents && read(signals, &info, sizeof(info)) > 0 && reap(manager))
			end = now + GOODBYE_MS;
	}
}

static int run(struct err *e)
{
	_cleanup_free_ struct pump *p = calloc(1, sizeof(*p));
	struct devices d = {-1, -1, -1, -1, -1, -1, -1};
	int signals, pair[2], dialer = -1, r;
	sigset_t set;
	pid_t pid;

	if (!p)
		return err_oom(e);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		return err_errno(e, -errno, "cannot watch for signals");
	r = setup_modules(e);
	if (r == 0)
		r = setup_processors(e);
	if (r == 0)
		r = setup_loopback(e);
	if (r == 0)
		r = setup_devices(&d, e);
	if (r == 0)
		r = start_dialer(d.dial, &dialer, e);
	if (r < 0)
		return r;
	(void)close(d.dial);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, -errno, "cannot make a socket");
	pid = start_manager(&d, pair[1], dialer, e);
	if (pid < 0)
		return (int)pid;
	(void)close(pair[1]);
	(void)close(dialer);
	p->port = d.port;
	p->sock = pair[0];
	r = io_set_nonblock(p->sock, 1);
	if (r < 0)
		return err_errno(e, r, "cannot set up the pump");
	serve(p, pid, signals);
	return 0;
}

int main(void)
{
	struct err e = ERR_INIT;

	if (getpid() != 1) {
		say("this is the init of a manager VM, and runs nowhere else");
		return 1;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (setup_mounts(&e) < 0)
		die(&e);
	if (open_console() < 0)
		say("the console cannot be opened, ignoring");
	start_shell();
	if (run(&e) < 0)
		die(&e);
	power_off();
}
