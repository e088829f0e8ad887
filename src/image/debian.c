/* SPDX-License-Identifier: GPL-3.0-or-later */
/* mmdebstrap with the options that a worker wants, and a kernel that is only unpacked. */
#include "debian.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>

#define PACKAGE_MAX 4096
#define FREE_MIN    (64 * MIB) /* in the temporary folder; less is the likely cause of a failure */

/*
 * cryptomgr.notests: the kernel's self-tests of its ciphers are a tenth of a boot under emulation.
 * mitigations=off: the guest is one tenant, what it runs is root in it anyway.
 */
#define CMDLINE "quiet panic=-1 cryptomgr.notests mitigations=off"

/* python3-apt: its module apt; sudo: become. Bullseye has no ansible-core of its own. */
static const char *ansible_packages(const struct image_build *b)
{
	if (!b->ansible)
		return "";
	return strcmp(b->suite, "bullseye") == 0 ? ",ansible,python3-apt,sudo"
						 : ",ansible-core,python3-apt,sudo";
}

static const struct debian_arch arches[] = {
	{"amd64", "x86_64", "console=ttyS0 reboot=t " CMDLINE, "linux-image-cloud-amd64"},
	{"arm64", "aarch64", "console=ttyAMA0 " CMDLINE, "linux-image-cloud-arm64"},
};

static const struct debian_arch *find_arch(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
		if (strcmp(arches[i].debian, name) == 0)
			return &arches[i];
	}
	return NULL;
}

static bool word_ok(const char *s, const char *more)
{
	for (; *s; s++) {
		bool plain = (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '-';

		if (!plain && !strchr(more, *s))
			return false;
	}
	return true;
}

static int check_request(const struct image_build *b, struct err *e)
{
	if (!*b->suite || *b->suite == '-' || !word_ok(b->suite, ""))
		return err_set(e, -EINVAL, "%s: not a name of a Debian suite", b->suite);
	if (*b->include == '-' || !word_ok(b->include, "+.,:") || strlen(b->include) > PACKAGE_MAX)
		return err_set(e, -EINVAL, "%s: not a comma-separated list of packages",
			       b->include);
	if (b->mirror && !strstr(b->mirror, "://"))
		return err_set(e, -EINVAL, "%s: not the URL of a Debian mirror", b->mirror);
	if (b->size < 64 * MIB || b->size > 1024 * GIB)
		return err_set(e, -EINVAL, "the size must be between 64M and 1T");
	return 0;
}

static bool in_path(const char *p, const char *program)
{
	char file[PATH_MAX];

	for (; *p; p += strspn(p, ":")) {
		size_t n = strcspn(p, ":");

		(void)snprintf(file, sizeof(file), "%.*s/%s", (int)n, p, program);
		if (access(file, X_OK) == 0)
			return true;
		p += n;
	}
	return false;
}

static int check_tools(const struct debian_arch *arch, struct err *e)
{
	static const char *const tools[][2] = {{"mmdebstrap", "mmdebstrap"},
					       {"mke2fs", "e2fsprogs"},
					       {"unshare", "util-linux"}};
	const char *native = sizeof(void *) == 8 ? "amd64" : "";
	char path[PATH_MAX];

#ifdef __aarch64__
	native = "arm64";
#endif
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		/* the sandbox looks in the latter folders too */
		if (!in_path(getenv("PATH") ? getenv("PATH") : "", tools[i][0]) &&
		    !in_path("/usr/sbin:/usr/bin:/sbin:/bin", tools[i][0]))
			return err_set(e, -ENOENT,
				       "%s is not installed, and images are made with it; apt "
				       "install %s",
				       tools[i][0], tools[i][1]);
	}
	(void)snprintf(path, sizeof(path), "/proc/sys/fs/binfmt_misc/qemu-%s", arch->qemu);
	if (strcmp(native, arch->debian) != 0 && access(path, F_OK) < 0)
		return err_set(
			e, -ENOENT,
			"programs for %s cannot run here, and an image's packages are set up "
			"by running them; apt install qemu-user-static binfmt-support arch-test",
			arch->debian);
	if (strcmp(native, arch->debian) != 0 &&
	    !in_path("/usr/local/bin:/usr/bin:/bin", "arch-test"))
		return err_set(e, -ENOENT,
			       "arch-test is not installed, by which mmdebstrap sees that "
			       "programs for %s run here; apt install arch-test",
			       arch->debian);
	return 0;
}

