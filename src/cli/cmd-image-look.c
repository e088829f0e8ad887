/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor image list, inspect, verify: what worker images are there, what is in them, how whole.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "base/io.h"
#include "base/json.h"
#include "base/num.h"
#include "base/sha256.h"
#include "base/text.h"
#include "cmd-image.h"
#include "cmd.h"
#include "image/manifest.h"
#include "options.h"
#include "paths.h"

#define IMAGES_MAX 10000
#define SHOWN_MAX  4096

enum { OPT_JSON = 256, OPT_PACKAGES };

static const struct option_def list_defs[] = {
	{OPT_JSON, "json", NULL, "a list with an object for each", NULL},
	{0},
};

static const struct option_def inspect_defs[] = {
	{OPT_JSON, "json", NULL, "the manifest as it is", NULL},
	{OPT_PACKAGES, "packages", NULL, "the names of the packages in it, one a line", NULL},
	{0},
};

static const struct option_def verify_defs[] = {{0}};

const struct option_verb verb_image_list = {
	.name = "image list",
	.operands = "[FOLDER]",
	.about = "Lists the worker images of FOLDER (the current one): the files with a manifest "
		 "beside\n"
		 "them.\n",
	.defs = list_defs,
	.max = 1,
	.words = "@file",
};

const struct option_verb verb_image_inspect = {
	.name = "image inspect",
	.operands = "IMAGE",
	.about = "Tells what the manifest of a worker image says.\n",
	.defs = inspect_defs,
	.min = 1,
	.max = 1,
	.words = "@file",
};

const struct option_verb verb_image_verify = {
	.name = "image verify",
	.operands = "IMAGE",
	.about = "Reads a worker image, and compares it with its manifest. Exit status 1 where it "
		 "is\n"
		 "another one.\n",
	.defs = verify_defs,
	.min = 1,
	.max = 1,
	.words = "@file",
};

/* The name of an image, where a folder's entry is the manifest of one that is there. */
static bool image_of(int dir, const char *entry, char name[NAME_MAX + 1])
{
	size_t n = strlen(entry);

	if (n <= 5 || n > NAME_MAX || strcmp(entry + n - 5, ".json") != 0)
		return false;
	(void)snprintf(name, NAME_MAX + 1, "%.*s", (int)(n - 5), entry);
	return faccessat(dir, name, F_OK, 0) == 0;
}

static void names_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

/* Collects the paths of the images in an open folder; *ret_n counts them on every return. */
static int read_images(DIR *d, const char *folder, char **names, size_t *ret_n, struct err *e)
{
	char name[NAME_MAX + 1];
	const struct dirent *entry;

	while (*ret_n < IMAGES_MAX && (entry = readdir(d))) {
		if (!image_of(dirfd(d), entry->d_name, name))
			continue;
		names[*ret_n] = strcmp(folder, ".") == 0 ? strdup(name) : paths_join(folder, name);
		if (!names[*ret_n])
			return err_oom(e);
		++*ret_n;
	}
	return 0;
}

/* The paths of the images in a folder, sorted, in *ret (names_free); their number, or an error. */
static ssize_t find_images(const char *folder, char ***ret, struct err *e)
{
	char **names = calloc(IMAGES_MAX, sizeof(*names));
	size_t n = 0;
	DIR *d;
	int r;

	if (!names)
		return err_oom(e);
	d = opendir(folder);
	if (!d) {
		r = errno;
		free(names);
		return err_errno(e, -r, "%s: cannot list the folder", folder);
	}
	r = read_images(d, folder, names, &n, e);
	(void)closedir(d);
	if (r < 0) {
		names_free(names, n);
		return r;
	}
	qsort(names, n, sizeof(*names), text_compare);
	*ret = names;
	return (ssize_t)n;
}

/* One of the list, as a line or into `list`. What is no manifest of an image is passed over. */
static void list_one(const char *path, cJSON *list)
{
	_cleanup_(manifest_free_p) struct manifest *m = NULL;
	char size[NUM_TEXT_MAX], shown[SHOWN_MAX];
	_cleanup_close_ int fd = -1;
	cJSON *o;

	if (manifest_load(path, &m, &fd, NULL) < 0)
		return;
	(void)text_escape_line(path, strlen(path), shown, sizeof(shown));
	if (!list) {
		(void)printf("%-24s  %-8s  %-10s  %10s  %zu packages\n", shown, m->arch,
			     m->suite[0] ? m->suite : "-", format_size(m->size, size),
			     m->n_packages);
		return;
	}
	o = cJSON_CreateObject();
	if (!o || !cJSON_AddItemToArray(list, o)) {
		cJSON_Delete(o);
		return;
	}
	(void)cJSON_AddStringToObject(o, "image", shown);
	(void)cJSON_AddStringToObject(o, "arch", m->arch);
	(void)cJSON_AddStringToObject(o, "suite", m->suite);
	(void)cJSON_AddStringToObject(o, "sha256", m->sha256);
	(void)json_add_u64(o, "size", m->size);
	(void)json_add_u64(o, "packages", m->n_packages);
}

