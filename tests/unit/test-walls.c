/* SPDX-License-Identifier: GPL-3.0-or-later */
/* src/vm/walls: what the kernel is told to hold QEMU to, and that it does. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "vm/filter.h"
#include "vm/memory.h"
#include "vm/threads.h"
#include "vm/walls.h"

static uint64_t value(const struct vm_walls *w, int resource)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->v[i].resource == resource)
			return w->v[i].value;
	}
	return UINT64_MAX;
}

START_TEST(values)
{
	struct vm_start s = {.desc = {.accel = VM_ACCEL_TCG, .cpus = 2, .memory = GIB},
			     .cpu_time_ms = 5000,
			     .file_size = 7};
	struct vm_walls w = vm_walls(&s);

	ck_assert_uint_eq(value(&w, RLIMIT_CORE), 0);
	ck_assert_uint_eq(value(&w, RLIMIT_NOFILE), 1024);
	ck_assert_uint_eq(value(&w, RLIMIT_CPU), 9);
	ck_assert_uint_eq(value(&w, RLIMIT_FSIZE), 7);
	/* without a bound for translated code there is none for the whole */
	ck_assert_uint_eq(value(&w, RLIMIT_AS), UINT64_MAX);
	ck_assert_uint_eq(w.threads, 74);
	s.desc.tb_size = 32 * MIB;
	s.cpu_time_ms = 5601;
	w = vm_walls(&s);
	ck_assert_uint_eq(value(&w, RLIMIT_CPU), 10);
	ck_assert_uint_eq(value(&w, RLIMIT_AS), GIB + 32 * MIB + 768 * MIB + 74 * 8 * MIB);
	s.desc.accel = VM_ACCEL_KVM;
	s.desc.tb_size = 0;
	s.cpu_time_ms = s.file_size = 0;
	w = vm_walls(&s);
	ck_assert_uint_eq(value(&w, RLIMIT_AS), GIB + 768 * MIB + 74 * 8 * MIB);
	ck_assert_uint_eq(value(&w, RLIMIT_CPU), UINT64_MAX);
	ck_assert_uint_eq(value(&w, RLIMIT_FSIZE), UINT64_MAX);
}
END_TEST

START_TEST(shares)
{
	static const struct {
		uint64_t granted, guest, tb;
	} all[] = {
		{64 * MIB, 64 * MIB, 56 * MIB},
		{GIB - 1, GIB - 1, 56 * MIB},
		{GIB, GIB - 128 * MIB, 184 * MIB},
		{GIB + 7 * MIB, GIB + 7 * MIB - 128 * MIB, 184 * MIB},
		{2 * GIB, 2 * GIB - 192 * MIB, 248 * MIB},
		{64 * 1024 * GIB, 64 * 1024 * GIB - 192 * MIB, 248 * MIB},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct vm_share s = vm_share_memory(all[i].granted);

		ck_assert_uint_eq(s.guest, all[i].guest);
		ck_assert_uint_eq(s.tb_size, all[i].tb);
		/* what QEMU has beside both was measured to be under 72 MiB */
		ck_assert_uint_le(s.guest + s.tb_size + 72 * MIB, all[i].granted + 128 * MIB);
	}
}
END_TEST

/* Forks children that wait until it fails or there are `most`; how many there were. */
static int count_forks(int most)
{
	int n = 0, p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -1;
	while (n < most) {
		char c;
		pid_t pid = fork();

		if (pid == 0) {
			(void)close(p[1]);
			_exit((int)read(p[0], &c, 1));
		}
		if (pid < 0)
			break;
		n++;
	}
	(void)close(p[0]);
	(void)close(p[1]);
	while (wait(NULL) > 0)
		;
	return n;
}

START_TEST(threads)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		/* the real root is exempt: become nobody in particular */
		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(3);
		if (unshare(CLONE_NEWUSER) < 0)
			_exit(77);
		if (vm_limit_threads(20) < 0)
			_exit(1);
		/* itself counts as well; a kernel before 5.14 has left it as it was */
		_exit(count_forks(40) <= 20 ? 0 : 2);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_msg(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77, "exit %d",
		      WEXITSTATUS(status));
}
END_TEST

/* Each must fail with that errno behind the filter. */
static int bad_calls(void)
{
	struct stat st;
	int p[2];

	if (vm_filter(false) < 0)
		return 1;
	if (fork() >= 0 || errno != EPERM)
		return 2;
	if (memfd_create("x", 0) >= 0 || errno != EPERM)
		return 3;
	if (shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) >= 0 || errno != EPERM)
		return 4;
	if (unshare(CLONE_NEWUSER) >= 0 || errno != EPERM)
		return 5;
	if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
		return 6;
	if (syscall(SYS_clone3, NULL, 0) >= 0 || errno != ENOSYS)
		return 7;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, p) < 0 || fstat(p[0], &st) < 0)
		return 8;
	return 0;
}

static void *thread(void *p)
{
	return p;
}

