/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The doctor's judgement: from what was found on a machine to what it means for builds. */
#ifndef CONTRACTOR_CLI_DOCTOR_H
#define CONTRACTOR_CLI_DOCTOR_H

#include <stdint.h>

#include "base/buf.h"
#include "isolation.h"

/* What a machine has; texts are ours or come from installed programs. Zeroed: nothing. */
struct doctor_facts {
	struct isolation_facts isolation;
	char qemu[256]; /* path, "" where there is none */
	char qemu_why[256];
	char qemu_version[128]; /* first line of --version */
	bool userns;		/* a namespace was really made */
	char userns_why[256];
	bool tun; /* a tap was really made, in that namespace */
	char tun_why[256];
	bool root;
	uint64_t subuids, subgids; /* in the user's ranges */
	bool id_tools;		   /* newuidmap and newgidmap */
	char cgroup[256];	   /* delegated controllers, "" for none */
	char cache[256];	   /* the folder */
	uint64_t cache_free;	   /* bytes on its file system */
	uint64_t memory;	   /* bytes that a new program can have */
	bool mke2fs, mmdebstrap;
	bool apt; /* can fetch the manager VM's kernel */
};

enum doctor_state {
	DOCTOR_OK,
	DOCTOR_NOTE, /* builds run; something is slower, or not to be had */
	DOCTOR_FAIL, /* no build runs */
	_DOCTOR_STATE_MAX,
};

struct doctor_line {
	const char *name;
	enum doctor_state state;
	char text[512]; /* what there is; where it is not all well, what to do */
};

#define DOCTOR_LINES_MAX 16

struct doctor_report {
	struct doctor_line lines[DOCTOR_LINES_MAX];
	size_t n;
	bool can_build;
	enum spec_isolation isolation; /* what auto chooses */
	char isolation_why[512];
};

/* Pure: judges. */
void doctor_judge(const struct doctor_facts *f, struct doctor_report *ret);

/* Pure: the report for people, and as one JSON object. 0 or -ENOMEM. */
int doctor_print_text(const struct doctor_report *r, struct buf *out);
int doctor_print_json(const struct doctor_report *r, struct buf *out);

/* Looks at this machine. Nothing that it tries is left behind. */
void doctor_probe(struct doctor_facts *ret);

#endif
