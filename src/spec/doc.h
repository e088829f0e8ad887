/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A YAML document as a tree of typed nodes, each with its place in the text. */
#ifndef CONTRACTOR_SPEC_DOC_H
#define CONTRACTOR_SPEC_DOC_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/err.h"

/* What hostile text may cost. Nothing that is written by hand comes near them. */
#define DOC_FILE_MAX	  (256 * KIB)
#define DOC_DEPTH_MAX	  32
#define DOC_ANCHORS_MAX	  1000
#define DOC_EXPANDED_MAX  10000	    /* nodes that aliases add to the tree */
#define DOC_EXPANDED_TEXT (4 * MIB) /* bytes of text that they add */

enum node_type {
	NODE_NULL,
	NODE_BOOL,
	NODE_INT,
	NODE_FLOAT,
	NODE_STR,
	NODE_SEQ,
	NODE_MAP,
	_NODE_TYPE_MAX,
};

struct node;

struct node_pair {
	struct node *key, *value;
	bool merged; /* by <<, so a key of the mapping's own takes its place */
};

/* Owned by its document; an alias is one more pointer to the anchored node. */
struct node {
	enum node_type type;
	int line, column; /* from 1, in characters */
	bool truth;	  /* NODE_BOOL */
	bool open;	  /* its end has not been read yet */
	bool merge_key;	  /* an unquoted << */
	char *text;	  /* scalars: as written, unquoted */
	char *number;	  /* NODE_INT, NODE_FLOAT: as JSON text */
	union {
		struct node **items;	 /* NODE_SEQ */
		struct node_pair *pairs; /* NODE_MAP */
	};
	size_t n, room;

	/* of the whole subtree, aliases expanded */
	size_t weight; /* nodes */
	size_t bytes;  /* of text */
	unsigned height;

	struct node *next; /* the document's list */
};

/* Owns all its nodes. */
struct doc {
	struct node *root;
	struct node *nodes;
};

/*
 * Parses `len` bytes as exactly one document within the caps above: aliases expanded, merge keys
 * merged, duplicate keys refused. `name` stands in front of line and column in the messages. 0,
 * -EBADMSG with the reason, or -ENOMEM. The caller frees with doc_free.
 */
int doc_parse(const char *name, const char *text, size_t len, struct doc **ret, struct err *e);

struct doc *doc_free(struct doc *d);
CLEANUP_FUNC(doc_free, struct doc)

/* Records "name:line:column: sentence"; returns code. */
int doc_error(struct err *e, int code, const char *name, int line, int column, const char *fmt, ...)
	_printf_(6, 7);

/* The words for a node's type in a message: "text", "a list". */
const char *node_type_words(enum node_type t);

/*
 * Ends a mapping: takes the << pairs apart, puts each key in its place once, refuses duplicates.
 * 0, -EBADMSG or -ENOMEM.
 */
int node_finish_map(struct node *map, const char *name, struct err *e);

/* Adds to a sequence or mapping. 0 or -ENOMEM. */
int node_add_item(struct node *seq, struct node *item);
int node_add_pair(struct node *map, struct node_pair pair);

/* The text of a scalar key in JSON: as Python's json.dumps prints keys that are not strings. */
const char *node_key(const struct node *key);

/*
 * A copy of the subtree as JSON. Numbers that a double or cJSON's printer would change are raw
 * items. NULL: OOM.
 */
cJSON *node_json(const struct node *n);

#endif
