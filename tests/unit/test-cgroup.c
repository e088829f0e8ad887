/* SPDX-License-Identifier: GPL-3.0-or-later */
/* src/cli/cgroup, over a tree of files like cgroup v2's; test_cgroup.py tries the kernel's own. */
/* There mkdir makes the files of a cgroup, here they are there before. */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "cli/cgroup.h"
#include "scratch.h"

#define ID 2147483646 /* no process has it */

static const struct cgroup_walls walls = {.cpus = 2, .memory = 300 * MIB, .pids = 74};

static void put_in(const char *folder, const char *file, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, file);
	put_file(path, text);
}

/* A cgroup with these controllers, those below it with those that it gives. */
static void group(const char *name, const char *has, const char *gives)
{
	if (strcmp(name, ".") != 0)
		put_folder(name);
	put_in(name, "cgroup.controllers", has);
	put_in(name, "cgroup.subtree_control", gives);
	put_in(name, "cgroup.procs", "");
}

static void expect(const char *file, const char *text)
{
	_cleanup_buf_ struct buf b = {0};

	ck_assert_int_eq(io_read_file(top_fd, file, 4096, &b, NULL), 0);
	ck_assert_str_eq(buf_str(&b), text);
}

static struct cgroup make(const char *self)
{
	struct cgroup c = CGROUP_INIT;

	cgroup_make(top, self, ID, &walls, &c);
	return c;
}

static void none(const char *self, const char *why)
{
	struct cgroup c = make(self);

	ck_assert_msg(strstr(c.why, why) != NULL, "%s", c.why);
	ck_assert_int_eq(c.procs, -1);
	ck_assert(!c.path[0] && !c.cpu && !c.memory && !c.pids);
	ck_assert_uint_eq(cgroup_oom_kills(&c), 0);
	cgroup_done(&c);
}

START_TEST(nothing)
{
	none("0::/user/shell\n", "no cgroup v2 at /tmp/");
	group(".", "cpu memory pids", "");
	group("user", "", "");
	group("user/shell", "", "");
	none("9:name=systemd:/\n8:pids:/\n", "in no cgroup that can be seen");
	none("0::/../outside\n", "in no cgroup that can be seen");
	none("", "in no cgroup that can be seen");
	none("0::/user/shell\n", "no cgroup with controllers is delegated");
	none("0::/gone/away\n", "no cgroup with controllers is delegated");
	put_in("user/shell", "cgroup.controllers", "cpuset io hugetlb memory_recursiveprot");
	none("0::/user/shell\n", "no cgroup with controllers is delegated");
}
END_TEST

#define NAME "contractor-2147483646"

START_TEST(neighbour)
{
	struct cgroup c;

	group(".", "cpu memory pids", "cpu memory pids");
	group("user", "cpu memory pids", "cpuset cpu io memory pids\n");
	group("user/shell", "cpu memory pids", "");
	group("user/" NAME, "cpu memory pids", "");
	put_in("user/" NAME, "cpu.max", "");
	put_in("user/" NAME, "memory.max", "");
	put_in("user/" NAME, "pids.max", "");
	put_folder("user/contractor-2147483645"); /* which a killed build has left */
	put_folder("user/contractor-1");
	c = make("8:pids:/\n0::/user/shell\n");
	ck_assert_str_eq(c.why, "");
	ck_assert(c.cpu && c.memory && c.pids && c.procs >= 0);
	ck_assert_ptr_nonnull(strstr(c.path, "/user/" NAME));
	expect("user/" NAME "/cpu.max", "200000 100000");
	expect("user/" NAME "/memory.max", "314572800");
	expect("user/" NAME "/pids.max", "74");
	expect("user/" NAME "/cgroup.procs", "0"); /* the trial */
	ck_assert(!is_there("user/contractor-2147483645"));
	ck_assert(is_there("user/contractor-1"));
	ck_assert_uint_eq(cgroup_oom_kills(&c), 0);
	put_in("user/" NAME, "memory.events", "low 0\nmax 5\noom 1\noom_kill 3\n");
	ck_assert_uint_eq(cgroup_oom_kills(&c), 3);
	put_in("user/" NAME, "memory.events", "oom_kill x\n");
	ck_assert_uint_eq(cgroup_oom_kills(&c), 0);
	cgroup_done(&c);
	ck_assert_int_eq(c.procs, -1);
}
END_TEST

/* What gives more is better than what is nearer; what is missing is said. */
START_TEST(most)
{
	struct cgroup c;

	group(".", "cpu memory pids", "");
	group("a", "cpu memory pids", "memory pids");
	group("a/" NAME, "memory pids", "");
	put_in("a/" NAME, "memory.max", "");
	put_in("a/" NAME, "pids.max", "");
	group("a/b", "memory", "memory");
	group("a/b/c", "memory", "");
	c = make("0::/a/b/c\n");
	ck_assert_ptr_nonnull(strstr(c.path, "/a/" NAME));
	ck_assert(!c.cpu && c.memory && c.pids);
	ck_assert_str_eq(c.why, "it has no controller for cpu.max");
	cgroup_done(&c);
}
END_TEST

