/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The entry that each fuzz target defines, for libFuzzer and for replay.c. */
#ifndef CONTRACTOR_TESTS_FUZZ_H
#define CONTRACTOR_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* One input; returns 0. A property that does not hold ends the process with abort(). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
