/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding the installed QEMU's parts; each keeps its own path, so that QEMU finds it there too. */
#include "manager-files.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "libs.h"

struct gather {
	struct rootfs *f;
	char *lib_dir; /* where libc is: a folder that the loader always looks in */
};

/* Firmware by QEMU's architecture; the others boot a kernel without any. */
static const struct {
	const char *arch;
	const char *files[8];
} firmware[] = {
	{"x86_64",
	 {"bios-256k.bin", "bios-microvm.bin", "kvmvapic.bin", "linuxboot_dma.bin", "pvh.bin"}},
};

static const char *const firmware_dirs[] = {"share/qemu", "share/seabios", "share/qemu-kvm"};

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* On a merged-/usr system /lib/x is /usr/lib/x: one name for each file, whoever names it. */
static int real_name(const char *path, char out[PATH_MAX])
{
	_cleanup_free_ char *dir = strdup(path), *real = NULL;
	const char *base = strrchr(path, '/');
	int n;

	if (!dir)
		return -ENOMEM;
	if (path[0] != '/')
		return -EINVAL;
	*strrchr(dir, '/') = '\0';
	real = realpath(*dir ? dir : "/", NULL);
	if (!real)
		return -errno;
	n = snprintf(out, PATH_MAX, "%s%s", strcmp(real, "/") == 0 ? "" : real, base);
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int add_installed(struct gather *g, const char *path)
{
	char name[PATH_MAX];
	struct stat st;
	int r = real_name(path, name);

	if (r < 0)
		return r;
	if (stat(path, &st) < 0)
		return -errno;
	return rootfs_add_file(g->f, name, st.st_mode & 0111 ? 0755 : 0644, path);
}

static int on_lib(const char *path, void *user_data)
{
	struct gather *g = user_data;
	const char *base = strrchr(path, '/') + 1;
	char name[PATH_MAX];
	int r = real_name(path, name);

	if (r == 0)
		r = add_installed(g, path);
	if (r == 0 && strcmp(base, "libc.so.6") == 0 && !g->lib_dir) {
		g->lib_dir = strdup(name);
		if (!g->lib_dir)
			return -ENOMEM;
		*strrchr(g->lib_dir, '/') = '\0';
	}
	return r;
}

/*
 * The loader's own list of folders is not in the image: a library from elsewhere (/usr/local/lib)
 * gets a link where the loader always looks.
 */
static int link_strays(struct gather *g)
{
	size_t n = g->f->n;

	for (size_t i = 0; i < n && g->lib_dir; i++) {
		const char *name = g->f->v[i].name, *base = strrchr(name, '/');
		_cleanup_free_ char *link = NULL, *target = NULL;
		int r;

		if (!base || !strstr(base, ".so") || strncmp(base, "/ld-", 4) == 0 ||
		    strncmp(base, "/accel-", 7) == 0 || !g->f->v[i].source ||
		    strncmp(name, g->lib_dir + 1, (size_t)(base - name)) == 0)
			continue;
		if (asprintf(&link, "%s%s", g->lib_dir, base) < 0)
			link = NULL;
		if (asprintf(&target, "/%s", name) < 0)
			target = NULL;
		if (!link || !target)
			return -ENOMEM;
		r = rootfs_add_link(g->f, link, target);
		if (r < 0 && r != -EEXIST)
			return r;
	}
	return 0;
}

static int add_libs(struct gather *g, const char *loader, const char *file, struct err *e)
{
	return loader ? libs_find(loader, file, on_lib, g, e) : 0;
}

/* A program with its loader and libraries, under a name of our own or (NULL) its own. */
static int add_program(struct gather *g, const char *path, const char *name, struct err *e)
{
	_cleanup_free_ char *loader = NULL;
	int r = libs_loader(path, &loader, e);

	if (r < 0)
		return r;
	r = name ? rootfs_add_file(g->f, name, 0755, path) : add_installed(g, path);
	if (r == 0 && loader)
		r = add_installed(g, loader);
	if (r < 0)
		return err_errno(e, r, "%s", path);
	return add_libs(g, loader, path, e);
}

/* Debian builds the accelerators as modules beside the libraries; others build them in. */
static int add_accelerator(struct gather *g, const char *arch, const char *qemu, struct err *e)
{
	_cleanup_free_ char *path = NULL, *loader = NULL;
	int r;

	if (!g->lib_dir)
		return 0;
	if (asprintf(&path, "%s/qemu/accel-tcg-%s.so", g->lib_dir, arch) < 0) {
		path = NULL;
		return err_oom(e);
	}
	if (!is_file(path))
		return 0;
	r = add_installed(g, path);
	if (r < 0)
		return err_errno(e, r, "%s", path);
	r = libs_loader(qemu, &loader, e);
	return r < 0 ? r : add_libs(g, loader, path, e);
}

/* In the folders that belong to the prefix of this QEMU (/usr of /usr/bin/qemu-system-x86_64). */
static int add_firmware_file(struct gather *g, const char *qemu, const char *file, struct err *e)
{
	_cleanup_free_ char *prefix = realpath(qemu, NULL);
	char *slash;

	for (int up = 0; up < 2 && prefix; up++) {
		slash = strrchr(prefix, '/');
		if (slash)
			*slash = '\0';
	}
	if (!prefix)
		return err_errno(e, -errno, "%s", qemu);
	for (size_t i = 0; i < ARRAY_SIZE(firmware_dirs); i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s/%s", prefix, firmware_dirs[i], file) < 0) {
			path = NULL;
			return err_oom(e);
		}
		if (is_file(path))
			return rootfs_add_file(g->f, path, 0644, path) < 0 ? err_oom(e) : 0;
	}
	return err_set(e, -ENOENT,
		       "%s: QEMU's firmware file is not in %s/share/qemu; install the package that "
		       "has it (qemu-system-data, seabios)",
		       file, prefix);
}

