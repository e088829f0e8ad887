/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor check SPEC: is the spec correct, and may a build of it reach that host? */
#include <errno.h>
#include <fcntl.h>

#include "base/io.h"
#include "base/num.h"
#include "base/text.h"
#include "cmd.h"
#include "image/manifest.h"
#include "net/own.h"
#include "net/policy.h"
#include "net/repository.h"
#include "options.h"
#include "spec/spec.h"

enum { OPT_HOST = 256, OPT_PORT, OPT_PROTOCOL, OPT_PHASE };

static const struct option_def defs[] = {
	{OPT_HOST, "host", "HOST", "a name or an address", NULL},
	{OPT_PORT, "port", "PORT", "the port; default: the protocol's own", NULL},
	{OPT_PROTOCOL, "protocol", "NAME",
	 "tcp (default), udp, or http, https, ssh, git, rsync, ftp, dns",
	 "tcp udp http https ssh git rsync ftp dns"},
	{OPT_PHASE, "phase", "PHASE", "prepare or build (default)", "prepare build"},
	{0},
};

const struct option_verb verb_check = {
	.name = "check",
	.operands = "SPEC",
	.about = "Checks the build spec. With --host it says whether a build of it may connect "
		 "there, and\n"
		 "by which rule, as the network of a build decides it; nothing is connected to.\n",
	.more = "Exit status: 0 correct, or allowed; 2 usage or a wrong spec; 4 denied.\n",
	.defs = defs,
	.min = 1,
	.max = 1,
	.words = "@spec",
};

struct arguments {
	const char *spec, *host, *port, *protocol, *phase;
};

static int fail(const char *text)
{
	(void)fprintf(stderr, "contractor: %s\n", text);
	return CMD_USAGE;
}

/* What the rules are asked, once for each protocol that the word stands for. */
struct question {
	struct net_query query;
	struct net_addr addr;
	bool tcp, udp;
};

static int read_services(const struct arguments *a, struct question *q, struct err *e)
{
	struct net_rule words = {0};
	int rc = 0;

	if (a->port)
		rc = net_rule_add_ports(&words, a->port, e);
	if (rc == 0)
		rc = net_rule_set_protocol(&words, a->protocol ? a->protocol : "tcp", e);
	if (rc < 0)
		return rc;
	if (words.n_ports != 1 || words.ports[0].first != words.ports[0].last)
		return err_set(e, -EINVAL, "--port: name one port of %s", a->host);
	q->query.port = words.ports[0].first;
	q->tcp = words.tcp;
	q->udp = words.udp;
	return 0;
}

static int read_question(const struct arguments *a, struct question *q, struct err *e)
{
	_cleanup_(net_own_free_p) struct net_own *own = NULL;
	char name[NET_NAME_SIZE], shown[300];

	q->query.phase = NET_PHASE_BUILD;
	if (a->phase && strcmp(a->phase, "prepare") == 0)
		q->query.phase = NET_PHASE_PREPARE;
	else if (a->phase && strcmp(a->phase, "build") != 0)
		return err_set(e, -EINVAL, "--phase: prepare or build, not %s",
			       text_escape_line(a->phase, strlen(a->phase), shown, sizeof(shown)));
	if (net_addr_parse(a->host, &q->addr) == 0) {
		q->query.addr = &q->addr;
		if (net_own_new(&own, e) < 0)
			return e->code;
		q->query.own = net_own_check(own, &q->addr);
	} else if (net_name_fold(a->host, strlen(a->host), name) == 0) {
		q->query.name = a->host;
	} else {
		return err_set(e, -EINVAL, "--host: %s is no host name and no address",
			       text_escape_line(a->host, strlen(a->host), shown, sizeof(shown)));
	}
	return read_services(a, q, e);
}

