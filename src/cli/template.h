/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The memory template of a build's worker: found in the cache, or made, or the reason why not. */
#ifndef CONTRACTOR_CLI_TEMPLATE_H
#define CONTRACTOR_CLI_TEMPLATE_H

#include "build.h"
#include "disks.h"
#include "template-file.h"

/* A template in use. */
struct template
{
	int memory; /* its file, for reading only, under a shared lock; -1: there is none */
	int state;  /* the same file, at the devices' state */
	struct disks_copy scratch;
	int store;    /* where it is kept */
	pid_t keeper; /* the process that writes a new one there; -1: none */
	int keeper_says;
};

#define TEMPLATE_INIT                                                                   \
	{                                                                               \
		.memory = -1, .state = -1, .scratch.fd = -1, .store = -1, .keeper = -1, \
		.keeper_says = -1                                                       \
	}

/* What the build's worker has besides its spec; borrowed. */
struct template_worker {
	const char *cache; /* folder */
	int layer;	   /* -1: none */
	const struct net_rule *rules;
	size_t n_rules;
};

/*
 * Finds the template, or makes it in a session of its own, where that is wanted and possible; what
 * came of it, and why, is in b->template. False only when the build is over by it: it was
 * interrupted, or met a limit; then b->verdict says so.
 */
bool template_get(struct build *b, const struct template_worker *w, struct template *ret);

/* It did not work: away with it, and the reason into b->template. The build starts cold. */
void template_failed(struct build *b, struct template *t, const char *why);

/* Waits until a new one is kept, or is not and says why in b->template, and closes all. */
void template_done(struct build *b, struct template *t);

#endif
