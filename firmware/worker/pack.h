/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packing what an overlay has changed. */
#ifndef CONTRACTOR_FIRMWARE_PACK_H
#define CONTRACTOR_FIRMWARE_PACK_H

/*
 * Writes the archive of the overlay's folder `upper`, below the folder `place` (a descriptor), to
 * stdout; `merged` is where the overlay is mounted, `prefix` what the names of its attributes begin
 * with ("trusted.overlay."). An exit status.
 */
int pack(long place, const char *upper, const char *merged, const char *prefix);

#endif
