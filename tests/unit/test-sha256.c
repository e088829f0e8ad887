/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SHA-256 against the examples of FIPS 180-4 and its portions against the whole. */
#include "unit.h"

#include "base/sha256.h"

START_TEST(known)
{
	char hex[SHA256_HEX_SIZE];
	char *million = malloc(1000000);

	ck_assert_str_eq(sha256_hex_of("", 0, hex),
			 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	ck_assert_str_eq(sha256_hex_of("abc", 3, hex),
			 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	ck_assert_str_eq(sha256_hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
				       56, hex),
			 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	ck_assert_ptr_nonnull(million);
	memset(million, 'a', 1000000);
	ck_assert_str_eq(sha256_hex_of(million, 1000000, hex),
			 "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(million);
}
END_TEST

START_TEST(portions)
{
	unsigned char data[300], digest[SHA256_SIZE];
	char whole[SHA256_HEX_SIZE], parts[SHA256_HEX_SIZE];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7);
	for (size_t len = 0; len <= sizeof(data); len++) {
		struct sha256 s;

		sha256_init(&s);
		for (size_t at = 0; at < len; at += 1 + at % 70)
			sha256_put(&s, data + at, MIN(1 + at % 70, len - at));
		sha256_end(&s, digest);
		ck_assert_str_eq(sha256_hex(digest, parts), sha256_hex_of(data, len, whole));
	}
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("sha256");
	TCase *tc = unit_case(s, "sha256");

	tcase_add_test(tc, known);
	tcase_add_test(tc, portions);
	return s;
}
