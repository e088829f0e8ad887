/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From libyaml's events to a document. */
/*
 * libyaml 0.2.5 has no nesting limit and is quadratic in the nesting, so the depth is checked on
 * each event before the next one is asked for. Its events do not expand aliases; the expansion is
 * by pointer here and its size is counted, so that a bomb costs nothing.
 */
#include "doc.h"

#include <errno.h>
#include <stdarg.h>
#include <yaml.h>

#include "base/text.h"
#include "scalar.h"

#define TAG_PREFIX "tag:yaml.org,2002:"

struct anchor {
	char *name;
	struct node *node;
};

struct frame {
	struct node *node;
	struct node *key; /* of a mapping, waiting for its value */
};

struct composer {
	const char *name;
	const char *text;
	size_t len;
	struct doc *doc;
	struct frame stack[DOC_DEPTH_MAX];
	size_t depth;
	struct anchor anchors[DOC_ANCHORS_MAX];
	size_t n_anchors;
	size_t expanded, expanded_text;
	struct err *e;
};

int doc_error(struct err *e, int code, const char *name, int line, int column, const char *fmt, ...)
{
	char what[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return err_set(e, code, "%s:%d:%d: %s", name, line, column, what);
}

#define FAIL(c, mark, ...)                                                                   \
	doc_error((c)->e, -EBADMSG, (c)->name, (int)(mark).line + 1, (int)(mark).column + 1, \
		  __VA_ARGS__)

/* The line as the text has it; its length without the line break. */
static const char *find_line(const struct composer *c, size_t line, size_t *ret_len)
{
	const char *p = c->text, *end = c->text + c->len, *nl;

	for (; line > 0; line--) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			break;
		p = nl + 1;
	}
	nl = memchr(p, '\n', (size_t)(end - p));
	*ret_len = (size_t)((nl ? nl : end) - p);
	return p;
}

/* A character that libyaml's reader refuses: broken UTF-8 or a control character, at a byte. */
static int fail_reader(struct composer *c, const yaml_parser_t *p)
{
	size_t at = MIN(p->problem_offset, c->len ? c->len - 1 : 0);
	yaml_mark_t mark = {0};

	for (size_t i = 0; i < at; i++) {
		mark.column++;
		if (c->text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		} else if ((c->text[i] & 0xc0) == 0x80) {
			mark.column--;
		}
	}
	return FAIL(c, mark, "is not UTF-8 text: byte 0x%02x at offset %zu",
		    c->len ? (unsigned char)c->text[at] : 0, at);
}

/* libyaml's sentence, or a clearer one where it speaks of its own workings. */
static const char *problem_words(const char *problem)
{
	static const struct {
		const char *theirs, *ours;
	} words[] = {
		{"found character that cannot start any token",
		 "this character cannot start a value; quote the value"},
		{"mapping values are not allowed in this context",
		 "a key cannot stand here: look at the indentation, or quote a value with ': ' in "
		 "it"},
		{"did not find expected <document start>", "text behind the end of the document"},
		{"found incompatible YAML document", "YAML of another major version than 1"},
	};

	for (size_t i = 0; problem && i < ARRAY_SIZE(words); i++) {
		if (strcmp(problem, words[i].theirs) == 0)
			return words[i].ours;
	}
	return problem ? problem : "is not YAML";
}

static int fail_parser(struct composer *c, const yaml_parser_t *p)
{
	const yaml_mark_t *at = &p->problem_mark, *from = &p->context_mark;
	const char *line, *tab, *problem = problem_words(p->problem);
	size_t len, indent = 0;

	if (p->error == YAML_MEMORY_ERROR)
		return err_oom(c->e);
	if (p->error == YAML_READER_ERROR)
		return fail_reader(c, p);
	line = find_line(c, at->line, &len);
	while (indent < len && (line[indent] == ' ' || line[indent] == '\t'))
		indent++;
	tab = memchr(line, '\t', indent);
	if (tab && at->column <= indent) {
		yaml_mark_t mark = {.line = at->line, .column = (size_t)(tab - line)};

		return FAIL(c, mark, "a tab cannot indent in YAML; use spaces");
	}
	if (!p->context || (from->line == at->line && from->column == at->column))
		return FAIL(c, *at, "%s", problem);
	return FAIL(c, *at, "%s (%s that begins at line %zu, column %zu)", problem, p->context,
		    from->line + 1, from->column + 1);
}

