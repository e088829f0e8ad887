/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Diagnostics: one write(2) a line, so that lines of several processes do not mix. */
#include "log.h"

#include <errno.h>
#include <stdarg.h>

static enum log_level max_level = LOG_WARNING;
static const char *program_name = "contractor";

void log_setup(const char *program, enum log_level max)
{
	program_name = program;
	max_level = max;
}

void log_print(enum log_level level, const char *fmt, ...)
{
	char line[2048];
	int saved = errno;
	va_list ap;
	int n;

	if (level > max_level)
		return;
	n = snprintf(line, sizeof(line), "%s: ", program_name);
	va_start(ap, fmt);
	(void)vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	n = (int)strlen(line);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		errno = saved; /* nowhere left to say it */
	errno = saved;
}
