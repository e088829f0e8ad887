/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: a spec from text, and any document to JSON and back. */
#include "base/json.h"
#include "fuzz.h"
#include "spec/doc.h"
#include "spec/spec.h"

/* What the tree prints must be JSON that parses, and print the same again. */
static void check_tree(const cJSON *tree)
{
	_cleanup_(json_free_p) cJSON *again = NULL;
	_cleanup_free_ char *text = json_print(tree);

	if (!text || json_parse(text, strlen(text), &again, NULL) < 0)
		abort();
}

static void check_rules(const struct spec_network *n)
{
	for (size_t i = 0; i < n->n_rules; i++) {
		if (net_rule_check(&n->rules[i], NULL) < 0 || n->rules[i].line < 1)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(spec_free_p) struct spec *s = NULL;
	_cleanup_(doc_free_p) struct doc *doc = NULL;
	_cleanup_(json_free_p) cJSON *tree = NULL;
	struct err e = ERR_INIT;
	int r = doc_parse("f", (const char *)data, size, &doc, &e);

	if (r < 0 && strncmp(e.text, "f:", 2) != 0)
		abort();
	if (r == 0) {
		if (doc->root->weight > size + 1 + DOC_EXPANDED_MAX ||
		    doc->root->height > DOC_DEPTH_MAX)
			abort();
		tree = node_json(doc->root);
		check_tree(tree);
	}
	r = spec_parse("f", "/d", (const char *)data, size, &s, NULL);
	if (r == 0 && (!doc || !s->tree || !s->build))
		abort();
	if (r == 0)
		check_rules(&s->network);
	return 0;
}
