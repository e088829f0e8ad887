/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers, sizes and durations: exact integer arithmetic, overflow checked. */
#include "num.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits from *s on and moves *s behind them. */
static int take_u64(const char **s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!is_digit(**s))
		return -EINVAL;
	for (; is_digit(**s); (*s)++) {
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(**s - '0'), &v))
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

int parse_u64(const char *s, uint64_t *ret)
{
	uint64_t v;
	int r = take_u64(&s, &v);

	if (r < 0)
		return r;
	if (*s)
		return -EINVAL;
	*ret = v;
	return 0;
}

/* Reads "12" or "12.375" and scales it by `unit`, which the caller looks up after the digits. */
struct decimal {
	uint64_t whole;
	uint64_t frac;
	uint64_t frac_unit; /* 10^digits of frac */
};

static int take_decimal(const char **s, struct decimal *ret)
{
	struct decimal d = {.frac_unit = 1};
	int r = take_u64(s, &d.whole);

	if (r < 0)
		return r;
	if (**s == '.') {
		(*s)++;
		if (!is_digit(**s))
			return -EINVAL;
		for (; is_digit(**s); (*s)++) {
			if (d.frac_unit >= 1000000000ULL)
				continue; /* finer than a nanounit: no meaning here */
			d.frac = d.frac * 10 + (uint64_t)(**s - '0');
			d.frac_unit *= 10;
		}
	}
	*ret = d;
	return 0;
}

static int decimal_scale(const struct decimal *d, uint64_t unit, uint64_t *ret)
{
	__extension__ typedef unsigned __int128 u128;
	u128 v = (u128)d->whole * unit + (u128)d->frac * unit / d->frac_unit;

	if (v > UINT64_MAX)
		return -ERANGE;
	*ret = (uint64_t)v;
	return 0;
}

int parse_size(const char *s, uint64_t *ret)
{
	static const struct {
		const char *name;
		uint64_t unit;
	} units[] = {
		{"", 1},
		{"B", 1},
		{"kB", 1000},
		{"KB", 1000},
		{"MB", 1000000},
		{"GB", 1000000000},
		{"TB", 1000000000000},
		{"KiB", KIB},
		{"kiB", KIB},
		{"MiB", MIB},
		{"GiB", GIB},
		{"TiB", 1024 * GIB},
		{"K", KIB},
		{"k", KIB},
		{"M", MIB},
		{"G", GIB},
		{"T", 1024 * GIB},
	};
	struct decimal d;
	int r = take_decimal(&s, &d);

	if (r < 0)
		return r;
	if (*s == ' ' && s[1])
		s++;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(s, units[i].name) != 0)
			continue;
		if (units[i].unit == 1 && d.frac)
			return -EINVAL;
		return decimal_scale(&d, units[i].unit, ret);
	}
	return -EINVAL;
}

int parse_rate(const char *s, uint64_t *ret)
{
	char size[NUM_TEXT_MAX];
	size_t n = strlen(s);

	if (n < 2 || n - 2 >= sizeof(size) || strcmp(s + n - 2, "/s") != 0)
		return -EINVAL;
	memcpy(size, s, n - 2);
	size[n - 2] = '\0';
	return parse_size(size, ret);
}

int parse_duration(const char *s, uint64_t *ret_ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {
		{"ms", 1},    {"min", 60000}, {"s", 1000},
		{"m", 60000}, {"h", 3600000}, {"d", 86400000},
	};
	uint64_t total = 0, last = UINT64_MAX;

	if (!*s)
		return -EINVAL;
	while (*s) {
		struct decimal d;
		uint64_t unit = 0, ms;
		int r = take_decimal(&s, &d);

		if (r < 0)
			return r;
		if (*s == ' ' && s[1])
			s++;
		if (!*s && last == UINT64_MAX)
			unit = 1000;
		for (size_t i = 0; i < ARRAY_SIZE(units) && !unit; i++) {
			size_t n = strlen(units[i].name);

			if (strncmp(s, units[i].name, n) == 0 &&
			    (!s[n] || s[n] == ' ' || is_digit(s[n]))) {
				unit = units[i].ms;
				s += n;
			}
		}
		if (!unit || unit >= last)
			return -EINVAL;
		last = unit;
		r = decimal_scale(&d, unit, &ms);
		if (r < 0)
			return r;
		if (__builtin_add_overflow(total, ms, &total))
			return -ERANGE;
		if (*s == ' ' && s[1])
			s++;
	}
	*ret_ms = total;
	return 0;
}

