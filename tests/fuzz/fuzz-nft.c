/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: nf_tables messages; the text is one line a message, and printable. */
#include "base/macro.h"
#include "fuzz.h"
#include "net/nft-apply.h"
#include "net/nft-decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf out = {.cap = MIB};
	struct nft_reading r = {.name = ""};

	(void)nft_decode(data, size, &out);
	for (size_t i = 0; i < out.len; i++) {
		if (out.data[i] != '\n' && out.data[i] != '\t' && (unsigned char)out.data[i] < 0x20)
			abort();
	}
	if (nft_decode_object(data, size, &r) && strnlen(r.name, sizeof(r.name)) == sizeof(r.name))
		abort();
	return 0;
}