static struct node *node_new(struct composer *c, enum node_type type, const yaml_mark_t *mark)
{
	struct node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->type = type;
	n->line = (int)mark->line + 1;
	n->column = (int)mark->column + 1;
	n->weight = 1;
	n->height = 1;
	n->next = c->doc->nodes;
	c->doc->nodes = n;
	return n;
}

static const struct anchor *find_anchor(const struct composer *c, const char *name)
{
	for (size_t i = 0; i < c->n_anchors; i++) {
		if (strcmp(c->anchors[i].name, name) == 0)
			return &c->anchors[i];
	}
	return NULL;
}

static int add_anchor(struct composer *c, const yaml_char_t *name, struct node *n,
		      const yaml_mark_t *mark)
{
	const struct anchor *old;
	char shown[64];

	if (!name)
		return 0;
	old = find_anchor(c, (const char *)name);
	if (old)
		return FAIL(c, *mark, "the anchor &%s is there already, at line %d",
			    text_escape_line((const char *)name, strlen((const char *)name), shown,
					     sizeof(shown)),
			    old->node->line);
	if (c->n_anchors == DOC_ANCHORS_MAX)
		return FAIL(c, *mark, "more than %d anchors", DOC_ANCHORS_MAX);
	c->anchors[c->n_anchors].name = strdup((const char *)name);
	if (!c->anchors[c->n_anchors].name)
		return err_oom(c->e);
	c->anchors[c->n_anchors++].node = n;
	return 0;
}

/* Hands a finished node to the sequence or mapping that is open, or makes it the root. */
static int attach(struct composer *c, struct node *n, const yaml_mark_t *mark)
{
	struct frame *f;
	int r = 0;

	if (c->depth == 0) {
		c->doc->root = n;
		return 0;
	}
	f = &c->stack[c->depth - 1];
	if (c->depth + n->height > DOC_DEPTH_MAX)
		return FAIL(c, *mark, "more than %d levels of nesting", DOC_DEPTH_MAX);
	if (f->node->type == NODE_SEQ) {
		r = node_add_item(f->node, n);
	} else if (f->key) {
		struct node_pair pair = {.key = f->key, .value = n};

		f->key = NULL;
		r = node_add_pair(f->node, pair);
	} else if (n->type == NODE_SEQ || n->type == NODE_MAP) {
		return FAIL(c, *mark, "%s cannot be a key", node_type_words(n->type));
	} else {
		f->key = n;
	}
	return r < 0 ? err_oom(c->e) : 0;
}

/* One of YAML's own tags, without its prefix; NULL when there is none. */
static int check_tag(struct composer *c, const yaml_char_t *tag, const char *const *allowed,
		     size_t n, const yaml_mark_t *mark, const char **ret)
{
	const char *name = (const char *)tag;
	bool core = name && strncmp(name, TAG_PREFIX, strlen(TAG_PREFIX)) == 0;
	char shown[80];

	*ret = NULL;
	if (!name || strcmp(name, "!") == 0)
		return 0;
	if (core)
		name += strlen(TAG_PREFIX);
	for (size_t i = 0; core && i < n; i++) {
		if (strcmp(name, allowed[i]) == 0) {
			*ret = allowed[i];
			return 0;
		}
	}
	return FAIL(c, *mark, "the tag %s%s is not supported here", core ? "!!" : "",
		    text_escape_line(name, strlen(name), shown, sizeof(shown)));
}

