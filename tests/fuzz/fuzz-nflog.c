/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: refused packets; 1 byte prefix, 2 bytes type, then the packet. */
#include "base/macro.h"
#include "fuzz.h"
#include "net/nflog.h"
#include "net/ruleset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const prefixes[] = {NULL, RULESET_LOG_DENIED, RULESET_LOG_SPOOF_MAC,
					       RULESET_LOG_SPOOF_IP, RULESET_LOG_ARP};
	struct nflog_raw raw = {0};
	char text[ATTEMPT_TEXT_MAX];
	struct attempt a;

	if (size < 3)
		return 0;
	raw.prefix = prefixes[data[0] % ARRAY_SIZE(prefixes)];
	raw.ether_type = (uint16_t)(data[1] << 8 | data[2]);
	raw.payload = data + 3;
	raw.len = size - 3;
	raw.mac = data;
	raw.mac_len = size;
	if (nflog_decode(&raw, &a) < 0)
		return 0;
	if (!a.has_dst || strlen(attempt_text(&a, text)) < 5)
		abort();
	return 0;
}
