/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What renew and changes have in the place of a libc: system calls, words, and the way in. */
#ifndef CONTRACTOR_FIRMWARE_SYS_H
#define CONTRACTOR_FIRMWARE_SYS_H

#include <asm/errno.h>
#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

/* A system call with six arguments: what it returns, or a negative errno. */
static inline long call6(long n, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return r;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
#else
#error "no system calls for this architecture"
#endif
}

/* The same with four. */
static inline long call(long n, long a, long b, long c, long d)
{
	return call6(n, a, b, c, d, 0, 0);
}

/* open(2). A descriptor or a negative errno. */
static inline long open_file(const char *path, long flags, long mode)
{
	return call(__NR_openat, AT_FDCWD, (long)path, flags, mode);
}

/* True if the two strings are the same. */
static inline int same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/* strlen(3), as the type that system calls take. */
static inline long length(const char *s)
{
	long n = 0;

	while (s[n])
		n++;
	return n;
}

/* memcpy(3), which the compiler must not take for it: that calls this. */
static inline void copy(char *to, const char *from, long n)
{
	for (; n >= 8; n -= 8, to += 8, from += 8) {
		__builtin_memcpy(to, from, 8);
		__asm__("" : "+r"(to));
	}
	for (; n > 0; n--) {
		*to++ = *from++;
		__asm__("" : "+r"(to));
	}
}

/* memset(3) to 0. */
static inline void zero(char *to, long n)
{
	for (; n >= 32; n -= 32, to += 32) {
		__builtin_memset(to, 0, 32);
		__asm__("" : "+r"(to));
	}
	for (; n > 0; n--) {
		*to++ = 0;
		__asm__("" : "+r"(to));
	}
}

/* Writes the text to stderr; 1, for an exit status. */
static inline int fail(const char *what)
{
	(void)call(__NR_write, 2, (long)what, length(what), 0);
	return 1;
}

/* Ends the program. */
__attribute__((noreturn)) static inline void leave(int status)
{
	(void)call(__NR_exit_group, status, 0, 0, 0);
	__builtin_unreachable();
}

/* argc, and the arguments behind it, are where the stack pointer is. */
#if defined(__x86_64__)
#define SYS_ENTRY "xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call start\n"
#elif defined(__aarch64__)
#define SYS_ENTRY "mov x29, xzr\n mov x0, sp\n bl start\n"
#endif

/* The way in: `int main_function(long argc, const char *const *argv)` gives the exit status. */
#define SYS_START(main_function)                                                  \
	__attribute__((used)) static void start(const long *stack)                \
	{                                                                         \
		leave(main_function(stack[0], (const char *const *)(stack + 1))); \
	}                                                                         \
	__asm__(".globl _start\n_start: " SYS_ENTRY)

#endif