/* The type that a tag demands, or that the text has when it is neither quoted nor tagged. */
static enum scalar_type scalar_type(const char *tag, bool plain, const char *text)
{
	static const struct {
		const char *tag;
		enum scalar_type type;
	} tags[] = {
		{"null", SCALAR_NULL},	 {"bool", SCALAR_BOOL}, {"int", SCALAR_INT},
		{"float", SCALAR_FLOAT}, {"str", SCALAR_STR},	{"timestamp", SCALAR_STR},
	};

	for (size_t i = 0; tag && i < ARRAY_SIZE(tags); i++) {
		if (strcmp(tag, tags[i].tag) == 0)
			return tags[i].type;
	}
	return plain ? scalar_type_of(text) : SCALAR_STR;
}

static int type_scalar(struct composer *c, struct node *n, enum scalar_type type,
		       const yaml_mark_t *mark)
{
	struct err why = ERR_INIT;
	char shown[64];
	int r = 0;

	switch (type) {
	case SCALAR_NULL:
		n->type = NODE_NULL;
		break;
	case SCALAR_BOOL:
		n->type = NODE_BOOL;
		r = scalar_bool(n->text, &n->truth);
		(void)err_set(&why, r, "is not true or false");
		break;
	case SCALAR_INT:
		n->type = NODE_INT;
		r = scalar_int(n->text, &n->number, &why);
		break;
	case SCALAR_FLOAT:
		n->type = NODE_FLOAT;
		r = scalar_float(n->text, &n->number, &why);
		break;
	case SCALAR_STR:
	case _SCALAR_TYPE_MAX:
		n->type = NODE_STR;
		break;
	}
	if (r == -ENOMEM)
		return err_oom(c->e);
	if (r < 0)
		return FAIL(c, *mark, "%s: %s",
			    text_escape_line(n->text, strlen(n->text), shown, sizeof(shown)),
			    why.text);
	return 0;
}

static int on_scalar(struct composer *c, const yaml_event_t *ev)
{
	static const char *const tags[] = {"str", "int", "float", "bool", "null", "timestamp"};
	const char *value = (const char *)ev->data.scalar.value, *tag;
	const yaml_char_t *given = ev->data.scalar.tag;
	/* libyaml takes the tag ! for "as if plain", except where nothing stands behind it */
	bool plain =
		ev->data.scalar.plain_implicit || (given && strcmp((const char *)given, "!") == 0);
	struct node *n;
	int r;

	r = check_tag(c, given, tags, ARRAY_SIZE(tags), &ev->start_mark, &tag);
	if (r < 0)
		return r;
	if (strlen(value) != ev->data.scalar.length)
		return FAIL(c, ev->start_mark, "text with a NUL character in it");
	n = node_new(c, NODE_STR, &ev->start_mark);
	if (!n || !(n->text = strdup(value)))
		return err_oom(c->e);
	n->bytes = ev->data.scalar.length;
	n->merge_key = plain && !tag && strcmp(value, "<<") == 0;
	r = type_scalar(c, n, scalar_type(tag, plain, value), &ev->start_mark);
	if (r == 0)
		r = add_anchor(c, ev->data.scalar.anchor, n, &ev->start_mark);
	return r < 0 ? r : attach(c, n, &ev->start_mark);
}

static int on_alias(struct composer *c, const yaml_event_t *ev)
{
	const char *name = (const char *)ev->data.alias.anchor;
	const struct anchor *a = find_anchor(c, name);
	char shown[64];

	(void)text_escape_line(name, strlen(name), shown, sizeof(shown));
	if (!a)
		return FAIL(c, ev->start_mark, "no anchor &%s before this alias", shown);
	if (a->node->open)
		return FAIL(c, ev->start_mark, "the alias *%s is inside its own anchor", shown);
	c->expanded += a->node->weight;
	c->expanded_text += a->node->bytes;
	if (c->expanded > DOC_EXPANDED_MAX)
		return FAIL(c, ev->start_mark, "aliases add more than %d nodes to the document",
			    DOC_EXPANDED_MAX);
	if (c->expanded_text > DOC_EXPANDED_TEXT)
		return FAIL(c, ev->start_mark, "aliases add more than %llu bytes to the document",
			    DOC_EXPANDED_TEXT);
	return attach(c, a->node, &ev->start_mark);
}

