/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Temporary folders: tmp-XXXXXX, so that a later run knows them for what they are. */
#include "tmpdir.h"

#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <sys/stat.h>

int tmpdir_make(const char *parent, char **ret, struct err *e)
{
	_cleanup_free_ char *dir = NULL;

	if (asprintf(&dir, "%s/tmp-XXXXXX", parent) < 0) {
		dir = NULL;
		return err_oom(e);
	}
	if (!mkdtemp(dir))
		return err_errno(e, -errno, "%s: cannot make a temporary folder", parent);
	*ret = take_ptr(&dir);
	return 0;
}

void tmpdir_remove(char **dir)
{
	char *const roots[] = {*dir, NULL};
	FTSENT *ent;
	FTS *fts;

	if (!*dir)
		return;
	fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	while (fts && (ent = fts_read(fts))) {
		if (ent->fts_info == FTS_DP)
			(void)rmdir(ent->fts_path);
		else if (ent->fts_info == FTS_D)
			(void)chmod(ent->fts_path, 0700); /* packages have read-only folders */
		else
			(void)unlink(ent->fts_path);
	}
	if (fts)
		(void)fts_close(fts);
	free(*dir);
	*dir = NULL;
}

void tmpdir_sweep(const char *parent)
{
	DIR *d = opendir(parent);
	struct dirent *ent;

	while (d && (ent = readdir(d))) {
		_cleanup_tmpdir_ char *dir = NULL;

		if (strncmp(ent->d_name, "tmp-", 4) == 0 &&
		    asprintf(&dir, "%s/%s", parent, ent->d_name) < 0)
			dir = NULL;
	}
	if (d)
		(void)closedir(d);
}
