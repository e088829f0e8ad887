/* SPDX-License-Identifier: GPL-3.0-or-later */
/* src/image: manifests, hostile ones too, modules.dep and the cpio writer. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

#include "image/cpio.h"
#include "image/import.h"
#include "image/initramfs.h"
#include "image/manifest.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* A good manifest, in pieces that the tests exchange. */
#define HEAD	     "\"format\":1,\"arch\":\"x86_64\",\"suite\":\"bookworm\",\"cmdline\":\"quiet\","
#define SUM	     "\"sha256\":\"" SHA "\",\"size\":8192,"
#define ROOT	     "\"root\":{\"offset\":0,\"size\":4096,\"fs\":\"ext4\"},"
#define KERNEL	     "\"kernel\":{\"offset\":4096,\"size\":2048},"
#define INITRD	     "\"initrd\":{\"offset\":6144,\"size\":2048}"
#define LISTS	     ",\"packages\":[\"make\",\"gcc\"],\"repositories\":[\"http://deb.debian.org/debian\"]"
#define GOOD	     "{" HEAD SUM ROOT KERNEL INITRD LISTS "}"
#define WITH(part)   "{" HEAD SUM part "}"
#define PART(o, s)   "{\"offset\":" o ",\"size\":" s "}"
#define KERNEL_IS(p) WITH(ROOT "\"kernel\":" p "," INITRD)

static int parse(const char *text, struct err *e)
{
	_cleanup_(manifest_free_p) struct manifest *m = NULL;

	return manifest_parse(text, strlen(text), &m, e);
}

START_TEST(round_trip)
{
	_cleanup_(manifest_free_p) struct manifest *m = NULL, *again = NULL;
	_cleanup_free_ char *text = NULL, *text2 = NULL;

	ck_assert_int_eq(manifest_parse(GOOD, strlen(GOOD), &m, NULL), 0);
	ck_assert_str_eq(m->arch, "x86_64");
	ck_assert_str_eq(m->root_fs, "ext4");
	ck_assert_str_eq(m->sha256, SHA);
	ck_assert_uint_eq(m->kernel.offset, 4096);
	ck_assert_uint_eq(m->initrd.size, 2048);
	ck_assert_str_eq(m->packages[0], "gcc"); /* sorted when read */
	ck_assert(manifest_has_package(m, "gcc") && manifest_has_package(m, "make"));
	ck_assert(!manifest_has_package(m, "mak") && !manifest_has_package(m, ""));
	ck_assert_str_eq(m->repositories[0], "http://deb.debian.org/debian");
	text = manifest_print(m);
	ck_assert_int_eq(manifest_parse(text, strlen(text), &again, NULL), 0);
	text2 = manifest_print(again);
	ck_assert_str_eq(text, text2);
}
END_TEST

/* A stock system's disk: no kernel, no initrd, a seed. */
START_TEST(firmware_boot)
{
	static const char good[] = WITH("\"root\":{\"offset\":0,\"size\":4096,\"fs\":\"disk\"},"
					"\"boot\":\"firmware\",\"seed\":" PART("4096", "4096"));
	_cleanup_(manifest_free_p) struct manifest *m = NULL, *again = NULL;
	_cleanup_free_ char *text = NULL;

	ck_assert_int_eq(manifest_parse(good, strlen(good), &m, NULL), 0);
	ck_assert(m->firmware);
	text = manifest_print(m);
	ck_assert_int_eq(manifest_parse(text, strlen(text), &again, NULL), 0);
	ck_assert(again->firmware);
	ck_assert_uint_eq(again->seed.offset, 4096);
	ck_assert_uint_eq(again->seed.size, 4096);
	ck_assert_int_eq(parse(WITH(ROOT "\"boot\":\"firmware\""), NULL), -EBADMSG);
	ck_assert_int_eq(parse(WITH(ROOT "\"boot\":\"firmware\",\"seed\":" PART("4096", "4097")),
			       NULL),
			 -EBADMSG);
	ck_assert_int_eq(parse(WITH(ROOT "\"boot\":\"floppy\"," KERNEL INITRD), NULL), -EBADMSG);
	ck_assert_int_eq(parse(WITH(ROOT "\"boot\":1," KERNEL INITRD), NULL), -EBADMSG);
}
END_TEST

