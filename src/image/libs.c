/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Asking the dynamic loader, which alone knows its caches and search paths. */
#include "libs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/child.h"
#include "elf-section.h"

#define LIST_MAX (1 * MIB)
#define LDD_S	 60

int libs_loader(const char *program, char **ret, struct err *e)
{
	_cleanup_close_ int fd = open(program, O_RDONLY | O_CLOEXEC);
	const char *interp;
	struct stat st;
	size_t len;
	void *map;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, -errno, "%s: cannot open", program);
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return err_set(e, -ENOEXEC, "%s: not a program", program);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return err_errno(e, -errno, "%s: cannot read", program);
	r = elf_section(map, (size_t)st.st_size, ".interp", &interp, &len);
	if (r == 0) {
		*ret = strndup(interp, len);
		r = *ret ? 0 : err_oom(e);
	} else if (r == -ENOENT) {
		*ret = NULL;
		r = 0;
	} else {
		err_set(e, r, "%s: not a program of this machine's kind", program);
	}
	(void)munmap(map, (size_t)st.st_size);
	return r;
}

/*
 *	<tab>linux-vdso.so.1 (0x00007f9795931000)
 *	<tab>libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f97956d2000)
 *	<tab>libold.so.1 => not found
 *	<tab>/lib64/ld-linux-x86-64.so.2 (0x00007f9795933000)
 */
static int parse_line(const char *line, size_t len, libs_fn fn, void *user_data, struct err *e)
{
	const char *arrow = memmem(line, len, " => ", 4), *end = line + len, *p = line, *paren;
	char path[PATH_MAX];
	size_t n;

	if (arrow)
		p = arrow + 4;
	else
		p += p < end && *p == '\t';
	if (p == end || *p != '/') {
		if (arrow)
			return err_set(e, -ENOENT, "the library%.*s is not installed",
				       (int)(arrow - line), line);
		return 0; /* the kernel's vDSO */
	}
	paren = memmem(p, (size_t)(end - p), " (0x", 4);
	n = (size_t)((paren ? paren : end) - p);
	if (n >= sizeof(path))
		return err_set(e, -EBADMSG, "the dynamic loader names a path that is too long");
	memcpy(path, p, n);
	path[n] = '\0';
	return fn(path, user_data);
}

int libs_parse(const char *text, libs_fn fn, void *user_data, struct err *e)
{
	int r = 0;

	while (r == 0 && *text) {
		const char *end = strchrnul(text, '\n');

		r = parse_line(text, (size_t)(end - text), fn, user_data, e);
		text = *end ? end + 1 : end;
	}
	return r;
}

int libs_find(const char *loader, const char *file, libs_fn fn, void *user_data, struct err *e)
{
	/* variants for the newer CPUs of this machine would crash on an emulated one */
	const char *argv[] = {"env",  "-i",	loader, "--glibc-hwcaps-mask",
			      "none", "--list", file,	NULL};
	_cleanup_buf_ struct buf text = {0};
	int r = child_run(argv, &text, LIST_MAX, LDD_S, e);

	if (r == 0)
		r = libs_parse(buf_str(&text), fn, user_data, e);
	return r < 0 ? err_wrap(e, "%s: cannot find its libraries", file) : 0;
}
