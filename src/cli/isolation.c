/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The choice of the manager's home; pure, so that build and doctor cannot differ. */
#include "isolation.h"

enum spec_isolation isolation_choose(enum spec_isolation asked, const struct isolation_facts *f,
				     char *why, size_t size)
{
	bool fast = f->kvm && f->nested;

	switch (asked) {
	case SPEC_ISOLATION_NESTED:
		(void)snprintf(
			why, size, "asked for; %s",
			fast ? "KVM offers nested virtualisation"
			     : "the worker is emulated inside the manager VM, which is slow");
		return SPEC_ISOLATION_NESTED;
	case SPEC_ISOLATION_SINGLE:
		(void)snprintf(why, size, "asked for");
		return SPEC_ISOLATION_SINGLE;
	case SPEC_ISOLATION_AUTO:
	case _SPEC_ISOLATION_MAX:
		break;
	}
	if (fast) {
		(void)snprintf(why, size, "KVM offers nested virtualisation");
		return SPEC_ISOLATION_NESTED;
	}
	if (f->kvm)
		(void)snprintf(why, size,
			       "KVM offers no nested virtualisation (parameter nested of its "
			       "kernel module)");
	else
		(void)snprintf(why, size, "no KVM, and a VM inside an emulated one is slow: %s",
			       f->kvm_why);
	return SPEC_ISOLATION_SINGLE;
}
