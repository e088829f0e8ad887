/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manifest's JSON: strict in, since images come from anywhere, and exact out. */
/*
 *   {
 *     "format": 1,
 *     "arch": "x86_64", "suite": "bookworm", "cmdline": "console=ttyS0 ...",
 *     "sha256": "<64 hex digits>", "size": <bytes of the image file>,
 *     "root":   {"offset": 0, "size": <bytes>, "fs": "ext4"},
 *     "kernel": {"offset": <bytes>, "size": <bytes>},
 *     "initrd": {"offset": <bytes>, "size": <bytes>},
 *     or, of a stock system's disk, in the place of kernel and initrd,
 *     "boot": "firmware", "seed": {"offset": <bytes>, "size": <bytes>},
 *     "layers": true, where the worker can mount layers (EROFS) in the place of a workspace's tar,
 *     "repositories": ["http://deb.debian.org/debian", ...],
 *     "packages": ["adduser", ...]
 *   }
 */
#include "manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"

#define MANIFEST_FORMAT	   1
#define MANIFEST_MAX	   (4 * MIB) /* of the file */
#define MANIFEST_NAMES_MAX 100000
#define MANIFEST_TEXT_MAX  4096 /* of one string */

static bool text_ok(const char *s)
{
	size_t n = strnlen(s, MANIFEST_TEXT_MAX + 1);

	if (n > MANIFEST_TEXT_MAX)
		return false;
	for (; *s; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	}
	return true;
}

static int get_text(const cJSON *o, const char *key, bool required, char **ret, struct err *e)
{
	const cJSON *item = json_get(o, key);
	const char *s = json_str(o, key);

	if (!item && !required)
		s = "";
	if (!s || !text_ok(s) || (required && !*s))
		return err_set(e, -EBADMSG, "\"%s\" must be a line of text", key);
	*ret = strdup(s);
	return *ret ? 0 : err_oom(e);
}

static int get_part(const cJSON *o, const char *key, uint64_t file_size, struct manifest_part *ret,
		    struct err *e)
{
	const cJSON *item = json_get(o, key);
	struct manifest_part p;

	if (json_u64(item, "offset", &p.offset) < 0 || json_u64(item, "size", &p.size) < 0 ||
	    p.size == 0)
		return err_set(e, -EBADMSG, "\"%s\" must have an offset and a size in bytes", key);
	if (p.offset > file_size || p.size > file_size - p.offset)
		return err_set(e, -EBADMSG, "\"%s\" reaches beyond the end of the image", key);
	if (p.offset % 512 != 0)
		return err_set(e, -EBADMSG, "\"%s\" does not begin at a multiple of 512", key);
	*ret = p;
	return 0;
}

static int get_sha256(const cJSON *o, char ret[65], struct err *e)
{
	const char *s = json_str(o, "sha256");

	if (!s || strlen(s) != 64 || strspn(s, "0123456789abcdef") != 64)
		return err_set(e, -EBADMSG, "\"sha256\" must be 64 hex digits");
	memcpy(ret, s, 65);
	return 0;
}

static int get_names(const cJSON *o, const char *key, char ***ret, size_t *ret_n, struct err *e)
{
	const cJSON *list = json_get(o, key), *item;
	size_t n = 0, max;

	if (!list)
		return 0;
	if (!cJSON_IsArray(list))
		return err_set(e, -EBADMSG, "\"%s\" must be a list", key);
	max = (size_t)cJSON_GetArraySize(list);
	if (max > MANIFEST_NAMES_MAX)
		return err_set(e, -EBADMSG, "\"%s\" has more than %d entries", key,
			       MANIFEST_NAMES_MAX);
	*ret = calloc(max + 1, sizeof(char *));
	if (!*ret)
		return err_oom(e);
	cJSON_ArrayForEach (item, list) {
		if (!cJSON_IsString(item) || !*item->valuestring || !text_ok(item->valuestring))
			return err_set(e, -EBADMSG, "\"%s\" must hold lines of text", key);
		(*ret)[n] = strdup(item->valuestring);
		if (!(*ret)[n])
			return err_oom(e);
		*ret_n = ++n;
	}
	return 0;
}

