/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scalar typing: YAML 1.1's regular expressions and values, as PyYAML has them. */
/*
 * The types, from PyYAML's resolver.py (the values are those of its constructor.py):
 *
 *   bool   yes|Yes|YES|no|...|true|...|false|...|on|...|off|...
 *   float  [-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?
 *          \.[0-9][0-9_]*([eE][-+][0-9]+)?
 *          [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*        base 60
 *          [-+]?\.(inf|Inf|INF)  \.(nan|NaN|NAN)
 *   int    [-+]?0b[0-1_]+  [-+]?0[0-7_]+  [-+]?(0|[1-9][0-9_]*)  [-+]?0x[0-9a-fA-F_]+
 *          [-+]?[1-9][0-9_]*(:[0-5]?[0-9])+                   base 60
 *   null   ~|null|Null|NULL|(nothing)
 *
 * So 1e3 and -.5 are strings, and so are 0o17 and 08.
 */
#include "scalar.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/num.h"

/* The decimal digits of SCALAR_NUMBER_MAX hexadecimal ones, nine to a limb, and some room. */
#define LIMBS	  160
#define LIMB_BASE 1000000000U

/* A base 60 float has its places multiplied out exactly up to here. */
#define FLOAT_PLACES_MAX 10

static const char digit_set[] = "0123456789";
static const char digit_or_line[] = "0123456789_";

static bool one_of(const char *text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(text, words[i]) == 0)
			return true;
	}
	return false;
}

int scalar_bool(const char *text, bool *ret)
{
	static const char *const yes[] = {"yes",  "Yes", "YES", "true", "True",
					  "TRUE", "on",	 "On",	"ON"};
	static const char *const no[] = {"no",	  "No",	 "NO",	"false", "False",
					 "FALSE", "off", "Off", "OFF"};
	bool value = one_of(text, yes, ARRAY_SIZE(yes));

	if (!value && !one_of(text, no, ARRAY_SIZE(no)))
		return -EINVAL;
	*ret = value;
	return 0;
}

static const char *skip_sign(const char *p)
{
	return *p == '-' || *p == '+' ? p + 1 : p;
}

/* Moves *p behind ([eE][-+][0-9]+)?, which matches always. */
static void skip_exponent(const char **p)
{
	size_t n;

	if ((**p != 'e' && **p != 'E') || ((*p)[1] != '-' && (*p)[1] != '+'))
		return;
	n = strspn(*p + 2, digit_set);
	if (n)
		*p += 2 + n;
}

/* Moves *p behind (:[0-5]?[0-9])+ and says whether there was one at least. */
static bool skip_places(const char **p)
{
	bool any = false;

	while (**p == ':' && strchr(digit_set, (*p)[1]) && (*p)[1]) {
		bool two = (*p)[1] <= '5' && (*p)[2] && strchr(digit_set, (*p)[2]);

		*p += two ? 3 : 2;
		any = true;
	}
	return any;
}

static bool is_special(const char *text)
{
	static const char *const inf[] = {".inf", ".Inf", ".INF"};
	static const char *const nan[] = {".nan", ".NaN", ".NAN"};

	return one_of(skip_sign(text), inf, ARRAY_SIZE(inf)) || one_of(text, nan, ARRAY_SIZE(nan));
}

static bool is_float(const char *text)
{
	const char *p = text;

	if (is_special(text))
		return true;
	if (*p == '.') {
		if (!p[1] || !strchr(digit_set, p[1]))
			return false;
		p += 1 + strspn(p + 1, digit_or_line);
		skip_exponent(&p);
		return *p == '\0';
	}
	p = skip_sign(p);
	if (!*p || !strchr(digit_set, *p))
		return false;
	p += strspn(p, digit_or_line);
	if (skip_places(&p))
		return *p == '.' && p[1 + strspn(p + 1, digit_or_line)] == '\0';
	if (*p != '.')
		return false;
	p += 1 + strspn(p + 1, digit_or_line);
	skip_exponent(&p);
	return *p == '\0';
}

static bool all_of(const char *p, const char *set)
{
	return *p && p[strspn(p, set)] == '\0';
}

static bool is_int(const char *text)
{
	const char *p = skip_sign(text);

	if (p[0] == '0') {
		if (p[1] == 'b')
			return all_of(p + 2, "01_");
		if (p[1] == 'x')
			return all_of(p + 2, "0123456789abcdefABCDEF_");
		return p[1] == '\0' || all_of(p + 1, "01234567_");
	}
	if (*p < '1' || *p > '9')
		return false;
	p += strspn(p, digit_or_line);
	(void)skip_places(&p);
	return *p == '\0';
}

enum scalar_type scalar_type_of(const char *text)
{
	static const char *const null[] = {"", "~", "null", "Null", "NULL"};
	bool truth;

	if (one_of(text, null, ARRAY_SIZE(null)))
		return SCALAR_NULL;
	if (scalar_bool(text, &truth) == 0)
		return SCALAR_BOOL;
	if (is_float(text))
		return SCALAR_FLOAT;
	if (is_int(text))
		return SCALAR_INT;
	return SCALAR_STR;
}

