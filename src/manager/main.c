/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor-manager: the program that controls one worker. */
/*
 * It knows nothing of where it runs; its
 * home (namespaces on the host, or a manager VM) hands it one control socket and the files by
 *number:
 *
 *	contractor-manager --control 3 --image 4 --input 5 --output 6 --scratch 7 [--layer 8]
 *	                   [--dialer 9] [--cgroup 10] [--memory 11 --state 12]
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
		"--scratch FD [--layer FD] [--dialer FD] [--cgroup FD] [--memory FD --state FD]\n";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	return 2;
}

/* Where the descriptor of an option goes; NULL for one without. */
static int *place_of(struct run_files *f, int *control, int opt)
{
	switch (opt) {
	case 'c':
		return control;
	case 'm':
		return &f->image;
	case 'i':
		return &f->input;
	case 'o':
		return &f->output;
	case 's':
		return &f->scratch;
	case 'l':
		return &f->layer;
	case 'n':
		return &f->dialer;
	case 'g':
		return &f->cgroup;
	case 'M':
		return &f->memory;
	case 'S':
		return &f->state;
	default:
		return NULL;
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"control", required_argument, NULL, 'c'}, {"image", required_argument, NULL, 'm'},
		{"input", required_argument, NULL, 'i'},   {"output", required_argument, NULL, 'o'},
		{"scratch", required_argument, NULL, 's'}, {"layer", required_argument, NULL, 'l'},
		{"dialer", required_argument, NULL, 'n'},  {"cgroup", required_argument, NULL, 'g'},
		{"memory", required_argument, NULL, 'M'},  {"state", required_argument, NULL, 'S'},
		{"debug", no_argument, NULL, 'd'},	   {0},
	};
	struct run_files files = {-1, -1, -1, -1, -1, -1, -1, -1, -1};
	struct err e = ERR_INIT;
	int control = -1, opt, r = 0;

	log_setup("contractor-manager", LOG_WARNING);
	(void)signal(SIGPIPE, SIG_IGN);
	while (r == 0 && (opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		int *place = place_of(&files, &control, opt);

		if (place)
			r = parse_fd(optarg, place);
		else if (opt == 'd')
			log_setup("contractor-manager", LOG_DEBUG);
		else
			return usage();
	}
	if (r < 0 || control < 0 || files.image < 0 || files.input < 0 || files.output < 0 ||
	    files.scratch < 0 || optind != argc)
		return usage();
	r = run_serve(control, &files, &e);
	if (r < 0)
		log_warning("%s", e.text);
	return r < 0 ? 1 : 0;
}
