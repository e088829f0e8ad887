/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every unit test program shares: main(), and a check for leaked descriptors around each test.
 */
#ifndef CONTRACTOR_TESTS_UNIT_H
#define CONTRACTOR_TESTS_UNIT_H

#include <check.h>

#include "base/macro.h"

/* Defined by each test program: its suite, built with unit_case(). */
Suite *unit_suite(void);

/* A test case whose tests fail when they leave a descriptor open; added to the suite. */
TCase *unit_case(Suite *s, const char *name);

#endif
