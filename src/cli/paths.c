/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Looking for our own files beside the running program, and for the user's folders. */
#include "paths.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>

#include "base/io.h"

char *paths_join(const char *dir, const char *path)
{
	char *out = NULL;

	if (path[0] == '/')
		return strdup(path);
	if (asprintf(&out, "%s/%s", dir, path) < 0)
		return NULL;
	return out;
}

/* The folder of the running program. */
static int program_dir(char out[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
	char *slash;

	if (n < 0)
		return -errno;
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	return 0;
}

/* The first of the candidates that is there; relative ones are seen from the program's folder. */
static int first_of(const char *const *candidates, size_t n, int mode, const char *what, char **ret,
		    struct err *e)
{
	char dir[PATH_MAX];

	if (program_dir(dir) < 0)
		(void)snprintf(dir, sizeof(dir), "/");
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *p = paths_join(dir, candidates[i]);

		if (!p)
			return err_oom(e);
		if (access(p, mode) == 0) {
			*ret = take_ptr(&p);
			return 0;
		}
	}
	return err_set(e, -ENOENT, "%s is missing beside %s; the installation is not complete",
		       what, dir);
}

int paths_manager(char **ret, struct err *e)
{
	static const char *const candidates[] = {
		"../manager/contractor-manager", /* build tree */
		"../libexec/contractor/contractor-manager",
		CONTRACTOR_LIBEXECDIR "/contractor-manager",
	};

	return first_of(candidates, ARRAY_SIZE(candidates), X_OK, "contractor-manager", ret, e);
}

int paths_firmware(char **ret, struct err *e)
{
	static const char *const candidates[] = {
		"../../firmware", /* build tree */
		"../share/contractor/firmware",
		CONTRACTOR_DATADIR "/firmware",
	};
	int r = first_of(candidates, ARRAY_SIZE(candidates), R_OK, "the firmware folder", ret, e);

	return r;
}

char *paths_program(const char *name)
{
	static const char more[] = "/usr/local/sbin:/usr/sbin:/sbin";
	const char *path = getenv("PATH");

	for (const char *list = path ? path : more; list; list = list == more ? NULL : more) {
		for (const char *p = list; *p;) {
			size_t n = strcspn(p, ":");
			_cleanup_free_ char *file = NULL;

			if (asprintf(&file, "%.*s/%s", (int)n, p, name) < 0) {
				file = NULL;
				return NULL;
			}
			if (*p == '/' && access(file, X_OK) == 0)
				return take_ptr(&file);
			p += n + (p[n] == ':');
		}
	}
	return NULL;
}

static const char *home_dir(void)
{
	const char *home = getenv("HOME");
	struct passwd *pw;

	if (home && home[0] == '/')
		return home;
	pw = getpwuid(getuid());
	return pw ? pw->pw_dir : NULL;
}

char *paths_config(void)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = home_dir();
	char *p = NULL;
	int r;

	if (xdg && xdg[0] == '/')
		r = asprintf(&p, "%s/contractor/config.yaml", xdg);
	else if (home)
		r = asprintf(&p, "%s/.config/contractor/config.yaml", home);
	else
		return NULL;
	return r < 0 ? NULL : p;
}

static int user_dir(const char *variable, const char *below_home, char **ret, struct err *e)
{
	const char *xdg = getenv(variable), *home = home_dir();
	_cleanup_free_ char *p = NULL;
	int r;

	if (xdg && xdg[0] == '/') {
		r = asprintf(&p, "%s/contractor", xdg);
	} else {
		if (!home)
			return err_set(e, -ENOENT, "no home folder is known; set HOME or %s",
				       variable);
		r = asprintf(&p, "%s/%s/contractor", home, below_home);
	}
	if (r < 0) {
		p = NULL;
		return err_oom(e);
	}
	r = io_mkdir_p(p, 0700, e);
	if (r == 0)
		*ret = take_ptr(&p);
	return r;
}

int paths_state(char **ret, struct err *e)
{
	const char *cache = getenv("CONTRACTOR_CACHE_DIR");
	int r = user_dir("XDG_STATE_HOME", ".local/state", ret, e);
	_cleanup_free_ char *p = NULL;
	struct err why = ERR_INIT;

	if (!cache && e && (r == -EROFS || r == -EACCES || r == -ENOENT)) {
		why = *e;
		return err_set(e, r, "%s; set HOME, or give --cache-dir DIR", why.text);
	}
	if (!cache || (r == 0 && access(*ret, W_OK) == 0) ||
	    (r < 0 && r != -EROFS && r != -EACCES && r != -ENOENT && r != -EPERM))
		return r;
	if (r == 0) {
		free(*ret);
		*ret = NULL;
	}
	p = paths_join(cache, "state");
	r = p ? io_mkdir_p(p, 0700, e) : err_oom(e);
	if (r == 0)
		*ret = take_ptr(&p);
	return r;
}

int paths_cache(char **ret, struct err *e)
{
	const char *cache = getenv("CONTRACTOR_CACHE_DIR");
	_cleanup_free_ char *p = cache ? strdup(cache) : NULL;
	int r;

	if (!cache)
		return user_dir("XDG_CACHE_HOME", ".cache", ret, e);
	r = p ? io_mkdir_p(p, 0700, e) : err_oom(e);
	if (r == 0)
		*ret = take_ptr(&p);
	return r;
}
