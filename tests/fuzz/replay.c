/* SPDX-License-Identifier: GPL-3.0-or-later */
/* main() that runs a fuzz target over the files of its corpus, one TAP test a file. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "fuzz.h"

/* An input that takes longer is a hang: SIGALRM ends the program, and with it the test. */
#define INPUT_SECONDS 20
#define INPUT_MAX     (16 * MIB)

static int is_input(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* The bytes go through an allocation of exactly their size, so that ASan sees an over-read. */
static int replay(const char *dir, const char *name)
{
	_cleanup_buf_ struct buf path = {0}, content = {0};
	_cleanup_free_ uint8_t *exact = NULL;
	struct err e = ERR_INIT;
	int r = buf_printf(&path, "%s/%s", dir, name);

	if (r < 0)
		return r;
	r = io_read_file(AT_FDCWD, buf_str(&path), INPUT_MAX, &content, &e);
	if (r < 0) {
		printf("# %s\n", e.text);
		return r;
	}
	exact = malloc(MAX(content.len, 1));
	if (!exact)
		return -ENOMEM;
	if (content.len)
		memcpy(exact, content.data, content.len);
	(void)alarm(INPUT_SECONDS);
	(void)LLVMFuzzerTestOneInput(exact, content.len);
	(void)alarm(0);
	return 0;
}

int main(int argc, char **argv)
{
	struct dirent **list = NULL;
	int n, i, failed = 0;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
		return 2;
	}
	n = scandir(argv[1], &list, is_input, alphasort);
	if (n <= 0) {
		(void)fprintf(stderr, "%s: no corpus: %s\n", argv[1],
			      n < 0 ? strerror(errno) : "the folder is empty");
		return 1;
	}
	printf("1..%d\n", n);
	for (i = 0; i < n; i++) {
		int r = replay(argv[1], list[i]->d_name);

		printf("%s %d - %s\n", r < 0 ? "not ok" : "ok", i + 1, list[i]->d_name);
		(void)fflush(stdout);
		failed += r < 0;
		free(list[i]);
	}
	free(list);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