/* Moves *s behind digits; how many there were. */
static size_t skip_digits(const char **s)
{
	const char *start = *s;

	while (is_digit(**s))
		(*s)++;
	return (size_t)(*s - start);
}

int parse_double(const char *s, double *ret)
{
	const char *p = s;
	locale_t c_locale;
	size_t digits;
	double v;

	if (*p == '-')
		p++;
	digits = skip_digits(&p);
	if (*p == '.') {
		p++;
		digits += skip_digits(&p);
	}
	if (!digits)
		return -EINVAL;
	if (*p == 'e' || *p == 'E') {
		p++;
		if (*p == '+' || *p == '-')
			p++;
		if (!skip_digits(&p))
			return -EINVAL;
	}
	if (*p)
		return -EINVAL;
	/* The grammar is checked above; only the correct rounding is left to the C library. */
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (!c_locale)
		return -ENOMEM;
	v = strtod_l(s, NULL, c_locale);
	freelocale(c_locale);
	if (!isfinite(v))
		return -ERANGE;
	*ret = v;
	return 0;
}

char *format_size(uint64_t bytes, char out[NUM_TEXT_MAX])
{
	static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	uint64_t unit = 1;
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(names) && bytes / unit >= 1024) {
		unit *= 1024;
		i++;
	}
	if (i == 0 || bytes % unit == 0)
		(void)snprintf(out, NUM_TEXT_MAX, "%" PRIu64 " %s", bytes / unit, names[i]);
	else
		(void)snprintf(out, NUM_TEXT_MAX, "%" PRIu64 ".%" PRIu64 " %s", bytes / unit,
			       bytes % unit / (unit / 1024) * 10 / 1024, names[i]);
	return out;
}

char *format_duration(uint64_t ms, char out[NUM_TEXT_MAX])
{
	uint64_t s = ms / 1000;

	if (ms < 10000)
		(void)snprintf(out, NUM_TEXT_MAX, "%" PRIu64 ".%02" PRIu64 " s", s, ms % 1000 / 10);
	else if (s < 120)
		(void)snprintf(out, NUM_TEXT_MAX, "%" PRIu64 ".%" PRIu64 " s", s, ms % 1000 / 100);
	else if (s < 7200)
		(void)snprintf(out, NUM_TEXT_MAX, "%" PRIu64 " min %02" PRIu64 " s", s / 60,
			       s % 60);
	else
		(void)snprintf(out, NUM_TEXT_MAX, "%" PRIu64 " h %02" PRIu64 " min", s / 3600,
			       s % 3600 / 60);
	return out;
}

/* Reads "-d.ddde-xx", printed by any locale, into the digits (no point) and the exponent. */
static int split_exponential(const char *text, char *digits)
{
	uint64_t exponent = 0;
	size_t n = 0;

	for (; *text != 'e'; text++) {
		if (is_digit(*text))
			digits[n++] = *text;
	}
	while (n > 1 && digits[n - 1] == '0')
		n--;
	digits[n] = '\0';
	(void)parse_u64(text + 2, &exponent);
	return text[1] == '-' ? -(int)exponent : (int)exponent;
}

char *format_double(double v, char out[NUM_TEXT_MAX])
{
	const char *minus = signbit(v) ? "-" : "";
	char text[NUM_TEXT_MAX], digits[NUM_TEXT_MAX];
	double back = NAN;
	int exponent = 0, n;

	for (int precision = 0; precision <= 16 && back != fabs(v); precision++) {
		char again[NUM_TEXT_MAX * 2];

		(void)snprintf(text, sizeof(text), "%.*e", precision, fabs(v));
		exponent = split_exponential(text, digits);
		(void)snprintf(again, sizeof(again), "%.1s.%se%d", digits, digits + 1, exponent);
		(void)parse_double(again, &back);
	}
	n = (int)strlen(digits);
	if (exponent < -4 || exponent >= 16)
		(void)snprintf(out, NUM_TEXT_MAX, "%s%.1s%s%se%+03d", minus, digits,
			       n > 1 ? "." : "", digits + 1, exponent);
	else if (exponent < 0)
		(void)snprintf(out, NUM_TEXT_MAX, "%s0.%.*s%s", minus, -exponent - 1, "000",
			       digits);
	else if (n > exponent + 1)
		(void)snprintf(out, NUM_TEXT_MAX, "%s%.*s.%s", minus, exponent + 1, digits,
			       digits + exponent + 1);
	else
		(void)snprintf(out, NUM_TEXT_MAX, "%s%s%.*s.0", minus, digits, exponent + 1 - n,
			       "0000000000000000");
	return out;
}
