/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Diagnostics to stderr for developers and doubters; the user's texts are the CLI's business. */
#ifndef CONTRACTOR_BASE_LOG_H
#define CONTRACTOR_BASE_LOG_H

#include "macro.h"

enum log_level {
	LOG_WARNING,
	LOG_INFO,
	LOG_DEBUG,
	_LOG_LEVEL_MAX,
};

/* What is written at most (LOG_WARNING at the start), and the program's name in front of it. */
void log_setup(const char *program, enum log_level max);

/* One line "program: text" on stderr when `level` is asked for; errno is kept. */
void log_print(enum log_level level, const char *fmt, ...) _printf_(2, 3);

#define log_warning(...) log_print(LOG_WARNING, __VA_ARGS__)
#define log_info(...)	 log_print(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	 log_print(LOG_DEBUG, __VA_ARGS__)

#endif
