/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A real QEMU that never runs its guest: QMP, the jail around it, and its ends. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/io.h"
#include "bench.h"
#include "qmp/commands.h"
#include "unit.h"

#define NOBODY 65534

/* The callers that vm_start is for; each test is in a process of its own. */
enum caller {
	CALLER_PLAIN, /* whoever runs the tests */
	CALLER_NOBODY,
	CALLER_NAMESPACE_ROOT,
	_CALLER_MAX,
};

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_msg(io_write_full(fd, text, strlen(text)) == 0, "%s", path);
	(void)close(fd);
}

static void become(int caller)
{
	char map[64];

	if (caller == CALLER_NOBODY && geteuid() == 0) {
		ck_assert_int_eq(setgroups(0, NULL), 0);
		ck_assert_int_eq(setresgid(NOBODY, NOBODY, NOBODY), 0);
		ck_assert_int_eq(setresuid(NOBODY, NOBODY, NOBODY), 0);
		/* else /proc/self is root's, as it is for no user who logs in */
		ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
	}
	if (caller == CALLER_NAMESPACE_ROOT) {
		gid_t gid = getegid();

		(void)snprintf(map, sizeof(map), "0 %u 1\n", geteuid());
		ck_assert_int_eq(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET), 0);
		write_file("/proc/self/uid_map", map);
		write_file("/proc/self/setgroups", "deny");
		(void)snprintf(map, sizeof(map), "0 %u 1\n", gid);
		write_file("/proc/self/gid_map", map);
		ck_assert_int_eq(geteuid(), 0);
	}
}

START_TEST(questions)
{
	cJSON *args = cJSON_CreateObject();
	struct bench b;

	bench_init(&b);
	bench_start_ready(&b);
	ck_assert_str_eq(json_str(b.ret, "status"), "prelaunch");
	ck_assert_int_eq(bench_ask(&b, "query-cpus-fast", NULL), 0);
	ck_assert_int_eq(cJSON_GetArraySize(b.ret), 2);
	ck_assert_int_eq(bench_ask(&b, "no-such-command", NULL), -ENOSYS);
	ck_assert_int_eq(bench_ask(&b, "query-balloon", NULL), -ENODEV);
	ck_assert_int_eq(bench_ask(&b, "blockdev-del", args), -EIO);
	ck_assert_ptr_nonnull(strstr(b.text, "node-name"));
	/* a descriptor, and the command after it */
	ck_assert_int_eq(bench_ask_fd(&b, "add-fd", NULL, bench_file(10, false)), 0);
	ck_assert_int_eq(bench_ask(&b, "query-fdsets", NULL), 0);
	ck_assert_int_eq(cJSON_GetArraySize(b.ret), 3);
	ck_assert_int_eq(bench_ask(&b, "add-fd", NULL), -EIO);
	bench_done(&b);
}
END_TEST

static void on_stats(int code, const struct qmp_blockstats *stats, const struct err *e,
		     void *user_data)
{
	int *calls = user_data;

	(*calls)++;
	ck_assert_msg(code == 0, "%s", e->text);
	ck_assert_uint_eq(stats->n, 2);
	for (size_t i = 0; i < stats->n; i++) {
		ck_assert_str_eq(stats->nodes[i].node, i == 0 ? "root" : "scratch");
		ck_assert_uint_eq(stats->nodes[i].wr_bytes, 0);
	}
}

START_TEST(block_nodes)
{
	struct bench b;
	int calls = 0;

	bench_init(&b);
	bench_start_ready(&b);
	ck_assert_int_eq(qmp_query_blockstats(vm_qmp(b.v), BENCH_MS, on_stats, &calls), 0);
	bench_until(&b, &calls, 1);
	ck_assert_int_eq(bench_ask(&b, "query-named-block-nodes", NULL), 0);
	for (int i = 0; i < cJSON_GetArraySize(b.ret); i++) {
		const cJSON *node = cJSON_GetArrayItem(b.ret, i);
		bool root = strncmp(json_str(node, "node-name"), "root", 4) == 0;

		ck_assert(json_bool_or(node, "ro", !root) == root);
		if (strcmp(json_str(node, "node-name"), "root") == 0)
			ck_assert_uint_eq(json_u64_or(json_get(node, "image"), "virtual-size", 0),
					  8192);
	}
	bench_done(&b);
}
END_TEST

