/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fetching with apt, whose every file is kept in a folder of ours. */
#include "debian-kernel.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <sys/utsname.h>

#include "base/child.h"
#include "base/io.h"
#include "tmpdir.h"

#define OUTPUT_MAX (4 * MIB)
#define APT_S	   3600 /* it has shorter ones of its own for a server that says nothing */
#define UNPACK_S   600
#define HELP	   "name a kernel with --kernel FILE and --modules DIR, its lib/modules/VERSION"

/* apt's hooks belong to the system's cache, its sandbox user cannot write into our folder. */
static const char apt_conf[] = "#clear APT::Update::Pre-Invoke;\n"
			       "#clear APT::Update::Post-Invoke;\n"
			       "#clear APT::Update::Post-Invoke-Success;\n"
			       "#clear DPkg::Post-Invoke;\n"
			       "APT::Sandbox::User \"root\";\n"
			       "Acquire::Languages \"none\";\n"
			       "Debug::NoLocking \"true\";\n"
			       "Dir::State \"%s/state\";\n"
			       "Dir::State::status \"/var/lib/dpkg/status\";\n"
			       "Dir::Cache \"%s/cache\";\n";

/* The virtual package that depends on the newest kernel; NULL: no such kernel is known. */
static const char *package_of_machine(void)
{
	struct utsname u;

	if (uname(&u) < 0)
		return NULL;
	if (strcmp(u.machine, "x86_64") == 0)
		return "linux-image-cloud-amd64";
	if (strcmp(u.machine, "aarch64") == 0)
		return "linux-image-cloud-arm64";
	return NULL;
}

char *debian_kernel_package(const char *depends)
{
	static const char word[] = "Depends: linux-image-";
	const char *p = strstr(depends, word);

	if (!p)
		return NULL;
	p += strlen("Depends: ");
	return strndup(p, strcspn(p, " \t\n<"));
}

/* The file of that pattern in a folder below `dir` ("": itself), malloc'ed; NULL: there is none. */
static char *find_one(const char *dir, const char *below, const char *pattern)
{
	_cleanup_free_ char *folder = NULL;
	struct dirent *ent;
	char *found = NULL;
	DIR *d;

	if (asprintf(&folder, "%s/%s", dir, below) < 0) {
		folder = NULL;
		return NULL;
	}
	d = opendir(folder);
	while (d && !found && (ent = readdir(d))) {
		if (fnmatch(pattern, ent->d_name, FNM_PERIOD) == 0 &&
		    asprintf(&found, "%s/%s", folder, ent->d_name) < 0)
			found = NULL;
	}
	if (d)
		(void)closedir(d);
	return found;
}

static int run_apt(const char *program, const char *conf, const char *verb, const char *package,
		   struct buf *out, struct err *e)
{
	const char *argv[] = {program, "-qq", "-c", conf, verb, package, NULL};

	return child_run(argv, out, OUTPUT_MAX, APT_S, e);
}

/* In its folder: the configuration, and the folders that apt wants to find. Its path in *ret. */
static int make_conf(const char *dir, char **ret, struct err *e)
{
	static const char *const folders[] = {"state/lists/partial", "cache/archives/partial"};
	_cleanup_buf_ struct buf text = {0};
	_cleanup_free_ char *path = NULL;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(folders) && r == 0; i++) {
		_cleanup_free_ char *folder = NULL;

		if (asprintf(&folder, "%s/%s", dir, folders[i]) < 0) {
			folder = NULL;
			return err_oom(e);
		}
		r = io_mkdir_p(folder, 0700, e);
	}
	if (r < 0)
		return r;
	if (asprintf(&path, "%s/apt.conf", dir) < 0) {
		path = NULL;
		return err_oom(e);
	}
	if (buf_printf(&text, apt_conf, dir, dir) < 0)
		return err_oom(e);
	r = io_write_file_atomic(path, text.data, text.len, 0600, e);
	if (r == 0)
		*ret = take_ptr(&path);
	return r;
}

/* Downloads into the folder `dir`. */
static int download(const char *dir, const char *package, struct err *e)
{
	_cleanup_buf_ struct buf depends = {0}, nothing = {0};
	_cleanup_free_ char *conf = NULL, *real = NULL, *command = NULL;
	int r = make_conf(dir, &conf, e);

	if (r == 0)
		r = run_apt("apt-get", conf, "update", NULL, &nothing, e);
	if (r == 0)
		r = run_apt("apt-cache", conf, "depends", package, &depends, e);
	if (r < 0)
		return r;
	real = debian_kernel_package(buf_str(&depends));
	if (!real)
		return err_set(e, -ENOENT, "this distribution has no package %s", package);
	/* apt-get downloads into the current folder */
	const char *argv[] = {"env", "-C", dir,	       "apt-get", "-qq",
			      "-c",  conf, "download", real,	  NULL};

	buf_done(&nothing);
	return child_run(argv, &nothing, OUTPUT_MAX, APT_S, e);
}

/* Takes the place of whatever package was there. */
static int keep(const char *dir, const char *deb, char **ret, struct err *e)
{
	_cleanup_free_ char *old = NULL, *path = NULL;

	while ((old = find_one(dir, "", "*.deb"))) {
		if (unlink(old) < 0)
			return err_errno(e, -errno, "%s: cannot remove", old);
		free(take_ptr(&old));
	}
	if (asprintf(&path, "%s/%s", dir, strrchr(deb, '/') + 1) < 0) {
		path = NULL;
		return err_oom(e);
	}
	if (rename(deb, path) < 0)
		return err_errno(e, -errno, "%s: cannot rename", deb);
	*ret = take_ptr(&path);
	return 0;
}

int debian_kernel_fetch(const char *dir, bool again, char **ret, struct err *e)
{
	_cleanup_free_ char *have = again ? NULL : find_one(dir, "", "*.deb"), *deb = NULL;
	const char *package = package_of_machine();
	_cleanup_tmpdir_ char *tmp = NULL;
	int r;

	if (have) {
		*ret = take_ptr(&have);
		return 0;
	}
	if (!package || access("/var/lib/dpkg/status", R_OK) < 0)
		return err_set(e, -ENOENT, "no kernel package is known for this machine; " HELP);
	r = tmpdir_make(dir, &tmp, e);
	if (r == 0)
		r = download(tmp, package, e);
	if (r < 0)
		return err_wrap(e, "cannot fetch the package %s (or " HELP ")", package);
	deb = find_one(tmp, "", "*.deb");
	if (!deb)
		return err_set(e, -ENOENT, "apt-get download has left no package of %s", package);
	return keep(dir, deb, ret, e);
}

int debian_kernel_unpack(const char *deb, const char *into, char **ret_kernel, char **ret_modules,
			 struct err *e)
{
	const char *argv[] = {"dpkg-deb", "-x", deb, into, NULL};
	_cleanup_free_ char *kernel = NULL, *modules = NULL;
	int r = child_run(argv, NULL, 0, UNPACK_S, e);

	if (r < 0)
		return r;
	kernel = find_one(into, "boot", "vmlinu[xz]-*");
	modules = find_one(into, "lib/modules", "*");
	if (!modules)
		modules = find_one(into, "usr/lib/modules", "*");
	if (!kernel || !modules)
		return err_set(e, -ENOENT, "%s: has no kernel with modules in it", deb);
	*ret_kernel = take_ptr(&kernel);
	*ret_modules = take_ptr(&modules);
	return 0;
}