/* The seed is what cloud-init looks for: an ISO 9660 called cidata with two files. */
START_TEST(seed)
{
	_cleanup_buf_ struct buf out = {0};
	char stub[] = "#!/bin/sh\necho a stub\n";

	ck_assert_int_eq(image_seed(stub, strlen(stub), &out, NULL), 0);
	ck_assert_uint_gt(out.len, 16 * 2048);
	ck_assert_uint_eq(out.len % 2048, 0);
	ck_assert_mem_eq(out.data + 16 * 2048, "\001CD001\001", 7);
	ck_assert_mem_eq(out.data + 16 * 2048 + 40, "cidata ", 7);
	ck_assert_ptr_nonnull(memmem(out.data, out.len, "user-data", 9));
	ck_assert_ptr_nonnull(memmem(out.data, out.len, "meta-data", 9));
	ck_assert_ptr_nonnull(memmem(out.data, out.len, "#cloud-boothook\n#!/bin/sh\necho", 30));
}
END_TEST

START_TEST(optional_keys)
{
	static const char text[] = "{\"format\":1,\"arch\":\"x86_64\"," SUM ROOT KERNEL INITRD "}";
	_cleanup_(manifest_free_p) struct manifest *m = NULL;

	ck_assert_int_eq(manifest_parse(text, strlen(text), &m, NULL), 0);
	ck_assert_str_eq(m->suite, "");
	ck_assert_str_eq(m->cmdline, "");
	ck_assert(!manifest_has_package(m, "gcc"));
	ck_assert(!m->layers);
}
END_TEST

/* Only of an image that says so, and never of a stock system. */
START_TEST(layers)
{
	static const char with[] = WITH(ROOT KERNEL INITRD ",\"layers\":true");
	static const char without[] = WITH(ROOT KERNEL INITRD ",\"layers\":false");
	_cleanup_(manifest_free_p) struct manifest *m = NULL, *no = NULL, *again = NULL;
	_cleanup_free_ char *text = NULL, *no_text = NULL;

	ck_assert_int_eq(manifest_parse(with, strlen(with), &m, NULL), 0);
	ck_assert(m->layers);
	text = manifest_print(m);
	ck_assert_int_eq(manifest_parse(text, strlen(text), &again, NULL), 0);
	ck_assert(again->layers);
	ck_assert_int_eq(manifest_parse(without, strlen(without), &no, NULL), 0);
	ck_assert(!no->layers);
	no_text = manifest_print(no);
	ck_assert_ptr_null(strstr(no_text, "layers"));
	ck_assert_int_eq(parse(WITH(ROOT KERNEL INITRD ",\"layers\":1"), NULL), -EBADMSG);
	ck_assert_int_eq(parse(WITH(ROOT
				    "\"boot\":\"firmware\",\"layers\":true,\"seed\":" PART("4096",
											   "4096")),
			       NULL),
			 -EBADMSG);
}
END_TEST