/* The command line with all it can have but a network; golden files alone prove no QEMU takes it.
 */
START_TEST(all_devices)
{
	static const struct {
		enum vm_machine machine;
		const char *arch;
	} t[] = {{VM_MACHINE_Q35, "x86_64"}, {VM_MACHINE_VIRT, "aarch64"}};
	int ctl[2], log[2];
	struct bench b;

	bench_init(&b);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ctl), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, log), 0);
	b.s.desc.machine = t[_i].machine;
	b.s.desc.arch = t[_i].arch;
	b.s.desc.ports[0] = (struct vm_port){"contractor.ctl", ctl[1]};
	b.s.desc.ports[1] = (struct vm_port){"contractor.log", log[1]};
	b.s.desc.n_ports = 2;
	bench_start_ready(&b);
	ck_assert_str_eq(json_str(b.ret, "status"), "prelaunch");
	ck_assert_int_eq(bench_ask(&b, "cont", NULL), 0);
	ck_assert_int_eq(bench_ask(&b, "query-status", NULL), 0);
	ck_assert_str_eq(json_str(b.ret, "status"), "running");
	bench_done(&b);
	for (int i = 0; i < 2; i++) {
		(void)close(ctl[i]);
		(void)close(log[i]);
	}
}
END_TEST

/* A field of /proc/PID/status. */
static void expect_status(const char *status, const char *line)
{
	ck_assert_msg(strstr(status, line), "no %s in %s", line, status);
}

static void expect_folder(const struct bench *b, const char *path, const char *want)
{
	struct buf got = {0};
	struct dirent **names;
	char full[64];
	int n;

	(void)snprintf(full, sizeof(full), "/proc/%d/root%s", (int)vm_pid(b->v), path);
	n = scandir(full, &names, NULL, alphasort);
	ck_assert_msg(n >= 0, "%s: %s", full, strerror(errno));
	for (int i = 0; i < n; i++) {
		/* lib32 and the like depend on the host */
		if (names[i]->d_name[0] != '.' && strncmp(names[i]->d_name, "lib", 3) != 0)
			ck_assert_int_eq(buf_printf(&got, "%s ", names[i]->d_name), 0);
		free(names[i]);
	}
	free(names);
	ck_assert_str_eq(buf_str(&got), want);
	buf_done(&got);
}

static void expect_own_namespaces(const struct bench *b)
{
	static const char *const kinds[] = {"user", "mnt", "net", "ipc", "uts", "pid"};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		char theirs[64], ours[64];
		struct stat st1, st2;

		(void)snprintf(theirs, sizeof(theirs), "/proc/%d/ns/%s", (int)vm_pid(b->v),
			       kinds[i]);
		(void)snprintf(ours, sizeof(ours), "/proc/self/ns/%s", kinds[i]);
		ck_assert_int_eq(stat(theirs, &st1), 0);
		ck_assert_int_eq(stat(ours, &st2), 0);
		ck_assert_msg(st1.st_ino != st2.st_ino, "%s", kinds[i]);
	}
}

/* All that is mounted there is read-only, and without devices but those of /dev. */
static void expect_mounts(const struct bench *b)
{
	_cleanup_free_ char *text = bench_proc(b, "mountinfo");
	char *save = NULL;
	int n = 0;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char place[256], options[256];

		ck_assert_int_eq(sscanf(line, "%*d %*d %*s %*s %255s %255s", place, options), 2);
		ck_assert_msg(strncmp(options, "ro,", 3) == 0, "%s", line);
		ck_assert_msg(strstr(options, "nosuid"), "%s", line);
		ck_assert_msg(strncmp(place, "/dev/", 5) == 0 || strstr(options, "nodev"), "%s",
			      line);
		n++;
	}
	ck_assert_int_ge(n, 6);
}

