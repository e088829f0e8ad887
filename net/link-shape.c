/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The token bucket on an interface. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/qdisc/tbf.h>
#include <netlink/route/tc.h>

#include "link-private.h"
#include "link.h"

#define BURST_MIN 32768
#define BURST_MAX (4 * MIB)
/* What may wait: a fifth of a second, so that TCP feels the limit before its own timers do. */
#define QUEUE_PART 5
#define QUEUE_MIN  (128 * KIB)
#define QUEUE_MAX  (16 * MIB)

int link_shape(const char *ifname, uint64_t rate, struct err *e)
{
	_cleanup_nl_sock_ struct nl_sock *s = link_connect(e);
	struct rtnl_qdisc *q = rtnl_qdisc_alloc();
	int burst = (int)MIN(MAX(rate / 50, BURST_MIN), BURST_MAX), r = -NLE_NOMEM;

	if (rate <= INT32_MAX && rate && s && q) {
		rtnl_tc_set_ifindex(TC_CAST(q), (int)if_nametoindex(ifname));
		rtnl_tc_set_parent(TC_CAST(q), TC_H_ROOT);
		r = rtnl_tc_set_kind(TC_CAST(q), "tbf");
		rtnl_qdisc_tbf_set_rate(q, (int)rate, burst, 0);
		rtnl_qdisc_tbf_set_limit(q, (int)MIN(MAX(rate / QUEUE_PART, QUEUE_MIN), QUEUE_MAX));
		if (r == 0)
			r = rtnl_qdisc_add(s, q, NLM_F_CREATE | NLM_F_REPLACE);
	}
	rtnl_qdisc_put(q);
	if (!s)
		return e && e->code ? e->code : -ENOMEM;
	if (rate == 0 || rate > INT32_MAX)
		return 0;
	return r < 0 ? err_set(e, link_errno(r),
			       "limiting the rate of %s: %s; is the kernel module sch_tbf there?",
			       ifname, nl_geterror(r))
		     : 0;
}