START_TEST(hostile)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"1",
		"null",
		"{}",
		GOOD "x",
		"{\"format\":2,\"arch\":\"x86_64\"," SUM ROOT KERNEL INITRD "}",
		"{\"format\":1," SUM ROOT KERNEL INITRD "}",
		"{\"format\":1,\"arch\":\"\"," SUM ROOT KERNEL INITRD "}",
		"{\"format\":1,\"arch\":7," SUM ROOT KERNEL INITRD "}",
		"{\"format\":1,\"arch\":\"a\\nb\"," SUM ROOT KERNEL INITRD "}",
		/* the sum and the size */
		"{" HEAD "\"size\":8192," ROOT KERNEL INITRD "}",
		"{" HEAD "\"sha256\":\"zz\",\"size\":8192," ROOT KERNEL INITRD "}",
		"{" HEAD "\"sha256\":\"" SHA "0\",\"size\":8192," ROOT KERNEL INITRD "}",
		"{" HEAD "\"sha256\":\"" SHA "\"," ROOT KERNEL INITRD "}",
		"{" HEAD "\"sha256\":\"" SHA "\",\"size\":0," ROOT KERNEL INITRD "}",
		"{" HEAD "\"sha256\":\"" SHA "\",\"size\":-1," ROOT KERNEL INITRD "}",
		"{" HEAD "\"sha256\":\"" SHA "\",\"size\":1e300," ROOT KERNEL INITRD "}",
		/* missing parts, and parts that are none */
		WITH(KERNEL INITRD),
		WITH(ROOT INITRD),
		WITH("\"root\":{\"offset\":0,\"size\":4096}," KERNEL INITRD),
		WITH("\"root\":{\"offset\":0,\"size\":4096,\"fs\":[]}," KERNEL INITRD),
		KERNEL_IS("7"),
		KERNEL_IS("[]"),
		KERNEL_IS("{}"),
		KERNEL_IS(PART("\"0\"", "1")),
		/* out of the file, with sums that overflow 64 bits */
		KERNEL_IS(PART("4096", "0")),
		KERNEL_IS(PART("4096", "4097")),
		KERNEL_IS(PART("8704", "1")),
		KERNEL_IS(PART("-512", "512")),
		KERNEL_IS(PART("512", "9007199254740992")),
		KERNEL_IS(PART("18446744073709551104", "1024")),
		KERNEL_IS(PART("9007199254740992", "18446744073709551615")),
		KERNEL_IS(PART("0.5", "512")),
		KERNEL_IS(PART("100", "512")),
		/* lists */
		WITH(ROOT KERNEL INITRD ",\"packages\":7"),
		WITH(ROOT KERNEL INITRD ",\"packages\":[7]"),
		WITH(ROOT KERNEL INITRD ",\"packages\":[\"\"]"),
		WITH(ROOT KERNEL INITRD ",\"packages\":{\"a\":1}"),
		WITH(ROOT KERNEL INITRD ",\"repositories\":[\"http://x\\u001b[2J\"]"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = ERR_INIT;

		ck_assert_msg(parse(bad[i], &e) == -EBADMSG && *e.text, "%s", bad[i]);
	}
}
END_TEST

START_TEST(large)
{
	_cleanup_buf_ struct buf b = {0};

	(void)buf_puts(&b, "{" HEAD SUM ROOT KERNEL INITRD ",\"packages\":[\"a\"");
	for (int i = 0; i < 100000; i++)
		(void)buf_puts(&b, ",\"a\"");
	(void)buf_puts(&b, "]}");
	ck_assert_int_eq(parse(b.data, NULL), -EBADMSG);
	b.len = 0;
	(void)buf_puts(&b, "{" HEAD SUM ROOT KERNEL INITRD ",\"packages\":[\"");
	for (int i = 0; i < 4097; i++)
		(void)buf_putc(&b, 'a');
	(void)buf_puts(&b, "\"]}");
	ck_assert_int_eq(parse(b.data, NULL), -EBADMSG);
}
END_TEST

static void put_file(const char *path, const void *data, size_t n)
{
	_cleanup_close_ int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)write(fd, data, n), (int)n);
}

