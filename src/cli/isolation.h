/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a build's manager lives: the choice between the two homes, and its reason. */
#ifndef CONTRACTOR_CLI_ISOLATION_H
#define CONTRACTOR_CLI_ISOLATION_H

#include <stdbool.h>

#include "spec/spec.h"

/* What decides, as it was found on this machine. */
struct isolation_facts {
	bool kvm;	   /* vm_probe_accel took it */
	char kvm_why[256]; /* why not */
	bool nested;	   /* its virtual machines can have virtual machines */
};

/*
 * Pure: SPEC_ISOLATION_NESTED or SPEC_ISOLATION_SINGLE for what was asked. `why` gets one line for
 * the user, without a full stop.
 */
enum spec_isolation isolation_choose(enum spec_isolation asked, const struct isolation_facts *f,
				     char *why, size_t size);

/* Looks: /dev/kvm by vm_probe_accel, and the nested parameter of its module. */
void isolation_probe(const char *arch, struct isolation_facts *ret);

#endif
