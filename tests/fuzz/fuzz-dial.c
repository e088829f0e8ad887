/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: messages between relay and dialer; what was read is written as the same bytes. */
#include "base/macro.h"
#include "fuzz.h"
#include "net/dial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t out[DIAL_MESSAGE_MAX];
	struct dial_message m, back;
	size_t n;

	if (dial_decode(data, size, &m) < 0)
		return 0;
	n = dial_encode(&m, out);
	if (n != size || dial_decode(out, n, &back) < 0)
		abort();
	if (m.kind == DIAL_KIND_REQUEST && memcmp(out, data, n) != 0)
		abort();
	return 0;
}
