/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The packer process: its result comes back in an unnamed file, its end by the loop. */
#include "packer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/io.h"

#define SOURCES_MAX (256 * MIB)

/* What the child writes, followed by the list of sources and the layer's list. */
struct result {
	int code;
	uint64_t entries, bytes, size, layer_size, surprises, sources_len, list_len;
	char text[ERR_TEXT_MAX];
};

struct packer {
	pid_t pid;
	int result_fd;
	struct loop_source *child;
	packer_done_fn fn;
	void *user_data;
};

/* As a layer, or where that cannot be as a tar behind the head: then e says why all the same. */
static int write_layer(int fd, const struct input_tree *tree, const struct packer_layer *layer,
		       struct input_result *res, struct err *e)
{
	const off_t head = (off_t)INPUT_HEAD_SIZE;
	int r = input_write_layer(fd, layer->at, &layer->below, tree, res, e);
	struct stat st;

	if (r != -EOPNOTSUPP)
		return r;
	if (fstat(fd, &st) < 0 ||
	    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, head, st.st_size - head) < 0)
		return err_errno(e, -errno, "cannot empty the input disk");
	return input_write_tree(fd, tree, res, e);
}

static _Noreturn void packer_child(int fd, const struct input_tree *tree,
				   const struct packer_layer *layer, int result_fd)
{
	struct input_result res = {0};
	struct err e = ERR_INIT;
	struct result out = {0};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* somebody opens a file for writing in the very moment in which it has our lease */
	(void)signal(SIGIO, SIG_IGN);
	out.code = layer ? write_layer(fd, tree, layer, &res, &e)
			 : input_write_tree(fd, tree, &res, &e);
	out.entries = res.entries;
	out.bytes = res.bytes;
	out.size = (uint64_t)lseek(fd, 0, SEEK_CUR);
	out.layer_size = res.layer_size;
	out.surprises = res.surprises;
	out.sources_len = res.sources.len;
	out.list_len = res.list.len;
	memcpy(out.text, e.text, sizeof(out.text));
	if (io_write_full(result_fd, &out, sizeof(out)) < 0 ||
	    io_write_full(result_fd, res.sources.data, res.sources.len) < 0 ||
	    io_write_full(result_fd, res.list.data, res.list.len) < 0)
		_exit(1);
	_exit(0);
}

static int read_list(int fd, uint64_t len, struct buf *out)
{
	int r = buf_reserve(out, len);

	if (r < 0)
		return r;
	if (io_read_full(fd, out->data, len) != (ssize_t)len)
		return -EIO;
	out->len = len;
	out->data[len] = '\0';
	return 0;
}

static void on_exit_of(struct loop_source *s, const siginfo_t *info, void *user_data)
{
	struct packer *p = user_data;
	struct input_result res = {.sources.cap = SOURCES_MAX, .list.cap = LAYER_LIST_MAX};
	struct err e = ERR_INIT;
	struct result in = {0};
	int r = 0;

	p->pid = -1;
	p->child = NULL;
	if (lseek(p->result_fd, 0, SEEK_SET) < 0 || info->si_code != CLD_EXITED ||
	    info->si_status != 0 || io_read_full(p->result_fd, &in, sizeof(in)) != sizeof(in)) {
		r = err_set(&e, -EIO, "the process that packs the source ended unexpectedly");
	} else if (in.code < 0) {
		in.text[sizeof(in.text) - 1] = '\0';
		r = err_set(&e, in.code, "%s", in.text);
	} else {
		res.entries = in.entries;
		res.bytes = in.bytes;
		in.text[sizeof(in.text) - 1] = '\0';
		(void)snprintf(e.text, sizeof(e.text), "%s", in.text);
		res.layer_size = in.layer_size;
		res.surprises = in.surprises;
		r = read_list(p->result_fd, in.sources_len, &res.sources);
		if (r == 0)
			r = read_list(p->result_fd, in.list_len, &res.list);
		if (r < 0)
			err_errno(&e, r, "cannot read the list of the source");
	}
	p->fn(r, &res, in.size, &e, p->user_data);
	input_result_done(&res);
}

int packer_start(struct loop *l, int fd, const struct input_tree *tree,
		 const struct packer_layer *layer, packer_done_fn fn, void *user_data,
		 struct packer **ret, struct err *e)
{
	struct packer *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_oom(e);
	p->pid = -1;
	p->fn = fn;
	p->user_data = user_data;
	p->result_fd = memfd_create("pack", MFD_CLOEXEC);
	if (p->result_fd >= 0)
		p->pid = fork();
	if (p->pid == 0)
		packer_child(fd, tree, layer, p->result_fd);
	if (p->pid < 0) {
		r = err_errno(e, -errno, "cannot start packing the source");
		(void)packer_free(p);
		return r;
	}
	r = loop_add_child(l, p->pid, on_exit_of, p, &p->child);
	if (r < 0) {
		(void)packer_free(p);
		return err_errno(e, r, "cannot watch the packing of the source");
	}
	*ret = p;
	return 0;
}

struct packer *packer_free(struct packer *p)
{
	if (!p)
		return NULL;
	(void)loop_remove(p->child);
	if (p->pid > 0) {
		(void)kill(p->pid, SIGKILL);
		(void)child_wait(p->pid, NULL);
	}
	fd_close(&p->result_fd);
	free(p);
	return NULL;
}
