/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input disk: the archive of the driver and recipe, and the place of the second archive. */
#include "input.h"

#include <errno.h>

#include "pack.h"

static int write_files(struct pack *p, const struct input_file *files, size_t n, struct err *e)
{
	const struct stat folder = {.st_mode = 0755, .st_mtim = {.tv_sec = 946684800}};
	char path[512];
	int r = pack_folder(p, "contractor", &folder, e);

	for (size_t i = 0; i < n && r == 0; i++) {
		const struct input_file *f = &files[i];

		if ((size_t)snprintf(path, sizeof(path), "contractor/%s", f->name) >= sizeof(path))
			return err_errno(e, -ENAMETOOLONG, "input disk: %s", f->name);
		r = pack_data(p, path, f->data, f->len, f->mode, e);
	}
	return r < 0 ? r : pack_finish(p, e);
}

int input_write_head(int fd, const struct input_file *files, size_t n, struct err *e)
{
	_cleanup_(pack_free_p) struct pack *p = NULL;
	off_t start = lseek(fd, 0, SEEK_CUR), end;
	uint64_t sum = 0;
	int r;

	if (start != 0)
		return err_errno(e, start < 0 ? -errno : -EINVAL,
				 "input disk: its file is not at its beginning");
	/* each file has at most three blocks of headers and one of padding */
	for (size_t i = 0; i < n; i++)
		sum += MIN((uint64_t)files[i].len, INPUT_HEAD_SIZE) + 4 * 512ULL;
	if (sum > INPUT_HEAD_SIZE - 4096)
		return err_set(e, -EFBIG,
			       "the recipe and what goes with it are larger than 1 MiB together");
	r = pack_new(fd, &p, e);
	if (r == 0)
		r = write_files(p, files, n, e);
	if (r < 0)
		return r;
	end = lseek(fd, 0, SEEK_CUR);
	if (end < 0 || end > (off_t)INPUT_HEAD_SIZE)
		return err_set(e, -EFBIG, "input disk: the first archive does not fit its place");
	if (lseek(fd, (off_t)INPUT_HEAD_SIZE, SEEK_SET) < 0)
		return err_errno(e, -errno, "input disk: cannot seek");
	return 0;
}
