/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor-manager: the program that controls one worker. */
/*
 * It knows nothing of where it runs; its
 * home (namespaces on the host, or a manager VM) hands it one control socket and the files by
 *number:
 *
 *	contractor-manager --control 3 --image 4 --input 5 --output 6 --scratch 7 [--dialer 8]
 *[--cgroup 9]
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>

#include "base/io.h"
#include "base/log.h"
#include "base/num.h"
#include "run.h"

static int parse_fd(const char *text, int *ret)
{
	uint64_t v;

	if (parse_u64(text, &v) < 0 || v > 1023 || fcntl((int)v, F_GETFD) < 0)
		return -EBADF;
	*ret = (int)v;
	return io_set_cloexec(*ret, 1);
}

static int usage(void)
{
	static const char text[] =
		"contractor-manager is started by contractor, not by hand.\n"
		"Usage: contractor-manager --control FD --image FD --input FD --output FD "
		"--scratch FD [--dialer FD] [--cgroup FD]\n";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"control", required_argument, NULL, 'c'},
		{"image", required_argument, NULL, 'm'},
		{"input", required_argument, NULL, 'i'},
		{"output", required_argument, NULL, 'o'},
		{"scratch", required_argument, NULL, 's'},
		{"dialer", required_argument, NULL, 'n'},
		{"cgroup", required_argument, NULL, 'g'},
		{"debug", no_argument, NULL, 'd'},
		{0},
	};
	struct run_files files = {-1, -1, -1, -1, -1, -1};
	struct err e = ERR_INIT;
	int control = -1, opt, r = 0;

	log_setup("contractor-manager", LOG_WARNING);
	(void)signal(SIGPIPE, SIG_IGN);
	while (r == 0 && (opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			r = parse_fd(optarg, &control);
			break;
		case 'm':
			r = parse_fd(optarg, &files.image);
			break;
		case 'i':
			r = parse_fd(optarg, &files.input);
			break;
		case 'o':
			r = parse_fd(optarg, &files.output);
			break;
		case 's':
			r = parse_fd(optarg, &files.scratch);
			break;
		case 'n':
			r = parse_fd(optarg, &files.dialer);
			break;
		case 'g':
			r = parse_fd(optarg, &files.cgroup);
			break;
		case 'd':
			log_setup("contractor-manager", LOG_DEBUG);
			break;
		default:
			return usage();
		}
	}
	if (r < 0 || control < 0 || files.image < 0 || files.input < 0 || files.output < 0 ||
	    files.scratch < 0 || optind != argc)
		return usage();
	r = run_serve(control, &files, &e);
	if (r < 0)
		log_warning("%s", e.text);
	return r < 0 ? 1 : 0;
}
