/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts that make the manager VM's image, each by its own small inputs. */
#include "unit.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <lz4.h>
#include <sys/stat.h>

#include "base/io.h"
#include "image/debian-kernel.h"
#include "image/elf-section.h"
#include "image/legacy-lz4.h"
#include "image/libs.h"
#include "image/manager-image.h"
#include "image/modules.h"
#include "image/rootfs.h"
#include "image/stamps.h"
#include "image/tmpdir.h"

/* An ELF file with the sections "", .shstrtab and .modinfo. */
struct elf {
	Elf64_Ehdr eh;
	Elf64_Shdr sh[3];
	char names[32];
	char modinfo[64];
};

static void make_elf(struct elf *f, const char *modinfo, size_t len)
{
	memset(f, 0, sizeof(*f));
	memcpy(f->eh.e_ident, ELFMAG, SELFMAG);
	f->eh.e_ident[EI_CLASS] = ELFCLASS64;
	f->eh.e_ident[EI_DATA] = ELFDATA2LSB;
	f->eh.e_shoff = offsetof(struct elf, sh);
	f->eh.e_shentsize = sizeof(Elf64_Shdr);
	f->eh.e_shnum = 3;
	f->eh.e_shstrndx = 1;
	memcpy(f->names, "\0.shstrtab\0.modinfo", 20);
	f->sh[1] = (Elf64_Shdr){.sh_name = 1,
				.sh_type = SHT_STRTAB,
				.sh_offset = offsetof(struct elf, names),
				.sh_size = sizeof(f->names)};
	f->sh[2] = (Elf64_Shdr){.sh_name = 11,
				.sh_type = SHT_PROGBITS,
				.sh_offset = offsetof(struct elf, modinfo),
				.sh_size = len};
	memcpy(f->modinfo, modinfo, len);
}

START_TEST(elf_sections)
{
	const char *at = NULL;
	struct elf f, bad;
	size_t len = 0;

	make_elf(&f, "depends=a", 10);
	ck_assert_int_eq(elf_section((char *)&f, sizeof(f), ".modinfo", &at, &len), 0);
	ck_assert_ptr_eq(at, f.modinfo);
	ck_assert_uint_eq(len, 10);
	ck_assert_int_eq(elf_section((char *)&f, sizeof(f), ".interp", &at, &len), -ENOENT);
	for (size_t cut = 0; cut < sizeof(f) - sizeof(f.modinfo) + 10; cut++) {
		_cleanup_free_ char *part = malloc(cut + 1);

		ck_assert_ptr_nonnull(part);
		memcpy(part, &f, cut);
		ck_assert_int_ne(elf_section(part, cut, ".modinfo", &at, &len), 0);
	}
	/* any one byte of the headers may lie: an error or an answer inside the file, no more */
	for (size_t i = 0; i < offsetof(struct elf, modinfo); i++) {
		bad = f;
		((unsigned char *)&bad)[i] ^= 0xff;
		if (elf_section((char *)&bad, sizeof(bad), ".modinfo", &at, &len) == 0) {
			ck_assert(at >= (char *)&bad);
			ck_assert_uint_le((size_t)(at - (char *)&bad) + len, sizeof(bad));
		}
	}
	bad = f;
	bad.sh[2].sh_offset = UINT64_MAX - 4;
	ck_assert_int_eq(elf_section((char *)&bad, sizeof(bad), ".modinfo", &at, &len), -ENOEXEC);
}
END_TEST

START_TEST(modinfo_keys)
{
	static const char info[] = "license=GPL\0depends=virtio,virtio_ring\0name=x\0dep";

	ck_assert_str_eq(modules_info(info, sizeof(info), "depends"), "virtio,virtio_ring");
	ck_assert_str_eq(modules_info(info, sizeof(info), "name"), "x");
	ck_assert_ptr_null(modules_info(info, sizeof(info), "dep"));
	ck_assert_ptr_null(modules_info(info, 10, "license"));
}
END_TEST

static void put_file(const char *dir, const char *name, const void *data, size_t n)
{
	_cleanup_free_ char *path = NULL, *folder = NULL;
	struct err e = ERR_INIT;

	ck_assert_int_gt(asprintf(&path, "%s/%s", dir, name), 0);
	folder = strndup(path, (size_t)(strrchr(path, '/') - path));
	ck_assert_int_eq(io_mkdir_p(folder, 0755, &e), 0);
	ck_assert_int_eq(io_write_file_atomic(path, data, n, 0644, &e), 0);
}

static void put_module(const char *dir, const char *name, const char *depends)
{
	char info[64];
	int n = snprintf(info, sizeof(info), "depends=%s", depends);
	struct elf f;

	make_elf(&f, info, (size_t)n + 1);
	put_file(dir, name, &f, sizeof(f));
}