static int get_boot(const cJSON *j, struct manifest *m, struct err *e)
{
	const char *boot = json_str(j, "boot");
	int r;

	if (json_get(j, "boot") && (!boot || strcmp(boot, "firmware") != 0))
		return err_set(e, -EBADMSG, "\"boot\" can only be \"firmware\"");
	m->firmware = boot != NULL;
	if (m->firmware && m->root.offset != 0)
		return err_set(e, -EBADMSG, "\"root\" does not begin at 0");
	if (m->firmware)
		return get_part(j, "seed", m->size, &m->seed, e);
	r = get_part(j, "kernel", m->size, &m->kernel, e);
	return r < 0 ? r : get_part(j, "initrd", m->size, &m->initrd, e);
}

/* Images that were made before there were layers say nothing of them. */
static int get_layers(const cJSON *j, struct manifest *m, struct err *e)
{
	const cJSON *layers = json_get(j, "layers");

	if (layers && !cJSON_IsBool(layers))
		return err_set(e, -EBADMSG, "\"layers\" must be true or false");
	m->layers = layers && cJSON_IsTrue(layers);
	if (m->layers && m->firmware)
		return err_set(e, -EBADMSG, "\"layers\" cannot be with firmware boot");
	return 0;
}

static int fill(const cJSON *j, struct manifest *m, struct err *e)
{
	uint64_t format;
	int r;

	if (!cJSON_IsObject(j))
		return err_set(e, -EBADMSG, "it is no JSON object");
	if (json_u64(j, "format", &format) < 0 || format != MANIFEST_FORMAT)
		return err_set(e, -EBADMSG,
			       "its \"format\" is not %d; make the image again with contractor "
			       "image build",
			       MANIFEST_FORMAT);
	if (json_u64(j, "size", &m->size) < 0 || m->size == 0)
		return err_set(e, -EBADMSG, "\"size\" must be the image's size in bytes");
	if ((r = get_text(j, "arch", true, &m->arch, e)) < 0 ||
	    (r = get_text(j, "suite", false, &m->suite, e)) < 0 ||
	    (r = get_text(j, "cmdline", false, &m->cmdline, e)) < 0 ||
	    (r = get_text(json_get(j, "root"), "fs", true, &m->root_fs, e)) < 0 ||
	    (r = get_sha256(j, m->sha256, e)) < 0 ||
	    (r = get_part(j, "root", m->size, &m->root, e)) < 0 || (r = get_boot(j, m, e)) < 0 ||
	    (r = get_layers(j, m, e)) < 0 ||
	    (r = get_names(j, "packages", &m->packages, &m->n_packages, e)) < 0 ||
	    (r = get_names(j, "repositories", &m->repositories, &m->n_repositories, e)) < 0)
		return r;
	if (m->n_packages > 0)
		qsort(m->packages, m->n_packages, sizeof(char *), text_compare);
	return 0;
}

int manifest_parse(const char *text, size_t len, struct manifest **ret, struct err *e)
{
	_cleanup_(manifest_free_p) struct manifest *m = NULL;
	_cleanup_(json_free_p) cJSON *j = NULL;
	int r;

	r = json_parse(text, len, &j, e);
	if (r < 0)
		return r;
	m = calloc(1, sizeof(*m));
	if (!m)
		return err_oom(e);
	r = fill(j, m, e);
	if (r < 0)
		return r;
	*ret = take_ptr(&m);
	return 0;
}

