/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A QEMU under test: started by vm_start, stepped until something has happened. */
#ifndef CONTRACTOR_TESTS_QEMU_BENCH_H
#define CONTRACTOR_TESTS_QEMU_BENCH_H

#include "base/loop.h"
#include "vm/vm.h"

#define BENCH_MS 60000 /* for anything that must come: emulated, on a busy machine */

struct bench {
	struct loop *l;
	struct vm *v;
	struct vm_start s;
	int disks[2];	    /* read-only, read-write; 1 MiB each */
	int events;	    /* of all kinds */
	char names[512];    /* "NAME:reason NAME ..." in their order */
	bool free_on_event; /* vm_free in the next event's callback */
	bool free_on_exit;
	size_t console; /* bytes that came */
	int exits, status;
	int replies, code; /* of the last command */
	char text[256];
	cJSON *ret; /* its answer, a copy */
};

/* A q35 without a kernel, stopped before its first instruction, with a disk of each kind. */
void bench_init(struct bench *b);
void bench_done(struct bench *b);

/* vm_start, which must work; with a real QEMU also until QMP answers. */
void bench_start(struct bench *b);
void bench_start_ready(struct bench *b);

/* Sends a command and waits for its answer; the code, with b->ret and b->text. */
int bench_ask(struct bench *b, const char *name, cJSON *consume_args);
int bench_ask_fd(struct bench *b, const char *name, cJSON *consume_args, int consume_fd);

/* Steps until the counter has the value; the test fails when it takes over BENCH_MS. */
void bench_until(struct bench *b, const int *counter, int value);

/* Steps until the console has said text; the test fails when it takes over BENCH_MS. */
void bench_until_console(struct bench *b, const char *text);

/* A text file of /proc/PID/name of QEMU, as a malloc'ed string. */
char *bench_proc(const struct bench *b, const char *name);

/* A regular file without a name and of that size; reopened for reading only if asked for. */
int bench_file(size_t size, bool read_only);

#endif