int cmd_image_list(int argc, char **argv)
{
	_cleanup_(json_free_p) cJSON *list = NULL;
	_cleanup_free_ char *text = NULL;
	struct err e = ERR_INIT;
	char **names = NULL;
	bool json = false;
	struct options o;
	int c, r = CMD_USAGE;
	ssize_t n;

	options_begin(&o, &verb_image_list, argc, argv);
	while ((c = options_next(&o, &r)) > 0)
		json = true;
	if (c < 0)
		return r;
	list = json ? cJSON_CreateArray() : NULL;
	n = find_images(o.operand[0] ? o.operand[0] : ".", &names, &e);
	if (n < 0)
		return cmd_fail(&e, CMD_USAGE);
	for (ssize_t i = 0; i < n; i++)
		list_one(names[i], list);
	names_free(names, (size_t)n);
	text = list ? json_print_pretty(list) : NULL;
	if (text)
		(void)fputs(text, stdout);
	return fflush(stdout) == 0 ? CMD_OK : CMD_INFRASTRUCTURE;
}

static void print_manifest(const struct manifest *m)
{
	char text[NUM_TEXT_MAX], initrd[NUM_TEXT_MAX];

	(void)printf("architecture: %s\n", m->arch);
	if (m->suite[0])
		(void)printf("suite: %s\n", m->suite);
	(void)printf("size: %s (%llu bytes)\nsha256: %s\n", format_size(m->size, text),
		     (unsigned long long)m->size, m->sha256);
	(void)printf("root: %s, %s\n", m->root_fs, format_size(m->root.size, text));
	if (m->firmware)
		(void)printf("boot: by the machine's firmware, as the disk has it\n");
	else
		(void)printf("kernel: %s\ninitrd: %s\n", format_size(m->kernel.size, text),
			     format_size(m->initrd.size, initrd));
	if (m->cmdline[0])
		(void)printf("kernel parameters: %s\n", m->cmdline);
	(void)printf("workspace: %s\n", m->layers ? "in layers" : "by tar");
	for (size_t i = 0; i < m->n_repositories; i++)
		(void)printf("repository: %s\n", m->repositories[i]);
	(void)printf("packages: %zu%s\n", m->n_packages,
		     manifest_has_ansible(m) ? ", Ansible among them" : ", without Ansible");
}

int cmd_image_inspect(int argc, char **argv)
{
	_cleanup_(manifest_free_p) struct manifest *m = NULL;
	bool json = false, packages = false;
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	struct err e = ERR_INIT;
	struct options o;
	int c, r = CMD_USAGE;

	options_begin(&o, &verb_image_inspect, argc, argv);
	while ((c = options_next(&o, &r)) > 0) {
		json |= c == OPT_JSON;
		packages |= c == OPT_PACKAGES;
	}
	if (c < 0)
		return r;
	if (json && packages)
		return options_misuse(&verb_image_inspect, "--json or --packages, not both");
	if (manifest_load(o.operand[0], &m, &fd, &e) < 0)
		return cmd_fail(&e, CMD_USAGE);
	text = json ? manifest_print(m) : NULL;
	if (text)
		(void)fputs(text, stdout);
	else if (!packages)
		print_manifest(m);
	for (size_t i = 0; packages && i < m->n_packages; i++)
		(void)puts(m->packages[i]);
	return fflush(stdout) == 0 ? CMD_OK : CMD_INFRASTRUCTURE;
}

int cmd_image_verify(int argc, char **argv)
{
	_cleanup_(manifest_free_p) struct manifest *m = NULL;
	char shown[SHOWN_MAX], is[SHA256_HEX_SIZE];
	_cleanup_close_ int fd = -1;
	struct err e = ERR_INIT;
	struct options o;
	int c, r = CMD_USAGE;

	options_begin(&o, &verb_image_verify, argc, argv);
	c = options_next(&o, &r);
	if (c != OPTIONS_DONE)
		return r;
	r = manifest_load(o.operand[0], &m, &fd, &e);
	if (r < 0)
		return cmd_fail(&e, r == -EBADMSG ? CMD_FAILED : CMD_USAGE);
	r = sha256_hex_of_fd(fd, is);
	(void)text_escape_line(o.operand[0], strlen(o.operand[0]), shown, sizeof(shown));
	if (r < 0) {
		(void)err_errno(&e, r, "%s: cannot read the image", shown);
		return cmd_fail(&e, CMD_INFRASTRUCTURE);
	}
	if (strcmp(is, m->sha256) == 0) {
		(void)printf("%s: whole\n", shown);
		return fflush(stdout) == 0 ? CMD_OK : CMD_INFRASTRUCTURE;
	}
	(void)err_set(&e, -EBADMSG,
		      "%s: not what its manifest says: its sha256 is %.12s..., not %.12s...; make "
		      "it anew with contractor image build",
		      shown, is, m->sha256);
	return cmd_fail(&e, CMD_FAILED);
}