/* Prints the spec's line, trimmed, so that the reader need not look it up. */
static void print_line(const char *path, int line)
{
	_cleanup_buf_ struct buf text = {0};
	char shown[200];
	const char *p;

	if (io_read_file(AT_FDCWD, path, MIB, &text, NULL) < 0)
		return;
	p = buf_str(&text);
	for (int i = 1; i < line && p; i++) {
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	if (!p)
		return;
	p += strspn(p, " ");
	(void)printf("  %s\n", text_escape_line(p, strcspn(p, "\n"), shown, sizeof(shown)));
}

/* Asks for one protocol; true if it is allowed. */
static bool ask(const struct spec *s, const struct net_rule *rules, size_t n, struct net_query *q,
		enum net_proto proto)
{
	char text[NET_TEXT_MAX];
	struct net_decision d;

	q->proto = proto;
	d = net_decide(rules, n, q);
	(void)net_decision_text(&d, rules, q, text);
	if (d.reason == NET_ALLOWED) {
		(void)printf("%s\n", text);
		if (rules[d.rule].line > 0)
			print_line(s->path, rules[d.rule].line);
		else
			(void)printf("  the image's own package repository\n");
		return true;
	}
	(void)printf("denied: %s", text);
	if (*net_decision_remedy(&d, q, text))
		(void)printf("; this line would allow it:\n  %s\n", text);
	else
		(void)printf("\n");
	return false;
}

static int answer(const struct spec *s, const struct arguments *a)
{
	_cleanup_(manifest_free_p) struct manifest *m = NULL;
	_cleanup_free_ struct net_rule *rules = NULL;
	_cleanup_free_ char *image = spec_resolve(s->dir, s->worker_image);
	_cleanup_close_ int fd = -1;
	struct err e = ERR_INIT;
	struct question q = {0};
	bool ok = true;
	size_t n;

	if (!image)
		return fail("out of memory");
	if (read_question(a, &q, &e) < 0)
		return fail(e.text);
	/* without an image there are no repositories of its own to allow */
	if (s->network.prepare_repositories && manifest_load(image, &m, &fd, &e) < 0 &&
	    q.query.phase == NET_PHASE_PREPARE)
		(void)fprintf(stderr, "contractor: %s, ignoring the image's repositories\n",
			      e.text);
	if (net_rules_join(s->network.rules, s->network.n_rules,
			   m ? (const char *const *)m->repositories : NULL,
			   m ? m->n_repositories : 0, &rules, &n, &e) < 0)
		return fail(e.text);
	if (q.tcp)
		ok = ask(s, rules, n, &q.query, NET_PROTO_TCP);
	if (q.udp)
		ok = ask(s, rules, n, &q.query, NET_PROTO_UDP) && ok;
	if (fflush(stdout) != 0)
		return fail(strerror(errno));
	return ok ? CMD_OK : CMD_DENIED;
}

static int check(const struct arguments *a)
{
	_cleanup_(spec_free_p) struct spec *s = NULL;
	struct err e = ERR_INIT;

	if (spec_load(a->spec, &s, &e) < 0)
		return fail(e.text);
	if (a->host)
		return answer(s, a);
	(void)printf("%s: correct, with %zu network rule%s\n", a->spec, s->network.n_rules,
		     s->network.n_rules == 1 ? "" : "s");
	return fflush(stdout) == 0 ? CMD_OK : fail(strerror(errno));
}

int cmd_check(int argc, char **argv)
{
	struct arguments a = {0};
	struct options o;
	int c, r = CMD_USAGE;

	options_begin(&o, &verb_check, argc, argv);
	while ((c = options_next(&o, &r)) > 0) {
		if (c == OPT_HOST)
			a.host = o.value;
		else if (c == OPT_PORT)
			a.port = o.value;
		else if (c == OPT_PROTOCOL)
			a.protocol = o.value;
		else
			a.phase = o.value;
	}
	if (c < 0)
		return r;
	if (!a.host && (a.port || a.protocol || a.phase))
		return options_misuse(&verb_check,
				      "--port, --protocol and --phase belong to --host");
	a.spec = o.operand[0];
	return check(&a);
}