/* Alone in a delegated cgroup: the program moves aside, and back at the end. */
START_TEST(aside)
{
	struct cgroup c;

	group(".", "cpu memory pids", "");
	group("scope", "cpu memory pids", "");
	put_folder("scope/contractor-cli-2147483646");
	put_in("scope/contractor-cli-2147483646", "cgroup.procs", "");
	group("scope/" NAME, "cpu memory pids", "");
	put_in("scope/" NAME, "cpu.max", "");
	put_in("scope/" NAME, "memory.max", "");
	put_in("scope/" NAME, "pids.max", "");
	c = make("0::/scope\n");
	ck_assert_str_eq(c.why, "");
	ck_assert(c.cpu && c.memory && c.pids);
	ck_assert_ptr_nonnull(strstr(c.own, "/scope"));
	expect("scope/contractor-cli-2147483646/cgroup.procs", "2147483646");
	cgroup_done(&c);
	ck_assert_str_eq(c.own, "");
}
END_TEST

/* A cgroup that cannot be entered is none. */
START_TEST(closed)
{
	group(".", "cpu memory pids", "");
	group("user", "cpu memory pids", "cpu memory pids");
	group("user/shell", "cpu memory pids", "");
	put_folder("user/" NAME);
	none("0::/user/shell\n", "cannot make a cgroup and enter it");
	/* for root everything is open */
	if (geteuid() != 0) {
		ck_assert_int_eq(fchmodat(top_fd, "user/cgroup.procs", 0444, 0), 0);
		ck_assert_int_eq(fchmodat(top_fd, "user/shell/cgroup.procs", 0444, 0), 0);
		none("0::/user/shell\n", "no cgroup with controllers is delegated");
	}
}
END_TEST

/* The rest is with a real cgroup v2 of which this process is the root: see attack/test_cgroup.py.
 */
static const char *real;

static void put_real(const char *name, const char *text)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", real, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_msg(write(fd, text, strlen(text)) > 0, "%s: %s", path, strerror(errno));
	(void)close(fd);
}

/* A cgroup that belongs to a user, as a delegated one does. */
static void delegate(const char *name)
{
	static const char *const files[] = {"", "/cgroup.procs", "/cgroup.subtree_control"};
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", real, name);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s%s", real, name, files[i]);
		ck_assert_int_eq(chown(path, 65534, 65534), 0);
	}
}

static struct cgroup make_real(void)
{
	const struct cgroup_walls small = {.cpus = 1, .memory = 32 * MIB, .pids = 8};
	_cleanup_buf_ struct buf self = {0};
	struct cgroup c = CGROUP_INIT;

	ck_assert_int_eq(setegid(65534), 0);
	ck_assert_int_eq(seteuid(65534), 0);
	ck_assert_int_eq(io_read_file(AT_FDCWD, "/proc/self/cgroup", 4096, &self, NULL), 0);
	cgroup_make(real, buf_str(&self), getpid(), &small, &c);
	ck_assert_str_eq(c.why, "");
	ck_assert(c.cpu && c.memory && c.pids);
	return c;
}

/* In the cgroup: first too many processes, then too much memory, which kills. */
static void exceed(const struct cgroup *c)
{
	int n = 0;
	char *p;

	if (write(c->procs, "0", 1) != 1)
		_exit(1);
	for (; n < 20; n++) {
		pid_t pid = fork();

		if (pid == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			(void)pause();
			_exit(0);
		}
		if (pid < 0)
			break;
	}
	if (n != 7)
		_exit(2);
	p = malloc(64 * MIB);
	for (size_t i = 0; p && i < 64 * MIB; i += 4096)
		*(volatile char *)(p + i) = 1;
	_exit(3);
}

static void walls_stand(struct cgroup *c)
{
	char path[PATH_MAX];
	int status;
	pid_t pid = fork();

	if (pid == 0)
		exceed(c);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %x", status);
	ck_assert_uint_ge(cgroup_oom_kills(c), 1);
	(void)snprintf(path, sizeof(path), "%s", c->path);
	/* its children die with it, but not at once */
	for (int i = 0; i < 100 && access(path, F_OK) == 0; i++) {
		(void)rmdir(path);
		(void)poll(NULL, 0, 50);
	}
	cgroup_done(c);
	ck_assert_int_ne(access(path, F_OK), 0);
}

START_TEST(kernel)
{
	struct cgroup c;
	char text[32];

	put_real("cgroup.subtree_control", "+cpu +memory +pids");
	(void)snprintf(text, sizeof(text), "%d", (int)getpid());
	delegate("user");
	put_real("user/cgroup.subtree_control", "+cpu +memory +pids");
	delegate("user/shell");
	put_real("user/shell/cgroup.procs", text);
	c = make_real();
	ck_assert_str_eq(c.own, "");
	walls_stand(&c);
	ck_assert_int_eq(seteuid(0), 0);
	/* alone in one that gives nothing yet */
	delegate("scope");
	put_real("scope/cgroup.procs", text);
	c = make_real();
	ck_assert_ptr_nonnull(strstr(c.own, "/scope"));
	walls_stand(&c);
	ck_assert_str_eq(c.own, "");
	/* it went back */
	ck_assert_int_eq(seteuid(0), 0);
	put_real("cgroup.procs", text);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("cgroup");
	TCase *tc = archive_case(s, "cgroup");

	tcase_add_test(tc, nothing);
	tcase_add_test(tc, neighbour);
	tcase_add_test(tc, most);
	tcase_add_test(tc, aside);
	tcase_add_test(tc, closed);
	real = getenv("CONTRACTOR_TEST_CGROUP");
	if (real)
		tcase_add_test(tc, kernel);
	return s;
}
