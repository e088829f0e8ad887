/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an imported image asks of a build, and what of it goes into each worker. */
#include "stock.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/num.h"

int stock_check(const struct build *b, struct err *e)
{
	const struct manifest *m = b->manifest;
	char has[NUM_TEXT_MAX], needs[NUM_TEXT_MAX];

	if (strcmp(m->arch, "x86_64") != 0)
		return err_set(e, -EINVAL, "%s: firmware boot is for x86_64 only",
			       b->spec->worker_image);
	if (strcmp(b->machine, "q35") != 0)
		return err_set(e, -EINVAL,
			       "%s: an imported image boots by firmware, which machine %s has "
			       "not; use q35",
			       b->spec->worker_image, b->machine);
	if (b->spec->limits.disk < m->root.size)
		return err_set(e, -EINVAL,
			       "limits: disk is %s, and the disk of %s alone has %s; set limits: "
			       "{disk: ...}",
			       format_size(b->spec->limits.disk, has), b->spec->worker_image,
			       format_size(m->root.size, needs));
	return 0;
}

struct disks_copy stock_disk(const struct build *b)
{
	uint64_t disk = b->spec->limits.disk, used = 0;
	struct stat st;

	if (!b->manifest->firmware)
		return (struct disks_copy){.fd = -1};
	if (fstat(b->image_fd, &st) == 0)
		used = MIN((uint64_t)st.st_blocks * 512, disk);
	return (struct disks_copy){.fd = b->image_fd,
				   .size = b->manifest->root.size,
				   /* no file system can be filled to its last block */
				   .room = (disk - used) / 20 * 19};
}
