/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: DHCP messages; only the one client is answered, only with the one address. */
#include "base/macro.h"
#include "fuzz.h"
#include "net/dhcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dhcp_lease lease = {.mac = {2, 0, 0, 0, 0, 1},
						.address = 0x0a141e02,
						.prefix_len = 24,
						.server = 0x0a141e01,
						.router = 0x0a141e01,
						.dns = 0x0a141e01,
						.lease_s = 3600};
	static const uint8_t address[4] = {10, 20, 30, 2}, none[4];
	uint8_t out[DHCP_REPLY_LEN];
	struct dhcp_message m;
	bool broadcast = false;

	if (dhcp_decode(data, size, &m) < 0)
		return 0;
	if (m.type == 0 || m.type >= _DHCP_TYPE_MAX)
		abort();
	if (!dhcp_reply(&lease, &m, out, &broadcast))
		return 0;
	if (memcmp(m.mac, lease.mac, sizeof(m.mac)) != 0 ||
	    (memcmp(out + 16, address, 4) != 0 && memcmp(out + 16, none, 4) != 0) ||
	    (!broadcast && m.client != lease.address) || dhcp_decode(out, sizeof(out), &m) == 0)
		abort();
	return 0;
}
