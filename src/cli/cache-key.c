/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hashing inputs so that no two lists of them run into one another. */
#include "cache-key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

static void put(struct sha256 *s, const void *data, size_t len)
{
	uint64_t n = len;

	sha256_put(s, &n, sizeof(n));
	sha256_put(s, data, len);
}

void cache_key(const struct cache_input *in, size_t n, char ret[SHA256_HEX_SIZE])
{
	unsigned char digest[SHA256_SIZE];
	struct sha256 s;

	sha256_init(&s);
	for (size_t i = 0; i < n; i++) {
		put(&s, in[i].name, strlen(in[i].name));
		put(&s, in[i].data, in[i].len);
	}
	sha256_end(&s, digest);
	(void)sha256_hex(digest, ret);
}

int cache_identity(int fd, char ret[CACHE_IDENTITY_MAX])
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	(void)snprintf(ret, CACHE_IDENTITY_MAX, "%llx:%llx %lld %lld.%09ld",
		       (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
		       (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	return 0;
}

int cache_identity_of(const char *path, char ret[CACHE_IDENTITY_MAX], struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r = fd < 0 ? -errno : cache_identity(fd, ret);

	return r < 0 ? err_errno(e, r, "%s", path) : 0;
}
