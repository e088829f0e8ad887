/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Workers of an imported image, whose firmware boots from a copy of a stock system's disk. */
#ifndef CONTRACTOR_CLI_STOCK_H
#define CONTRACTOR_CLI_STOCK_H

#include "build.h"
#include "disks.h"

/* What such a worker needs of machine and limits: 0 or -EINVAL with what to change. */
int stock_check(const struct build *b, struct err *e);

/* What its scratch disk begins as; size 0: the image is none that was imported. */
struct disks_copy stock_disk(const struct build *b);

#endif
