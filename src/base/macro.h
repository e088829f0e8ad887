/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scope-bound clean-up, ownership transfer, and the functions that the project bans. */
#ifndef CONTRACTOR_BASE_MACRO_H
#define CONTRACTOR_BASE_MACRO_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))

#define KIB 1024ULL
#define MIB (1024ULL * KIB)
#define GIB (1024ULL * MIB)

#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define _unused_	    __attribute__((unused))
#define _cleanup_(fn)	    __attribute__((cleanup(fn)))

static inline void free_p(void *p)
{
	free(*(void **)p);
}

static inline void close_p(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void fclose_p(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}

#define _cleanup_free_	 _cleanup_(free_p)
#define _cleanup_close_	 _cleanup_(close_p)
#define _cleanup_fclose_ _cleanup_(fclose_p)

/* CLEANUP_FUNC(x_free, struct x) defines x_free_p() for _cleanup_(x_free_p) on a struct x pointer.
 */
#define CLEANUP_FUNC(fn, type)                       \
	static inline _unused_ void fn##_p(type **p) \
	{                                            \
		if (*p)                              \
			(void)fn(*p);                \
	}

/* Hands a pointer or descriptor on and forgets it here, so that scope clean-up leaves it alone. */
static inline void *take_ptr_(void **p)
{
	void *v = *p;
	*p = NULL;
	return v;
}
#define take_ptr(p) take_ptr_((void **)(p))

static inline int take_fd(int *fd)
{
	int v = *fd;
	*fd = -1;
	return v;
}

/* Closes *fd if it is open and marks it closed; keeps errno. */
void fd_close(int *fd);

/* Numbers are parsed by num.h, shells and unbounded copies have no place here. */
#pragma GCC poison strtol strtoul strtoll strtoull strtod atoi atol atoll atof
#pragma GCC poison strcpy strcat sprintf vsprintf system popen gets usleep sleep

#endif
