/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Forking the dialer with nothing but its socket. */
#include "dial-process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "net/dialer.h"

static _Noreturn void serve(int fd, const struct net_rule *rules, size_t n, pid_t parent)
{
	const struct dialer_config config = {.rules = rules, .n_rules = n};
	struct err e = ERR_INIT;
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)setsid();
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(fd, 3) < 0 || syscall(SYS_close_range, 4, ~0U, 0) < 0)
		_exit(1);
	if (dialer_run(3, &config, &e) < 0) {
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