/* dir with kernel/{a/virtio-rng,b/virtio,c/ring,d/kvm_x}.ko and `early` built in. */
static char *make_modules(void)
{
	struct err e = ERR_INIT;
	char *dir = NULL;

	ck_assert_int_eq(tmpdir_make("/tmp", &dir, &e), 0);
	put_file(dir, "modules.builtin", "kernel/z/early.ko\n", 18);
	put_module(dir, "kernel/a/virtio-rng.ko", "virtio,ring");
	put_module(dir, "kernel/b/virtio.ko", "ring");
	put_module(dir, "kernel/c/ring.ko", "");
	put_module(dir, "kernel/d/kvm_x.ko", "kvm,ring");
	put_module(dir, "kernel/d/kvm.ko", "");
	put_module(dir, "kernel/l/left.ko", "right");
	put_module(dir, "kernel/l/right.ko", "left");
	return dir;
}

START_TEST(module_order)
{
	static const char *const names[] = {"ring", "virtio", "virtio_rng", "kvm", "kvm_x"};
	_cleanup_tmpdir_ char *dir = make_modules();
	struct err e = ERR_INIT;
	struct modules m = {0};

	ck_assert_int_eq(modules_find(dir,
				      "# list\n?kvm_x\n?none\n\nvirtio_rng # why\nearly\nvirtio",
				      &m, &e),
			 0);
	ck_assert_uint_eq(m.n, ARRAY_SIZE(names));
	for (size_t i = 0; i < m.n; i++) {
		ck_assert_str_eq(m.v[i].name, names[i]);
		ck_assert_int_eq(m.v[i].optional, i >= 3);
		ck_assert_uint_eq(m.v[i].content.len, sizeof(struct elf));
	}
	ck_assert_str_eq(m.v[2].path, "kernel/a/virtio-rng.ko");
	modules_done(&m);
}
END_TEST

START_TEST(module_faults)
{
	_cleanup_tmpdir_ char *dir = make_modules();
	struct err e = ERR_INIT;
	struct modules m = {0};

	ck_assert_int_eq(modules_find(dir, "virtio\nnone\n", &m, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "none"));
	ck_assert_int_eq(modules_find(dir, "left\n", &m, &e), -EBADMSG);
	put_file(dir, "kernel/b/junk.ko", "junk", 4);
	ck_assert_int_eq(modules_find(dir, "junk\n", &m, &e), -EBADMSG);
	ck_assert_int_eq(modules_find("/nonexistent", "virtio\n", &m, &e), -ENOENT);
}
END_TEST

static int collect(const char *path, void *user_data)
{
	return buf_printf(user_data, "%s;", path);
}

START_TEST(loader_list)
{
	_cleanup_buf_ struct buf got = {0};
	struct err e = ERR_INIT;

	ck_assert_int_eq(libs_parse("\tlinux-vdso.so.1 (0x00007f9795931000)\n"
				    "\tlibz.so.1 => /lib/a b/libz.so.1 (0x00007f97956d2000)\n"
				    "\t/lib64/ld-linux-x86-64.so.2 (0x00007f9795933000)\n",
				    collect, &got, &e),
			 0);
	ck_assert_str_eq(buf_str(&got), "/lib/a b/libz.so.1;/lib64/ld-linux-x86-64.so.2;");
	ck_assert_int_eq(libs_parse("\tlibold.so.1 => not found\n", collect, &got, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "libold.so.1"));
	ck_assert_int_eq(libs_parse("", collect, &got, &e), 0);
	ck_assert_int_eq(libs_parse("\n\t\n => \n", collect, &got, &e), -ENOENT);
}
END_TEST

START_TEST(own_libraries)
{
	_cleanup_free_ char *self = realpath("/proc/self/exe", NULL), *loader = NULL;
	_cleanup_buf_ struct buf got = {0};
	struct err e = ERR_INIT;

	ck_assert_ptr_nonnull(self);
	ck_assert_int_eq(libs_loader(self, &loader, &e), 0);
	ck_assert_ptr_nonnull(loader);
	ck_assert_int_eq(libs_find(loader, self, collect, &got, &e), 0);
	ck_assert_ptr_nonnull(strstr(buf_str(&got), "/libc.so.6;"));
	ck_assert_int_eq(libs_loader("/dev/null", &loader, &e), -ENOEXEC);
	ck_assert_int_eq(libs_loader("/etc/passwd", &loader, &e), -ENOEXEC);
}
END_TEST