START_TEST(load_files)
{
	_cleanup_(manifest_free_p) struct manifest *m = NULL;
	char dir[] = "/tmp/contractor-test-XXXXXX", image[64], manifest[80];
	struct err e = ERR_INIT;
	char zero[8192] = "";
	int fd = -1;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(image, sizeof(image), "%s/w.img", dir);
	(void)snprintf(manifest, sizeof(manifest), "%s.json", image);
	ck_assert_int_eq(manifest_load(image, &m, &fd, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "contractor image build"));
	ck_assert_int_eq(mkfifo(image, 0600), 0);
	ck_assert_int_eq(manifest_load(image, &m, &fd, &e), -EINVAL);
	ck_assert_int_eq(unlink(image), 0);
	put_file(image, zero, sizeof(zero));
	ck_assert_int_eq(manifest_load(image, &m, &fd, &e), -ENOENT);
	put_file(manifest, "{}", 2);
	ck_assert_int_eq(manifest_load(image, &m, &fd, &e), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(e.text, manifest));
	put_file(manifest, GOOD, strlen(GOOD));
	ck_assert_int_eq(manifest_load(image, &m, &fd, &e), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), (int)sizeof(zero));
	fd_close(&fd);
	m = manifest_free(m);
	put_file(image, zero, sizeof(zero) - 1);
	ck_assert_int_eq(manifest_load(image, &m, &fd, &e), -EBADMSG);
	ck_assert_int_eq(fd, -1);
	(void)unlink(image);
	(void)unlink(manifest);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(modules)
{
	static const char dep[] = "kernel/a/virtio_blk.ko.xz: kernel/b/virtio.ko.xz "
				  "kernel/b/virtio_ring.ko.xz\n"
				  "kernel/b/virtio.ko.xz: kernel/b/virtio_ring.ko.xz\n"
				  "kernel/b/virtio_ring.ko.xz:\n"
				  "kernel/c/virtio-rng.ko: kernel/b/virtio.ko.xz\n"
				  "kernel/d/not_virtio_blk.ko:\n";
	static const char wanted[] = "# comment\n\nvirtio_blk\nvirtio_rng # why\nbuilt_in";
	_cleanup_buf_ struct buf load = {0}, out = {0};

	ck_assert_int_eq(initramfs_modules(dep, wanted, &load, &out, NULL), 0);
	ck_assert_str_eq(buf_str(&load), "virtio_blk virtio_rng\n");
	ck_assert_str_eq(buf_str(&out),
			 "kernel/a/virtio_blk.ko: kernel/b/virtio.ko kernel/b/virtio_ring.ko\n"
			 "kernel/b/virtio.ko: kernel/b/virtio_ring.ko\n"
			 "kernel/b/virtio_ring.ko:\n"
			 "kernel/c/virtio-rng.ko: kernel/b/virtio.ko\n");
}
END_TEST

START_TEST(modules_missing)
{
	_cleanup_buf_ struct buf load = {0}, out = {0};

	ck_assert_int_eq(initramfs_modules("a/x.ko: a/y.ko\n", "x", &load, &out, NULL), -EBADMSG);
}
END_TEST

START_TEST(has_module)
{
	static const char builtin[] = "kernel/fs/ext4/ext4.ko\nkernel/fs/erofs/erofs.ko\n";

	ck_assert(initramfs_has("overlay erofs\n", "", "erofs"));
	ck_assert(initramfs_has("overlay\n", builtin, "erofs"));
	ck_assert(!initramfs_has("overlay my_erofs erofs2\n", "kernel/fs/erofs/\n", "erofs"));
	ck_assert(!initramfs_has("\n", "", "erofs"));
	ck_assert(!initramfs_has("", "", "erofs"));
}
END_TEST

START_TEST(cpio)
{
	/* the header of a folder, checked against GNU cpio -o -H newc */
	static const char header[] = "07070100000001"
				     "000041ED"
				     "0000000000000000"
				     "00000002"
				     "0000000000000000"
				     "00000000000000000000000000000000"
				     "00000002"
				     "00000000"
				     "d\0";
	_cleanup_(cpio_done) struct cpio c = {.entries = 0};

	ck_assert_int_eq(cpio_add_dir(&c, "d"), 0);
	ck_assert_uint_eq(c.out.len, 112);
	ck_assert_mem_eq(c.out.data, header, sizeof(header));
	ck_assert_int_eq(cpio_add_file(&c, "d/f", 0755, "hello", 5), 0);
	ck_assert_uint_eq(c.out.len, 112 + 116 + 8);
	ck_assert_mem_eq(c.out.data + 112 + 116, "hello\0\0", 8);
	ck_assert_int_eq(cpio_end(&c), 0);
	ck_assert_ptr_nonnull(memmem(c.out.data, c.out.len, "TRAILER!!!", 11));
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("image");
	TCase *tc = unit_case(s, "manifest");

	tcase_add_test(tc, round_trip);
	tcase_add_test(tc, firmware_boot);
	tcase_add_test(tc, seed);
	tcase_add_test(tc, optional_keys);
	tcase_add_test(tc, layers);
	tcase_add_test(tc, hostile);
	tcase_add_test(tc, large);
	tcase_add_test(tc, load_files);
	tc = unit_case(s, "initramfs");
	tcase_add_test(tc, modules);
	tcase_add_test(tc, modules_missing);
	tcase_add_test(tc, has_module);
	tcase_add_test(tc, cpio);
	return s;
}