static int add_firmware(struct gather *g, const struct manager_image_spec *s, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(firmware); i++) {
		if (strcmp(firmware[i].arch, s->arch) != 0)
			continue;
		for (size_t k = 0; firmware[i].files[k] && r == 0; k++)
			r = add_firmware_file(g, s->qemu, firmware[i].files[k], e);
	}
	return r;
}

/* /lib, /bin and the like are links where they are links here. */
static int add_base(struct gather *g)
{
	static const char *const links[] = {"bin", "lib", "lib64", "sbin"};
	static const char *const dirs[] = {"dev", "proc", "run", "sys", "tmp"};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(links) && r == 0; i++) {
		char path[16], target[PATH_MAX];
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/%s", links[i]);
		n = readlink(path, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		r = rootfs_add_link(g->f, path, target);
	}
	for (size_t i = 0; i < ARRAY_SIZE(dirs) && r == 0; i++)
		r = rootfs_add_dir(g->f, dirs[i]);
	/* init's first words: the kernel opens it before devtmpfs is mounted */
	return r < 0 ? r : rootfs_add_char_device(g->f, "dev/console", 0600, 5, 1);
}

static int add_debug(struct gather *g, const char *busybox, struct err *e)
{
	int r = rootfs_add_file(g->f, "usr/bin/busybox", 0755, busybox);

	if (r == 0)
		r = rootfs_add_link(g->f, "usr/bin/sh", "busybox");
	return r < 0 ? err_errno(e, r, "%s", busybox) : 0;
}

int manager_files_add(const struct manager_image_spec *s, struct rootfs *f, struct err *e)
{
	_cleanup_free_ char *init = NULL;
	struct gather g = {.f = f};
	int r;

	if (asprintf(&init, "%s/manager/init", s->firmware_dir) < 0) {
		init = NULL;
		return err_oom(e);
	}
	r = add_base(&g) < 0 ? err_oom(e) : 0;
	if (r == 0)
		r = add_program(&g, init, "init", e);
	if (r == 0)
		r = add_program(&g, s->program, "usr/libexec/contractor/contractor-manager", e);
	if (r == 0)
		r = add_program(&g, s->qemu, NULL, e);
	if (r == 0)
		r = add_accelerator(&g, s->arch, s->qemu, e);
	if (r == 0)
		r = add_firmware(&g, s, e);
	if (r == 0 && s->busybox)
		r = add_debug(&g, s->busybox, e);
	if (r == 0 && link_strays(&g) < 0)
		r = err_oom(e);
	free(g.lib_dir);
	return r;
}

int manager_files_add_modules(struct rootfs *f, const struct modules *m)
{
	_cleanup_buf_ struct buf list = {0};
	int r = 0;

	for (size_t i = 0; i < m->n && r == 0; i++) {
		const struct module *v = &m->v[i];
		char name[128];

		(void)snprintf(name, sizeof(name), "modules/%s.ko", v->name);
		r = rootfs_add_data(f, name, 0644, v->content.data, v->content.len);
		if (r == 0)
			r = buf_printf(&list, "%s%s\n", v->optional ? "?" : "", v->name);
	}
	if (r == 0)
		r = rootfs_add_data(f, "modules/order", 0644, buf_str(&list), list.len);
	return r;
}
