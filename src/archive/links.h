/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The symlinks of a returned archive that are not made at once: what becomes of them at its end. */
#ifndef CONTRACTOR_ARCHIVE_LINKS_H
#define CONTRACTOR_ARCHIVE_LINKS_H

#include "base/buf.h"
#include "place.h"

/* The target of what stands in such a link's place until then: it leads nowhere. */
#define LINKS_PLACEHOLDER ".contractor-pending"

/* Adds one, that is no FILTER_LINK_INSIDE. 0, -ENOMEM, or -E2BIG over the list's cap. */
int links_add(struct buf *links, enum filter_link kind, const char *path, const char *target);

/*
 * Takes all placeholders away, makes the links that do lead to something in the tree, and adds the
 * others to `outside`, "path\0target\0" each. Those whose place something else has taken are
 * dropped. 0 or a negative errno.
 */
int links_settle(const struct buf *links, struct place *place, struct buf *outside);

#endif