static int on_start(struct composer *c, const yaml_event_t *ev, enum node_type type)
{
	static const char *const seq[] = {"seq"}, *const map[] = {"map"};
	bool is_seq = type == NODE_SEQ;
	const char *tag;
	struct node *n;
	int r;

	if (c->depth == DOC_DEPTH_MAX)
		return FAIL(c, ev->start_mark, "more than %d levels of nesting", DOC_DEPTH_MAX);
	r = check_tag(c, is_seq ? ev->data.sequence_start.tag : ev->data.mapping_start.tag,
		      is_seq ? seq : map, 1, &ev->start_mark, &tag);
	if (r < 0)
		return r;
	n = node_new(c, type, &ev->start_mark);
	if (!n)
		return err_oom(c->e);
	n->open = true;
	c->stack[c->depth++] = (struct frame){.node = n};
	return add_anchor(c,
			  is_seq ? ev->data.sequence_start.anchor : ev->data.mapping_start.anchor,
			  n, &ev->start_mark);
}

static int on_end(struct composer *c, const yaml_event_t *ev)
{
	struct node *n = c->stack[--c->depth].node;
	yaml_mark_t mark = {.line = (size_t)n->line - 1, .column = (size_t)n->column - 1};
	int r = n->type == NODE_MAP ? node_finish_map(n, c->name, c->e) : 0;

	n->open = false;
	return r < 0 ? r : attach(c, n, &mark);
}

static int on_event(struct composer *c, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (c->doc->root)
			return FAIL(c, ev->start_mark, "a second document; a spec is only one");
		return 0;
	case YAML_SCALAR_EVENT:
		return on_scalar(c, ev);
	case YAML_ALIAS_EVENT:
		return on_alias(c, ev);
	case YAML_SEQUENCE_START_EVENT:
		return on_start(c, ev, NODE_SEQ);
	case YAML_MAPPING_START_EVENT:
		return on_start(c, ev, NODE_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_end(c, ev);
	default: /* libyaml's enum: stream start and end, document end, no event */
		return 0;
	}
}

static int compose(struct composer *c, yaml_parser_t *parser)
{
	bool end = false;

	while (!end) {
		yaml_event_t ev;
		int r;

		if (!yaml_parser_parse(parser, &ev))
			return fail_parser(c, parser);
		end = ev.type == YAML_STREAM_END_EVENT || ev.type == YAML_NO_EVENT;
		r = on_event(c, &ev);
		yaml_event_delete(&ev);
		if (r < 0)
			return r;
	}
	if (!c->doc->root)
		return doc_error(c->e, -EBADMSG, c->name, 1, 1, "is empty");
	return 0;
}

int doc_parse(const char *name, const char *text, size_t len, struct doc **ret, struct err *e)
{
	_cleanup_(doc_free_p) struct doc *d = NULL;
	_cleanup_free_ struct composer *c = NULL;
	size_t bom = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	yaml_parser_t parser;
	int r;

	if (len > DOC_FILE_MAX)
		return doc_error(e, -EBADMSG, name, 1, 1, "is larger than %llu bytes",
				 DOC_FILE_MAX);
	d = calloc(1, sizeof(*d));
	c = calloc(1, sizeof(*c));
	if (!d || !c || !yaml_parser_initialize(&parser))
		return err_oom(e);
	c->name = name;
	c->text = text + bom;
	c->len = len - bom;
	c->doc = d;
	c->e = e;
	/* said, so that it guesses nothing else, and then it leaves the byte order mark to us */
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)c->text, c->len);
	r = compose(c, &parser);
	yaml_parser_delete(&parser);
	for (size_t i = 0; i < c->n_anchors; i++)
		free(c->anchors[i].name);
	if (r < 0)
		return r;
	*ret = take_ptr(&d);
	return 0;
}