int debian_check(const struct image_build *b, const struct debian_arch **ret, struct err *e)
{
	const struct debian_arch *arch = find_arch(b->arch);
	int r;

	if (!arch)
		return err_set(e, -EINVAL, "%s: images can be made for amd64 and arm64", b->arch);
	r = check_request(b, e);
	if (r == 0)
		r = check_tools(arch, e);
	if (r == 0)
		*ret = arch;
	return r;
}

/*
 * Of the kernel only the files are wanted, not the packages that would make an initramfs for it on
 * each change. The package to take is what the metapackage $KERNEL depends on; the latter need not
 * be fetched, and in an old suite may be gone. --keep-directory-symlink: /lib is a link to usr/lib.
 */
static const char kernel_hook[] =
	"cd \"$1/var/cache/apt/archives\" && "
	"set -- \"$1\" $(chroot \"$1\" apt-cache depends $KERNEL | sed -n 's/^ *Depends: //p') && "
	"{ [ -n \"$2\" ] || { echo \"E: no package $KERNEL in this suite\" >&2; exit 1; }; } && "
	"chroot \"$1\" sh -c 'cd /var/cache/apt/archives && "
	"exec apt-get -o APT::Sandbox::User=root download \"$@\"' sh \"$2\" && "
	"dpkg-deb --fsys-tarfile \"$2\"_*.deb | "
	"tar -C \"$1\" -x --keep-directory-symlink --exclude=./usr/share && "
	"rm \"$2\"_*.deb && "
	"chroot \"$1\" busybox depmod \"${2#linux-image-}\"";

int debian_install(const struct image_build *b, const struct debian_arch *debian,
		   struct sandbox *sandbox, const char *tree, struct err *e)
{
	char include[PACKAGE_MAX + 256], arch[32], tmpdir[PATH_MAX], kernel[64], hook[1024];
	const char *argv[] = {"env", tmpdir, kernel, "mmdebstrap", "--mode=root",
			      "--format=directory", "--variant=apt", arch, include, hook,
			      /* the lists stay: a play's update fetches what has changed */
			      b->ansible ? "--skip=cleanup/apt/lists" : "--variant=apt",
			      "--dpkgopt=force-unsafe-io",
			      "--dpkgopt=path-exclude=/usr/share/man/*",
			      "--dpkgopt=path-exclude=/usr/share/info/*",
			      "--dpkgopt=path-exclude=/usr/share/locale/*",
			      "--dpkgopt=path-exclude=/usr/share/doc/*",
			      "--dpkgopt=path-include=/usr/share/doc/*/copyright", b->suite, tree,
			      b->mirror, NULL};
	int r;

	(void)snprintf(arch, sizeof(arch), "--architectures=%s", b->arch);
	(void)snprintf(include, sizeof(include), "--include=busybox-static,tar%s%s%s",
		       ansible_packages(b), *b->include ? "," : "", b->include);
	(void)snprintf(kernel, sizeof(kernel), "KERNEL=%s", debian->kernel);
	(void)snprintf(hook, sizeof(hook), "--customize-hook=%s", kernel_hook);
	(void)snprintf(tmpdir, sizeof(tmpdir), "TMPDIR=%s", sandbox_path(sandbox));
	r = sandbox_run(sandbox, argv, -1, NULL, 0, e);
	if (r == -ECHILD && sandbox_space(sandbox_path(sandbox)) < FREE_MIN)
		return err_set(e, r,
			       "%s: the file system is full; set TMPDIR to a folder elsewhere",
			       sandbox_path(sandbox));
	return r;
}