START_TEST(filter)
{
	pid_t pid = fork();
	pthread_t t;
	int status;

	if (pid == 0) {
		int r = bad_calls();

		/* threads and programs it needs */
		if (r == 0 &&
		    (pthread_create(&t, NULL, thread, NULL) != 0 || pthread_join(t, NULL) != 0))
			r = 9;
		if (r == 0)
			(void)execl("/bin/true", "true", NULL);
		_exit(r ? r : 10);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}
END_TEST

/* Behind the filter: asks for the memory, and finds what it may do with it. */
static int use_memory(int socket_fd)
{
	int r = vm_filter(true), fd;
	char *p, old;

	if (r < 0 || vm_memory_send(socket_fd, r) < 0)
		return 1;
	fd = open(VM_MEMORY_PATH, O_RDWR);
	if (fd < 0)
		return 2;
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY || write(fd, "x", 1) >= 0)
		return 3;
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED)
		return 4;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return 5;
	old = *p;
	*p = 'b';
	return old == 'a' && *p == 'b' ? 0 : 6;
}

START_TEST(memory_by_descriptor)
{
	int p[2], listener, status, rw, ro;
	char path[] = "/tmp/test-memory-XXXXXX", byte;
	pid_t pid;

	rw = mkostemp(path, O_CLOEXEC);
	ck_assert_int_ge(rw, 0);
	ck_assert_int_eq(ftruncate(rw, 4096), 0);
	ck_assert_int_eq(pwrite(rw, "a", 1, 0), 1);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(ro, 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
	ck_assert_int_eq(vm_memory_take(p[0]), -EAGAIN);
	pid = fork();
	if (pid == 0)
		_exit(use_memory(p[1]));
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(poll(&(struct pollfd){p[0], POLLIN, 0}, 1, 10000), 1);
	listener = vm_memory_take(p[0]);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(vm_memory_answer(listener, ro), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
	ck_assert_int_eq(pread(rw, &byte, 1, 0), 1);
	ck_assert_int_eq(byte, 'a');
	(void)close(listener);
	(void)close(rw);
	(void)close(ro);
	(void)close(p[0]);
	(void)close(p[1]);
}
END_TEST

START_TEST(thread_ids)
{
	ck_assert_uint_eq(vm_threads_inner_id("Name:\tqemu\nNSpid:\t4711\t22\t3\nNSpgid:\t9\n"), 3);
	ck_assert_uint_eq(vm_threads_inner_id("Name:\tx\nNSpid:\t4711"), 4711);
	ck_assert_uint_eq(vm_threads_inner_id("Name:\tx\nPid:\t4\n"), 0);
	ck_assert_uint_eq(vm_threads_inner_id("Name:\tx\nNSpid:\tx\n"), 0);
	ck_assert_uint_eq(vm_threads_inner_id("Name:\tx\nNSpid:\n"), 0);
	ck_assert_uint_eq(vm_threads_ticks(
				  "7 (a) b) R 1 2 3 4 5 6 7 8 9 10 120 34 0 0 20 0 4 0 99\n"),
			  154);
	ck_assert_uint_eq(vm_threads_ticks("7 (a) R 1 2 3"), 0);
	ck_assert_uint_eq(vm_threads_ticks(""), 0);
}
END_TEST

struct busy {
	pid_t tid;
	int stop;
};

static void *be_busy(void *p)
{
	struct busy *b = p;

	__atomic_store_n(&b->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	while (!__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE))
		;
	return NULL;
}

/* Its own threads are found by id and their time is read; an id that is none of them is not. */
START_TEST(thread_times)
{
	struct busy b = {0};
	uint64_t ids[3], ms = 0;
	pid_t found[3];
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, be_busy, &b), 0);
	while ((ids[1] = (uint64_t)__atomic_load_n(&b.tid, __ATOMIC_ACQUIRE)) == 0)
		(void)sched_yield();
	ids[0] = 1ULL << 40;
	ids[2] = (uint64_t)getpid();
	vm_threads_find(getpid(), ids, 3, found);
	ck_assert_int_eq(found[0], 0);
	ck_assert_int_eq(found[1], (pid_t)ids[1]);
	ck_assert_int_eq(found[2], getpid());
	while ((ms = vm_threads_cpu_ms(getpid(), found[1], 0)) == 0)
		(void)sched_yield();
	__atomic_store_n(&b.stop, 1, __ATOMIC_RELEASE);
	ck_assert_int_eq(pthread_join(t, NULL), 0);
	ck_assert_uint_eq(vm_threads_cpu_ms(getpid(), 0, 42), 42);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("walls");
	TCase *tc = unit_case(s, "walls");

	tcase_add_test(tc, values);
	tcase_add_test(tc, shares);
	tcase_add_test(tc, threads);
	tcase_add_test(tc, filter);
	tcase_add_test(tc, memory_by_descriptor);
	tcase_add_test(tc, thread_ids);
	tcase_add_test(tc, thread_times);
	return s;
}