START_TEST(archive)
{
	_cleanup_buf_ struct buf a = {0}, b = {0};
	struct rootfs f = {0}, g = {0};
	struct err e = ERR_INIT;
	const char *at;

	ck_assert_int_eq(rootfs_add_data(&f, "/usr/lib/x", 0644, "data", 4), 0);
	ck_assert_int_eq(rootfs_add_link(&f, "lib", "usr/lib"), 0);
	ck_assert_int_eq(rootfs_add_char_device(&f, "dev/console", 0600, 5, 1), 0);
	ck_assert_int_eq(rootfs_add_link(&f, "lib", "usr/lib"), 0);
	ck_assert_int_eq(rootfs_add_link(&f, "lib", "elsewhere"), -EEXIST);
	ck_assert_int_eq(rootfs_add_file(&f, "lib", 0755, "/bin/true"), -EEXIST);
	ck_assert_int_eq(rootfs_complete(&f), 0);
	ck_assert_uint_eq(f.n, 6);
	ck_assert_str_eq(f.v[0].name, "dev");
	ck_assert_str_eq(f.v[5].name, "usr/lib/x");
	ck_assert_int_eq(rootfs_pack(&f, &a, &e), 0);
	/* the order in which entries came does not show */
	ck_assert_int_eq(rootfs_add_char_device(&g, "dev/console", 0600, 5, 1), 0);
	ck_assert_int_eq(rootfs_add_dir(&g, "usr"), 0);
	ck_assert_int_eq(rootfs_add_link(&g, "lib", "usr/lib"), 0);
	ck_assert_int_eq(rootfs_add_data(&g, "usr/lib/x", 0644, "data", 4), 0);
	ck_assert_int_eq(rootfs_complete(&g), 0);
	ck_assert_int_eq(rootfs_pack(&g, &b, &e), 0);
	ck_assert_uint_eq(a.len, b.len);
	ck_assert_mem_eq(a.data, b.data, a.len);
	/* mode, then rdevice 5:1, in the header of dev/console */
	at = memmem(a.data, a.len, "dev/console", 11);
	ck_assert_ptr_nonnull(at);
	ck_assert_mem_eq(at - 110 + 14, "00002180", 8);
	ck_assert_mem_eq(at - 110 + 78, "0000000500000001", 16);
	ck_assert_int_eq(rootfs_add_file(&g, "missing", 0644, "/nonexistent"), 0);
	ck_assert_int_eq(rootfs_pack(&g, &b, &e), -ENOENT);
	rootfs_done(&f);
	rootfs_done(&g);
}
END_TEST

static uint32_t get_u32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