/* A copy without the underscores, or NULL with the error recorded in *r. */
static char *without_lines(const char *text, int *r, struct err *e)
{
	size_t n = 0;
	char *out;

	if (strlen(text) > SCALAR_NUMBER_MAX) {
		*r = err_set(e, -EINVAL, "has more than %d characters; quote it if it is text",
			     SCALAR_NUMBER_MAX);
		return NULL;
	}
	out = malloc(strlen(text) + 1);
	if (!out) {
		*r = err_oom(e);
		return NULL;
	}
	for (; *text; text++) {
		if (*text != '_')
			out[n++] = *text;
	}
	out[n] = '\0';
	return out;
}

/* Little-endian limbs of nine decimal digits. */
struct big {
	uint32_t limb[LIMBS];
	size_t n;
};

static void big_mul_add(struct big *b, unsigned factor, unsigned addend)
{
	uint64_t carry = addend;

	for (size_t i = 0; i < b->n; i++) {
		carry += (uint64_t)b->limb[i] * factor;
		b->limb[i] = (uint32_t)(carry % LIMB_BASE);
		carry /= LIMB_BASE;
	}
	if (carry && b->n < LIMBS)
		b->limb[b->n++] = (uint32_t)carry;
}

static unsigned digit_value(char c)
{
	if (c >= 'a')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A')
		return (unsigned)(c - 'A') + 10;
	return (unsigned)(c - '0');
}

static int big_print(const struct big *b, bool negative, char **ret)
{
	_cleanup_buf_ struct buf out = {0};
	size_t i = b->n;
	int r = 0;

	if (i == 0)
		r = buf_putc(&out, '0');
	else
		r = buf_printf(&out, "%s%u", negative ? "-" : "", b->limb[--i]);
	while (r == 0 && i > 0)
		r = buf_printf(&out, "%09u", b->limb[--i]);
	if (r < 0)
		return r;
	*ret = buf_take(&out);
	return *ret ? 0 : -ENOMEM;
}

int scalar_int(const char *text, char **ret, struct err *e)
{
	_cleanup_free_ char *plain = NULL;
	struct big b = {.n = 0};
	unsigned base = 10;
	const char *p;
	int r = 0;

	if (!is_int(text))
		return err_set(e, -EINVAL, "is not an integer");
	plain = without_lines(text, &r, e);
	if (!plain)
		return r;
	p = skip_sign(plain);
	if (*p == '0') {
		base = p[1] == 'b' ? 2 : p[1] == 'x' ? 16 : 8;
		p += base == 8 ? 0 : 2;
	}
	if (!*p)
		return err_set(e, -EINVAL, "has no digits; quote it if it is text");
	for (; *p && *p != ':'; p++)
		big_mul_add(&b, base, digit_value(*p));
	while (*p == ':') {
		unsigned place = 0;

		for (p++; *p && *p != ':'; p++)
			place = place * 10 + digit_value(*p);
		big_mul_add(&b, 60, place);
	}
	r = big_print(&b, *plain == '-', ret);
	return r < 0 ? err_oom(e) : 0;
}

/* Base 60: the places are added up from the last one, in the order that PyYAML adds them. */
static int float_places(const char *p, double *ret, struct err *e)
{
	double parts[FLOAT_PLACES_MAX], base = 1, v = 0;
	char part[SCALAR_NUMBER_MAX + 1];
	size_t n = 0;

	while (*p) {
		size_t len = strcspn(p, ":");

		if (n == FLOAT_PLACES_MAX)
			return err_set(e, -EINVAL, "has more than %d places in base 60",
				       FLOAT_PLACES_MAX);
		memcpy(part, p, len);
		part[len] = '\0';
		if (parse_double(part, &parts[n++]) < 0)
			return err_set(e, -EINVAL, "is out of range");
		p += len + (p[len] == ':');
	}
	while (n > 0) {
		v += parts[--n] * base;
		base *= 60;
	}
	*ret = v;
	return 0;
}

int scalar_float(const char *text, char **ret, struct err *e)
{
	_cleanup_free_ char *plain = NULL;
	char out[NUM_TEXT_MAX];
	const char *p;
	double v = 0;
	int r = 0;

	if (is_special(text))
		return err_set(e, -EINVAL, "has no form in JSON; quote it if it is text");
	plain = without_lines(text, &r, e);
	if (!plain)
		return r;
	p = skip_sign(plain);
	if (strchr(p, ':') && is_float(text))
		r = float_places(p, &v, e);
	else if (*p == '-' || (r = parse_double(p, &v)) == -EINVAL)
		r = err_set(e, -EINVAL, "is not a number");
	else if (r == -ERANGE)
		r = err_set(e, r, "is too large for JSON; quote it if it is text");
	if (r < 0)
		return r == -ENOMEM ? err_oom(e) : -EINVAL;
	*ret = strdup(format_double(*plain == '-' ? -v : v, out));
	return *ret ? 0 : err_oom(e);
}
