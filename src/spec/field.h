/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How the parts of a spec are read: tables of keys, and values of the wanted type or an error. */
#ifndef CONTRACTOR_SPEC_FIELD_H
#define CONTRACTOR_SPEC_FIELD_H

#include "base/err.h"
#include "doc.h"
#include "spec.h"

/* What the functions of the tables work on. */
struct reader {
	struct spec *spec;
	const char *name; /* of the file, for messages */
	const char *key;  /* the one being read, for messages */
	struct err *e;
	struct net_rule *rule;	      /* the one being read */
	const struct node *workspace; /* its value: checked when all paths are known */
};

struct field {
	const char *name;
	int (*read)(struct reader *r, const struct node *value);
	bool required;
};

/*
 * Reads a mapping by its table: r->key is set and the function called for each pair; an unknown
 * key, a missing one, or another type than a mapping is an error; an optional one that is null is
 * as good as not there. `what` names the whole in messages. 0 or a negative errno.
 */
int field_read_all(struct reader *r, const struct node *map, const char *what,
		   const struct field *fields, size_t n);

/* Records "file:line:column: sentence" at the node; returns -EINVAL. */
int field_fail(struct reader *r, const struct node *at, const char *fmt, ...) _printf_(3, 4);

/* "KEY must be WANTED, not ..." at the node; returns -EINVAL. */
int field_fail_type(struct reader *r, const struct node *at, const char *wanted);

/* Text that is not empty, as a copy. 0, -EINVAL or -ENOMEM. */
int field_text(struct reader *r, const struct node *v, char **ret);

/* Text or a number, as it is written there; owned by the document. 0 or -EINVAL. */
int field_word(struct reader *r, const struct node *v, const char *wanted, const char **ret);

/* One of several words: its place in the list, or -EINVAL. */
int field_choice(struct reader *r, const struct node *v, const char *const *words, size_t n);

int field_bool(struct reader *r, const struct node *v, bool *ret);

/* The whole of a spec, into r->spec, whose dir is set. 0, -EINVAL or -ENOMEM. */
int spec_read_root(struct reader *r, const struct node *root);

/* The key `network`, into r->spec->network. 0, -EINVAL or -ENOMEM. */
int network_read(struct reader *r, const struct node *v);

#endif