START_TEST(compression)
{
	size_t n = 8 * MIB + 12345, at = 4, done = 0;
	_cleanup_free_ char *data = malloc(n), *back = malloc(8 * MIB);
	_cleanup_buf_ struct buf packed = {0};
	_cleanup_close_ int fd = -1;
	struct err e = ERR_INIT;

	ck_assert(data && back);
	for (size_t i = 0; i < n; i++)
		data[i] = (char)(i * i >> 12);
	fd = io_tmpfile("/tmp", &e);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(lz4_write(fd, data, n), 0);
	ck_assert_int_eq((int)lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(io_read_all(fd, n, &packed), 0);
	ck_assert_uint_eq(get_u32(packed.data), 0x184c2102);
	while (at < packed.len) {
		uint32_t len = get_u32(packed.data + at);
		int plain = LZ4_decompress_safe(packed.data + at + 4, back, (int)len, 8 * MIB);

		ck_assert_int_gt(plain, 0);
		ck_assert_mem_eq(back, data + done, (size_t)plain);
		done += (size_t)plain;
		at += 4 + len;
	}
	ck_assert_uint_eq(done, n);
}
END_TEST

START_TEST(stamps_remember)
{
	static const char plain[] =
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; /* abc */
	char hash[SHA256_HEX_SIZE], *file = NULL, *memory = NULL;
	_cleanup_tmpdir_ char *dir = NULL;
	_cleanup_buf_ struct buf text = {0};
	struct err e = ERR_INIT;
	struct stamps *s;

	ck_assert_int_eq(tmpdir_make("/tmp", &dir, &e), 0);
	ck_assert_int_gt(asprintf(&file, "%s/file", dir), 0);
	ck_assert_int_gt(asprintf(&memory, "%s/stamps", dir), 0);
	put_file(dir, "file", "abc", 3);
	ck_assert_int_eq(stamps_load(memory, &s), 0);
	ck_assert_int_eq(stamps_hash(s, file, hash, &e), 0);
	ck_assert_str_eq(hash, plain);
	ck_assert_int_eq(stamps_hash(s, "/nonexistent", hash, &e), -ENOENT);
	ck_assert_int_eq(stamps_hash(s, "/dev/null", hash, &e), -EINVAL);
	ck_assert_int_eq(stamps_save(s, &e), 0);
	stamps_free(s);
	/* a false hash in the memory shows that it is asked; a changed file that it is not believed
	 */
	ck_assert_int_eq(io_read_file(AT_FDCWD, memory, 4096, &text, &e), 0);
	text.data[0] = '0';
	ck_assert_int_eq(io_write_file_atomic(memory, text.data, text.len, 0600, &e), 0);
	ck_assert_int_eq(stamps_load(memory, &s), 0);
	ck_assert_int_eq(stamps_hash(s, file, hash, &e), 0);
	ck_assert_int_eq(hash[0], '0');
	put_file(dir, "file", "abd", 3);
	ck_assert_int_eq(stamps_hash(s, file, hash, &e), 0);
	ck_assert_str_ne(hash + 1, plain + 1);
	stamps_free(s);
	/* junk is an empty memory */
	put_file(dir, "stamps", "\0\n:junk", 7);
	ck_assert_int_eq(stamps_load(memory, &s), 0);
	put_file(dir, "file", "abc", 3);
	ck_assert_int_eq(stamps_hash(s, file, hash, &e), 0);
	ck_assert_str_eq(hash, plain);
	stamps_free(s);
	free(file);
	free(memory);
}
END_TEST

START_TEST(manifest)
{
	struct manager_image m = {
		.cmdline = (char *)"quiet",
		.kernel = {0, 100},
		.initrd = {100, 50},
		.key = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"};
	_cleanup_free_ char *text = manager_image_print(&m, "x86_64", false, "a 1\nb 2\n");
	static const char *const bad[] = {
		"",
		"[]",
		"{\"format\": 1}",
		"{\"format\": 2, \"key\": \"\", \"cmdline\": \"\"}",
		"{\"format\": 1, \"key\": \"ab\", \"cmdline\": \"\", \"kernel\": {\"offset\": 0, "
		"\"size\": 1}, \"initrd\": {\"offset\": 0, \"size\": 1}}",
	};
	struct manager_image got = {0};
	struct err e = ERR_INIT;

	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(manager_image_parse(text, strlen(text), &got, &e), 0);
	ck_assert_str_eq(got.key, m.key);
	ck_assert_str_eq(got.cmdline, "quiet");
	ck_assert_uint_eq(got.initrd.offset, 100);
	ck_assert_uint_eq(got.initrd.size, 50);
	manager_image_done(&got);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(manager_image_parse(bad[i], strlen(bad[i]), &got, &e), -EBADMSG);
}
END_TEST

START_TEST(kernel_package)
{
	_cleanup_free_ char *name =
		debian_kernel_package("linux-image-cloud-amd64\n  Depends: "
				      "linux-image-6.1.0-56-cloud-amd64\n  Breaks: x\n");

	ck_assert_str_eq(name, "linux-image-6.1.0-56-cloud-amd64");
	ck_assert_ptr_null(debian_kernel_package("linux-image-cloud-amd64\n"));
	ck_assert_ptr_null(debian_kernel_package(""));
}
END_TEST

START_TEST(temporary_folders)
{
	_cleanup_tmpdir_ char *dir = NULL;
	char *inner = NULL;
	struct err e = ERR_INIT;
	struct stat st;

	ck_assert_int_eq(tmpdir_make("/tmp", &dir, &e), 0);
	ck_assert_int_eq(tmpdir_make(dir, &inner, &e), 0);
	put_file(inner, "a/b/file", "x", 1);
	put_file(dir, "kept", "x", 1);
	tmpdir_sweep(dir);
	ck_assert_int_ne(stat(inner, &st), 0);
	free(inner);
	ck_assert_int_eq(asprintf(&inner, "%s/kept", dir) > 0 && stat(inner, &st) == 0, 1);
	free(inner);
	ck_assert_int_ne(tmpdir_make("/nonexistent", &inner, &e), 0);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("manager-image");
	TCase *c = unit_case(s, "manager-image");

	tcase_add_test(c, elf_sections);
	tcase_add_test(c, modinfo_keys);
	tcase_add_test(c, module_order);
	tcase_add_test(c, module_faults);
	tcase_add_test(c, loader_list);
	tcase_add_test(c, own_libraries);
	tcase_add_test(c, archive);
	tcase_add_test(c, compression);
	tcase_add_test(c, stamps_remember);
	tcase_add_test(c, manifest);
	tcase_add_test(c, kernel_package);
	tcase_add_test(c, temporary_folders);
	return s;
}