/* Its descriptors lead to sockets, pipes, the two disks, /dev/null, and kernel objects. */
static void expect_fds(const struct bench *b)
{
	char folder[64], path[512], target[256];
	struct dirent *entry;
	int files = 0;
	DIR *d;

	(void)snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)vm_pid(b->v));
	d = opendir(folder);
	ck_assert_ptr_nonnull(d);
	while ((entry = readdir(d))) {
		ssize_t n;

		(void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		if (strstr(target, "(deleted)"))
			files++;
		else
			ck_assert_msg(strncmp(target, "socket:", 7) == 0 ||
					      strncmp(target, "pipe:", 5) == 0 ||
					      strncmp(target, "anon_inode:", 11) == 0 ||
					      strcmp(target, "/dev/null") == 0,
				      "%s", target);
	}
	(void)closedir(d);
	/* each disk is there as it was given and as QEMU opened it again */
	ck_assert_int_ge(files, 2);
	ck_assert_int_le(files, 4);
}

START_TEST(jail)
{
	_cleanup_free_ char *status = NULL, *net = NULL, *limits = NULL;
	struct bench b;

	become(_i);
	bench_init(&b);
	b.s.cpu_time_ms = 5000;
	b.s.file_size = 16 * MIB;
	b.s.nice = 5;
	bench_start_ready(&b);
	status = bench_proc(&b, "status");
	expect_status(status, "\nSeccomp:\t2\n");
	expect_status(status, "\nNoNewPrivs:\t1\n");
	expect_status(status, "\nCapInh:\t0000000000000000\n");
	expect_status(status, "\nCapPrm:\t0000000000000000\n");
	expect_status(status, "\nCapEff:\t0000000000000000\n");
	expect_status(status, "\nCapBnd:\t0000000000000000\n");
	expect_status(status, "\nCapAmb:\t0000000000000000\n");
	expect_folder(&b, "/", "dev etc usr ");
	expect_folder(&b, "/etc", "ld.so.cache ");
	expect_folder(&b, "/dev", "null random urandom zero ");
	expect_own_namespaces(&b);
	expect_mounts(&b);
	expect_fds(&b);
	net = bench_proc(&b, "net/dev");
	ck_assert_ptr_nonnull(strstr(net, "lo:"));
	ck_assert_ptr_null(strchr(strchr(strstr(net, "lo:"), ':') + 1, ':'));
	limits = bench_proc(&b, "limits");
	expect_status(limits, "Max core file size        0                    0 ");
	expect_status(limits, "Max cpu time              9                    9 ");
	expect_status(limits, "Max file size             16777216             16777216 ");
	bench_done(&b);
}
END_TEST

START_TEST(quit)
{
	char text[512];
	struct bench b;

	bench_init(&b);
	bench_start_ready(&b);
	ck_assert_int_eq(bench_ask(&b, "quit", NULL), 0);
	bench_until(&b, &b.exits, 1);
	ck_assert_int_eq(b.status, 0);
	ck_assert_str_eq(b.names, "SHUTDOWN:host-qmp-quit ");
	ck_assert_int_eq(vm_pid(b.v), -1);
	ck_assert_str_eq(vm_end_text(b.v, text, sizeof(text)), "exit status 0");
	ck_assert_int_eq(qmp_command(vm_qmp(b.v), "stop", NULL, 10, NULL, NULL), -ECONNRESET);
	ck_assert_int_eq(loop_step(b.l, 10), 0);
	ck_assert_int_eq(b.exits, 1);
	bench_done(&b);
}
END_TEST

