/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Forking the dialer with nothing but its socket. */
#include "dial-process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/child.h"
#include "base/log.h"
#include "net/dialer.h"
#include "net/ruleset.h"

#define PORT_FD 3
/* What the manager VM sends is parsed in a process that may not grow. */
#define PORT_MEMORY (1 * GIB)

/* In the child: nothing of the parent's is left but descriptor 3; false: it cannot be had. */
static bool alone_with(int fd, pid_t parent)
{
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		return false;
	(void)setsid();
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	return dup2(fd, PORT_FD) >= 0 && syscall(SYS_close_range, PORT_FD + 1, ~0U, 0) == 0;
}

static _Noreturn void serve(int fd, const struct net_rule *rules, size_t n, pid_t parent)
{
	const struct dialer_config config = {.rules = rules, .n_rules = n};
	struct err e = ERR_INIT;

	if (!alone_with(fd, parent))
		_exit(1);
	if (dialer_run(PORT_FD, &config, &e) < 0) {
		log_warning("the dialer: %s", e.text);
		_exit(1);
	}
	_exit(0);
}

pid_t dial_process_start(const struct net_rule *rules, size_t n, int *ret_fd, struct err *e)
{
	pid_t parent = getpid(), pid;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, -errno, "cannot make the dialer's socket");
	pid = fork();
	if (pid == 0)
		serve(pair[1], rules, n, parent);
	if (pid < 0) {
		int r = err_errno(e, -errno, "cannot start the dialer");

		(void)close(pair[0]);
		(void)close(pair[1]);
		return r;
	}
	(void)close(pair[1]);
	*ret_fd = pair[0];
	return pid;
}

static _Noreturn void serve_port(int port, const struct net_rule *rules, size_t n,
				 const struct mux_host_config *config, pid_t parent)
{
	const struct rlimit memory = {PORT_MEMORY, PORT_MEMORY};
	struct err e = ERR_INIT;
	int dialer = -1;

	if (!alone_with(port, parent))
		_exit(MUX_HOST_BROKEN);
	if (dial_process_start(rules, n, &dialer, &e) < 0) {
		log_warning("%s", e.text);
		_exit(MUX_HOST_BROKEN);
	}
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)setrlimit(RLIMIT_AS, &memory);
	_exit((int)mux_host_run(PORT_FD, dialer, config));
}

int dial_port_start(const struct net_rule *rules, size_t n, uint64_t rate, uint64_t total, int port,
		    struct dial_port *ret, struct err *e)
{
	struct mux_host_config config = {ruleset_rate_wall(rate), ruleset_total_wall(total), NULL};
	pid_t parent = getpid(), pid;

	config.counts = mmap(NULL, sizeof(*config.counts), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (config.counts == MAP_FAILED)
		return err_errno(e, -errno, "cannot share memory with the dialer");
	pid = fork();
	if (pid == 0)
		serve_port(port, rules, n, &config, parent);
	if (pid < 0) {
		int r = err_errno(e, -errno, "cannot start the dialer");

		(void)munmap(config.counts, sizeof(*config.counts));
		return r;
	}
	*ret = (struct dial_port){pid, config.counts};
	return 0;
}

void dial_port_done(struct dial_port *d)
{
	if (d->pid > 0) {
		(void)kill(d->pid, SIGKILL);
		(void)child_wait(d->pid, NULL);
	}
	if (d->counts)
		(void)munmap((void *)d->counts, sizeof(*d->counts));
	*d = (struct dial_port)DIAL_PORT_INIT;
}