int manifest_load(const char *image_path, struct manifest **ret, int *ret_fd, struct err *e)
{
	_cleanup_(manifest_free_p) struct manifest *m = NULL;
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *path = NULL;
	_cleanup_buf_ struct buf text = {0};
	struct stat st;
	int r;

	/* not blocking, should the name be a FIFO's; it makes no difference to a regular file */
	fd = open(image_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return err_set(e, -ENOENT,
			       "%s: no such worker image; make one with contractor image build "
			       "-o %s",
			       image_path, image_path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, -errno, "%s: cannot open the worker image", image_path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s: a worker image must be a regular file", image_path);
	if (asprintf(&path, "%s.json", image_path) < 0) {
		path = NULL;
		return err_oom(e);
	}
	r = io_read_file(AT_FDCWD, path, MANIFEST_MAX, &text, e);
	if (r == -ENOENT)
		return err_set(e, r,
			       "%s: no manifest beside the image; contractor image build makes "
			       "both",
			       path);
	if (r < 0)
		return r;
	r = manifest_parse(buf_str(&text), text.len, &m, e);
	if (r < 0)
		return err_wrap(e, "%s: not a manifest", path);
	if (m->size != (uint64_t)st.st_size)
		return err_set(e, -EBADMSG,
			       "%s: the image has %lld bytes, its manifest says %llu; one of them "
			       "is from another build, make both with contractor image build",
			       image_path, (long long)st.st_size, (unsigned long long)m->size);
	*ret = take_ptr(&m);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int add_part(cJSON *j, const char *key, const struct manifest_part *p, const char *fs)
{
	cJSON *o = cJSON_AddObjectToObject(j, key);

	if (!o || json_add_u64(o, "offset", p->offset) < 0 || json_add_u64(o, "size", p->size) < 0)
		return -ENOMEM;
	if (fs && !cJSON_AddStringToObject(o, "fs", fs))
		return -ENOMEM;
	return 0;
}

static int add_names(cJSON *j, const char *key, char *const *names, size_t n)
{
	cJSON *list = cJSON_AddArrayToObject(j, key);

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		cJSON *s = cJSON_CreateString(names[i]);

		if (!s || !cJSON_AddItemToArray(list, s)) {
			cJSON_Delete(s);
			return -ENOMEM;
		}
	}
	return 0;
}

static int add_boot(cJSON *j, const struct manifest *m)
{
	if (m->firmware)
		return cJSON_AddStringToObject(j, "boot", "firmware")
			       ? add_part(j, "seed", &m->seed, NULL)
			       : -ENOMEM;
	if (add_part(j, "kernel", &m->kernel, NULL) < 0)
		return -ENOMEM;
	return add_part(j, "initrd", &m->initrd, NULL);
}

char *manifest_print(const struct manifest *m)
{
	_cleanup_(json_free_p) cJSON *j = cJSON_CreateObject();

	if (!j || json_add_u64(j, "format", MANIFEST_FORMAT) < 0 ||
	    !cJSON_AddStringToObject(j, "arch", m->arch) ||
	    !cJSON_AddStringToObject(j, "suite", m->suite) ||
	    !cJSON_AddStringToObject(j, "cmdline", m->cmdline) ||
	    !cJSON_AddStringToObject(j, "sha256", m->sha256) ||
	    json_add_u64(j, "size", m->size) < 0 || add_part(j, "root", &m->root, m->root_fs) < 0 ||
	    add_boot(j, m) < 0 || (m->layers && !cJSON_AddTrueToObject(j, "layers")) ||
	    add_names(j, "repositories", m->repositories, m->n_repositories) < 0 ||
	    add_names(j, "packages", m->packages, m->n_packages) < 0)
		return NULL;
	return json_print_pretty(j);
}

struct manifest *manifest_free(struct manifest *m)
{
	if (!m)
		return NULL;
	for (size_t i = 0; i < m->n_packages; i++)
		free(m->packages[i]);
	for (size_t i = 0; i < m->n_repositories; i++)
		free(m->repositories[i]);
	free(m->packages);
	free(m->repositories);
	free(m->arch);
	free(m->suite);
	free(m->cmdline);
	free(m->root_fs);
	free(m);
	return NULL;
}

bool manifest_has_package(const struct manifest *m, const char *name)
{
	return m->n_packages > 0 &&
	       bsearch(&name, m->packages, m->n_packages, sizeof(char *), text_compare) != NULL;
}

bool manifest_has_ansible(const struct manifest *m)
{
	return manifest_has_package(m, "ansible-core") || manifest_has_package(m, "ansible");
}
