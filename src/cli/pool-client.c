/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pool's words, and what a build says to a pool. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fds.h"
#include "base/io.h"
#include "paths.h"
#include "pool.h"

int pool_path(const char *name, char **ret, struct err *e)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	_cleanup_free_ char *dir = NULL;
	int r = 0;

	if (runtime && runtime[0] == '/')
		dir = paths_join(runtime, "contractor");
	else
		r = paths_state(&dir, e);
	if (r < 0)
		return r;
	if (!dir)
		return err_oom(e);
	r = io_mkdir_p(dir, 0700, e);
	if (r < 0)
		return r;
	*ret = paths_join(dir, name);
	return *ret ? 0 : err_oom(e);
}

int pool_send(int fd, enum pool_word word, const void *data, size_t len, const int *fds,
	      size_t n_fds)
{
	char letter = (char)word;
	const struct iovec iov[] = {{&letter, 1}, {(void *)data, len}};
	ssize_t r = fds_send(fd, iov, 2, fds, n_fds, 0);

	return r < 0 ? (int)r : 0;
}

ssize_t pool_receive(int fd, enum pool_word *ret_word, char *data, int *fds, size_t n_fds)
{
	char letter = 0;
	const struct iovec iov[] = {{&letter, 1}, {data, POOL_MESSAGE_MAX}};
	ssize_t n = fds_receive(fd, iov, 2, fds, n_fds, 0);

	if (n < 0)
		return n == -EINTR ? -EAGAIN : n;
	if (n == 0)
		return -EPIPE;
	*ret_word = (enum pool_word)letter;
	data[n - 1] = '\0';
	return n - 1;
}

int pool_connect(struct err *e)
{
	struct timeval tv = {.tv_sec = POOL_TAKE_MS / 1000};
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int r = pool_path(POOL_SOCKET, &path, e);

	if (r < 0 || !path)
		return r < 0 ? r : -ENOMEM;
	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(e, -ENOENT, "%s: too long for a socket", path);
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, -errno, "cannot make a socket");
	/* one that nobody serves any more is as good as none */
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_errno(e, -ENOENT, "%s: no managers wait there", path);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != geteuid())
		return err_set(e, -EPERM, "%s: is served by another user", path);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	return take_fd(&fd);
}

static int ask(int fd, const struct launch_files *files, const struct nested_plan *p,
	       const char *image)
{
	const int fds[HOME_DISKS] = {files->image, files->input, files->output, files->scratch,
				     files->layer};
	_cleanup_(json_free_p) cJSON *j = cJSON_CreateObject();
	_cleanup_free_ char *text = NULL;

	if (!j || !cJSON_AddStringToObject(j, "image", image) ||
	    !cJSON_AddBoolToObject(j, "kvm", p->kvm) ||
	    !cJSON_AddBoolToObject(j, "worker-kvm", p->worker_kvm) ||
	    json_add_u64(j, "cpus", p->cpus) < 0 || json_add_u64(j, "memory", p->memory) < 0 ||
	    json_add_u64(j, "cpu-time-ms", p->cpu_time_ms) < 0 ||
	    json_add_u64(j, "file-size", p->file_size) < 0)
		return -ENOMEM;
	text = json_print(j);
	return text ? pool_send(fd, POOL_TAKE, text, strlen(text), fds,
				HOME_DISKS - (files->layer < 0))
		    : -ENOMEM;
}

int pool_take(const struct launch_files *files, const struct nested_plan *plan, const char *image,
	      struct home_ports *ret_ports, uint64_t *ret_memory, struct err *e)
{
	_cleanup_free_ char *data = malloc(POOL_MESSAGE_MAX + 1);
	_cleanup_close_ int fd = pool_connect(e);
	_cleanup_(json_free_p) cJSON *j = NULL;
	enum pool_word word = POOL_NONE;
	int fds[2] = {-1, -1}, r;
	ssize_t n;

	if (fd < 0)
		return fd;
	r = data ? ask(fd, files, plan, image) : -ENOMEM;
	if (r < 0)
		return err_errno(e, -EBUSY, "cannot ask the waiting managers");
	n = pool_receive(fd, &word, data, fds, 2);
	if (n >= 0 && word == POOL_GIVEN && fds[0] >= 0 && fds[1] >= 0 &&
	    json_parse(data, (size_t)n, &j, e) == 0) {
		*ret_memory = json_u64_or(j, "memory", plan->memory);
		*ret_ports = (struct home_ports){fds[0], fds[1]};
		return take_fd(&fd);
	}
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	if (n >= 0 && word == POOL_NONE)
		return err_set(e, -EBUSY, "%s", data);
	return err_set(e, -EBUSY, "the waiting managers do not answer");
}
