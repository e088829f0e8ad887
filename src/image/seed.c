/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The seed disk of cloud-init's source NoCloud: what a stock system takes its first orders from. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

#include "import.h"

#define SEED_MAX (1 * MIB)
#define LABEL	 "cidata"
#define LABEL_AT (16 * 2048 + 40) /* ECMA-119 8.4: volume identifier of the primary descriptor */

/* Run at each boot, as soon as it is read. */
static const char hook[] = "#cloud-boothook\n";
static const char meta[] = "instance-id: contractor\nlocal-hostname: worker\n";

static la_ssize_t on_write(struct archive *a, void *user_data, const void *data, size_t n)
{
	struct buf *out = user_data;

	if (buf_put(out, data, n) < 0) {
		archive_set_error(a, ENOMEM, "out of memory");
		return -1;
	}
	return (la_ssize_t)n;
}

static int add_file(struct archive *a, const char *name, const char *data, size_t len)
{
	struct archive_entry *entry = archive_entry_new();
	int r = -1;

	if (!entry)
		return -1;
	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_size(entry, (la_int64_t)len);
	archive_entry_set_mtime(entry, 946684800, 0);
	if (archive_write_header(a, entry) == ARCHIVE_OK &&
	    archive_write_data(a, data, len) == (la_ssize_t)len)
		r = 0;
	archive_entry_free(entry);
	return r;
}

int image_seed(const char *script, size_t len, struct buf *out, struct err *e)
{
	struct archive *a = archive_write_new();
	_cleanup_buf_ struct buf user = {0};
	int r = -1;

	out->cap = SEED_MAX;
	if (!a || buf_puts(&user, hook) < 0 || buf_put(&user, script, len) < 0) {
		(void)archive_write_free(a);
		return err_oom(e);
	}
	if (archive_write_set_format_iso9660(a) == ARCHIVE_OK &&
	    archive_write_set_options(a, "iso9660:volume-id=cidata,iso9660:rockridge=useful,"
					 "iso9660:!joliet,iso9660:!pad") == ARCHIVE_OK &&
	    archive_write_open(a, out, NULL, on_write, NULL) == ARCHIVE_OK &&
	    add_file(a, "meta-data", meta, strlen(meta)) == 0 &&
	    add_file(a, "user-data", buf_str(&user), user.len) == 0 &&
	    archive_write_close(a) == ARCHIVE_OK)
		r = 0;
	if (r < 0)
		r = err_set(e, -EIO, "cannot make the seed disk: %s", archive_error_string(a));
	(void)archive_write_free(a);
	/* small letters are not ISO 9660's, but the name that NoCloud has always had */
	if (r == 0 && out->len >= LABEL_AT + strlen(LABEL))
		memcpy(out->data + LABEL_AT, LABEL, strlen(LABEL));
	return r;
}