START_TEST(killed)
{
	char text[512];
	struct bench b;

	bench_init(&b);
	bench_start_ready(&b);
	ck_assert_int_eq(kill(vm_pid(b.v), SIGKILL), 0);
	bench_until(&b, &b.exits, 1);
	ck_assert(WIFSIGNALED(b.status) && WTERMSIG(b.status) == SIGKILL);
	ck_assert_str_eq(vm_end_text(b.v, text, sizeof(text)), "killed by signal 9 (SIGKILL)");
	bench_done(&b);
}
END_TEST

START_TEST(freed)
{
	struct bench b;
	pid_t pid;

	/* while it runs */
	bench_init(&b);
	bench_start_ready(&b);
	pid = vm_pid(b.v);
	ck_assert_int_eq(kill(pid, 0), 0);
	b.v = vm_free(b.v);
	ck_assert_int_eq(kill(pid, 0), -1);
	ck_assert_int_eq(errno, ESRCH);
	bench_done(&b);

	/* in the callback of an event, and of its end */
	bench_init(&b);
	bench_start_ready(&b);
	b.free_on_event = true;
	ck_assert_int_eq(bench_ask(&b, "quit", NULL), -ECANCELED);
	ck_assert_ptr_null(b.v);
	bench_done(&b);

	bench_init(&b);
	bench_start_ready(&b);
	b.free_on_exit = true;
	ck_assert_int_eq(bench_ask(&b, "quit", NULL), 0);
	bench_until(&b, &b.exits, 1);
	ck_assert_ptr_null(b.v);
	bench_done(&b);
}
END_TEST

START_TEST(bad_disks)
{
	struct err e = ERR_INIT;
	struct vm *v = NULL;
	struct vm_callbacks cb = {0};
	struct bench b;

	bench_init(&b);
	b.s.desc.disks[0].fd = b.disks[1];
	ck_assert_int_eq(vm_start(b.l, &b.s, &cb, &v, &e), -EINVAL);
	ck_assert_str_eq(e.text, "disk root: its descriptor must be open for reading only");
	b.s.desc.disks[0] = b.s.desc.disks[1];
	b.s.desc.disks[0].fd = b.disks[0];
	ck_assert_int_eq(vm_start(b.l, &b.s, &cb, &v, &e), -EINVAL);
	ck_assert_str_eq(e.text,
			 "disk scratch: its descriptor must be open for reading and writing");
	bench_done(&b);

	/* a stretch that is not in the file: QEMU says so, and that is what the owner hears */
	bench_init(&b);
	b.s.desc.disks[0].size = 2 * MIB;
	bench_start(&b);
	bench_until(&b, &b.exits, 1);
	ck_assert_int_eq(b.status, 1 << 8);
	(void)vm_end_text(b.v, e.text, sizeof(e.text));
	ck_assert_msg(strstr(e.text, "exit status 1 (qemu-system-x86_64: "), "%s", e.text);
	bench_done(&b);
}
END_TEST

START_TEST(cut_image)
{
	struct err e = ERR_INIT;
	struct vm *v = NULL;
	struct vm_callbacks cb = {0};
	struct bench b;

	bench_init(&b);
	b.s.kernel = (struct vm_blob){b.disks[0], MIB - 100, 4096};
	ck_assert_int_eq(vm_start(b.l, &b.s, &cb, &v, &e), -ENODATA);
	ck_assert_ptr_nonnull(strstr(e.text, "the image ends inside its kernel"));
	bench_done(&b);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("qemu-idle");
	TCase *tc = unit_case(s, "qemu-idle");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, questions);
	tcase_add_test(tc, block_nodes);
	tcase_add_loop_test(tc, all_devices, 0, 2);
	tcase_add_loop_test(tc, jail, 0, _CALLER_MAX);
	tcase_add_test(tc, quit);
	tcase_add_test(tc, killed);
	tcase_add_test(tc, freed);
	tcase_add_test(tc, bad_disks);
	tcase_add_test(tc, cut_image);
	return s;
}
