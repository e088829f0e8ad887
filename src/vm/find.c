/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding QEMU. */
#include "find.h"

#include <errno.h>

static const char *package_of(const char *arch)
{
	if (strcmp(arch, "x86_64") == 0)
		return "qemu-system-x86";
	if (strcmp(arch, "aarch64") == 0)
		return "qemu-system-arm";
	return "qemu-system-misc";
}

static int resolve(const char *path, char out[PATH_MAX])
{
	char real[PATH_MAX];

	if (!realpath(path, real) || access(real, X_OK) < 0)
		return -errno;
	(void)snprintf(out, PATH_MAX, "%s", real);
	return 0;
}

int vm_find_qemu(const char *arch, char out[PATH_MAX], struct err *e)
{
	const char *given = getenv("CONTRACTOR_QEMU");
	const char *path = getenv("PATH");
	char candidate[PATH_MAX];

	if (given && *given) {
		int r = resolve(given, out);

		return r < 0 ? err_errno(e, r, "CONTRACTOR_QEMU: %s", given) : 0;
	}
	for (const char *p = path ? path : "/usr/local/bin:/usr/bin:/bin"; *p;) {
		size_t n = strcspn(p, ":");

		(void)snprintf(candidate, sizeof(candidate), "%.*s/qemu-system-%s", (int)n, p,
			       arch);
		if (n > 0 && resolve(candidate, out) == 0)
			return 0;
		p += n + (p[n] == ':');
	}
	return err_set(e, -ENOENT,
		       "qemu-system-%s is not in PATH; apt install %s, or set "
		       "CONTRACTOR_QEMU to the program",
		       arch, package_of(arch));
}
