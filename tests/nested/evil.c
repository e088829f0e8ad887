/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A manager that somebody has taken over: in place of contractor-manager in a manager VM. */
/*
 * What it does is the order's "nice" (contractor build --nice N). Descriptors as the real one's: 3
 * the command line, 4 to 7 the disks, 8 the dialer.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/json.h"
#include "net/dial.h"
#include "stand-in.h"

enum mode {
	MODE_PROBE,	  /* tells in the log what it can reach, and ends */
	MODE_GARBAGE,	  /* says what is no frame */
	MODE_TRUNCATED,	  /* ends amid a frame */
	MODE_FLOOD_LOG,	  /* log without end */
	MODE_FLOOD_WORDS, /* messages without end */
	MODE_LIE,	  /* says that it has built */
	MODE_LIE_DISK,	  /* the same, after it has filled the scratch disk */
	MODE_SILENT,	  /* says nothing any more */
	MODE_EXIT,	  /* ends */
	MODE_PANIC,	  /* stops the kernel */
	MODE_PORT,	  /* takes the dialer's port, and says what is no frame there */
	MODE_TERMINAL,	  /* hostile text wherever there is text */
	MODE_MARK,	  /* says whether another was here before, leaves a mark, and waits */
	MODE_PHASES,	  /* tells of a build's phases, for whoever kills in them */
	MODE_BURN,	  /* all the processor time that there is, with no word of it */
};

static void tell(const char *fmt, ...) _printf_(1, 2);
static void tell(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	stand_in_out(PROTO_LOG, text, strlen(text));
}

static const char done[] = "{\"type\":\"end\",\"outcome\":\"done\",\"reason\":\"\",\"exit\":0,"
			   "\"phase\":\"done\",\"at-ms\":1,\"peak\":{}}";

/* The next control message; NULL: the command line is gone. */
static cJSON *hear(void)
{
	static char data[PROTO_HEADER_SIZE + PROTO_PAYLOAD_MAX + 1];
	struct proto_frame f;
	struct err e = ERR_INIT;
	cJSON *j = NULL;
	size_t n = 0;

	while (proto_decode(data, n, &f) <= 0) {
		ssize_t k = read(STAND_IN_CONTROL, data + n,
				 n < PROTO_HEADER_SIZE ? PROTO_HEADER_SIZE - n : 1);

		if (k <= 0)
			return NULL;
		n += (size_t)k;
	}
	data[n] = '\0';
	return json_parse(f.data, f.len, &j, &e) < 0 ? NULL : j;
}

/* Every entry of a folder, with the first line of a file in it. */
static void tell_folder(const char *what, const char *folder, const char *file)
{
	DIR *d = opendir(folder);
	struct dirent *ent;

	while (d && (ent = readdir(d))) {
		_cleanup_buf_ struct buf b = {0};
		char path[512];

		if (ent->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s/%s", folder, ent->d_name, file);
		if (io_read_file(AT_FDCWD, path, 4096, &b, NULL) == 0)
			tell("%s: %.*s\n", what, (int)strcspn(buf_str(&b), "\n"), buf_str(&b));
	}
	if (d)
		(void)closedir(d);
}

static void tell_mounts(void)
{
	_cleanup_buf_ struct buf b = {0};
	char *at, *line;

	if (io_read_file(AT_FDCWD, "/proc/1/mounts", 65536, &b, NULL) < 0)
		return;
	at = b.data;
	while ((line = strsep(&at, "\n")) && *line)
		tell("mount: %s\n", line);
}

static void try_connect(const char *address, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)inet_pton(AF_INET, address, &a.sin_addr);
	errno = 0;
	(void)connect(fd, (struct sockaddr *)&a, sizeof(a));
	tell("connect %s: %s\n", address, errno ? strerror(errno) : "connected");
}

/* By the real dialer's protocol: the host decides. */
static void try_dial(uint32_t id, const char *name, const char *literal, uint16_t port)
{
	struct dial_message m = {.kind = DIAL_KIND_REQUEST,
				 .request = {.id = id,
					     .phase = NET_PHASE_BUILD,
					     .proto = NET_PROTO_TCP,
					     .port = port}};
	uint8_t data[DIAL_MESSAGE_MAX];
	struct pollfd p = {.fd = STAND_IN_DIALER, .events = POLLIN};
	ssize_t n;

	(void)snprintf(m.request.name, sizeof(m.request.name), "%s", name);
	if (literal)
		(void)net_addr_parse(literal, &m.request.addr);
	(void)dial_send(STAND_IN_DIALER, &m, -1);
	(void)poll(&p, 1, 30000);
	n = recv(STAND_IN_DIALER, data, sizeof(data), MSG_DONTWAIT);
	if (n <= 0 || dial_decode(data, (size_t)n, &m) < 0)
		tell("dial %s: no answer\n", literal ? literal : name);
	else
		tell("dial %s: %s\n", literal ? literal : name, dial_code_text(m.reply.code));
}

static void probe_disks(void)
{
	static const struct {
		const char *name;
		int fd;
	} disks[] = {{"image", STAND_IN_IMAGE},
		     {"input", STAND_IN_INPUT},
		     {"output", STAND_IN_OUTPUT},
		     {"scratch", STAND_IN_SCRATCH}};

	tell_folder("disk", "/sys/block", "serial");
	for (size_t i = 0; i < ARRAY_SIZE(disks); i++) {
		char path[64];
		int fd, off = 0;

		/* by its number: what was opened for reading may open for writing */
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", disks[i].fd);
		(void)ioctl(disks[i].fd, BLKROSET, &off);
		fd = open(path, O_RDWR | O_CLOEXEC | O_DIRECT);
		errno = fd < 0 ? errno : 0;
		if (fd >= 0) {
			void *block = aligned_alloc(4096, 4096);

			if (block && pread(fd, block, 4096, 0) == 4096 &&
			    pwrite(fd, block, 4096, 0) < 0)
				errno = errno ? errno : EIO;
			free(block);
			(void)close(fd);
		}
		tell("write %s: %s\n", disks[i].name, errno ? strerror(errno) : "written");
	}
}

static void probe(void)
{
	static const char *const addresses[] = {"10.0.2.2", "192.168.0.1", "169.254.169.254",
						"8.8.8.8", "10.98.0.2"};
	struct if_nameindex *list;
	int outer = open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC);

	tell("processors: %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
	probe_disks();
	tell_mounts();
	tell_folder("pci", "/sys/bus/pci/devices", "class");
	tell_folder("port", "/sys/class/virtio-ports", "name");
	if (setns(outer, CLONE_NEWNET) == 0) {
		list = if_nameindex();
		for (int i = 0; list && list[i].if_index; i++)
			tell("interface: %s\n", list[i].if_name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		try_connect(addresses[i], 22);
	try_dial(1, "evil.example", NULL, 80);
	try_dial(2, "", "127.0.0.1", 22);
	try_dial(3, "", "169.254.169.254", 80);
	try_dial(4, "", "45.12.7.1", 22);
	stand_in_say(done);
}

static void fill(int disk)
{
	enum { BLOCK = 1 << 20 };
	char *block = aligned_alloc(4096, BLOCK);
	off_t at = 0;

	if (!block)
		return;
	memset(block, 0xa5, BLOCK);
	while (pwrite(disk, block, BLOCK, at) == BLOCK)
		at += BLOCK;
	free(block);
	(void)fsync(disk);
}

static void take_port(void)
{
	DIR *d = opendir("/sys/class/virtio-ports");
	struct dirent *ent;

	/* the process that has the port open, and every other */
	for (int pid = 2; pid < 1000; pid++) {
		if (pid != getpid())
			(void)kill(pid, SIGKILL);
	}
	while (d && (ent = readdir(d))) {
		_cleanup_buf_ struct buf b = {0};
		char path[512];
		int fd = -1;

		(void)snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", ent->d_name);
		if (io_read_file(AT_FDCWD, path, 4096, &b, NULL) < 0 ||
		    !strstr(buf_str(&b), "contractor.dial"))
			continue;
		(void)snprintf(path, sizeof(path), "/dev/%s", ent->d_name);
		for (int i = 0; i < 100 && fd < 0; i++) {
			fd = open(path, O_RDWR | O_CLOEXEC);
			(void)poll(NULL, 0, 50);
		}
		(void)io_write_full(fd, "what is no frame at all", 23);
		fd_close(&fd);
	}
	if (d)
		(void)closedir(d);
	for (;;)
		(void)pause();
}

static void hostile_text(void)
{
	stand_in_say("{\"type\":\"accelerator\",\"name\":\"\\u001b[31mk\",\"why\":\"\\u001b]0;"
		     "x\\u0007\"}");
	stand_in_say("{\"type\":\"phase\",\"name\":\"\\u001b[2J\",\"at-ms\":1}");
	stand_in_say(
		"{\"type\":\"denied\",\"id\":0,\"reason\":\"\\u001b[1mr\\nx\",\"remedy\":\"\\u001b["
		"mr\","
		"\"host\":\"\\u001b[H\",\"port\":1e300,\"count\":-1}");
	tell("\x1b]0;title\x07\x1b[2J\n");
	stand_in_say("{\"type\":\"end\",\"outcome\":\"broken\",\"reason\":\"\\u001b[31mred\\n\"}");
}

static void leave_mark(void)
{
	tell("marked: %s\n", access("/run/mark", F_OK) == 0 ? "yes" : "no");
	(void)close(open("/run/mark", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	(void)poll(NULL, 0, 3000);
	stand_in_say(done);
}

static void phase(const char *name)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "{\"type\":\"phase\",\"name\":\"%s\",\"at-ms\":1}",
		       name);
	stand_in_say(text);
}

static void pass_phases(void)
{
	phase("boot");
	(void)poll(NULL, 0, 3000);
	phase("build");
	tell("begun\n");
	(void)poll(NULL, 0, 5000);
	phase("copy-out");
	tell("ended\n");
	fill(STAND_IN_OUTPUT);
	(void)poll(NULL, 0, 60000);
}

static void burn(void)
{
	for (int i = 0; i < 4; i++) {
		if (fork() == 0) {
			for (;;)
				;
		}
	}
	for (;;) {
		stand_in_say("{\"type\":\"sample\",\"at-ms\":1}");
		(void)poll(NULL, 0, 1000);
	}
}

static void panic(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	(void)io_write_full(fd, "c", 1);
}

static void flood(enum proto_type type)
{
	static char line[] = "{\"type\":\"sample\",\"at-ms\":1}";

	for (;;)
		stand_in_out(type, line, sizeof(line) - 1);
}

static void act(enum mode mode)
{
	static char junk[100000];

	switch (mode) {
	case MODE_PROBE:
		probe();
		return;
	case MODE_GARBAGE:
		memset(junk, 0xff, sizeof(junk));
		(void)io_write_full(STAND_IN_CONTROL, junk, sizeof(junk));
		return;
	case MODE_TRUNCATED:
		(void)io_write_full(STAND_IN_CONTROL, "\0\0\1\0\1\0\0\0{\"type\":", 16);
		return;
	case MODE_FLOOD_LOG:
		flood(PROTO_LOG);
		return;
	case MODE_FLOOD_WORDS:
		flood(PROTO_CONTROL);
		return;
	case MODE_LIE_DISK:
		fill(STAND_IN_SCRATCH);
		stand_in_say(done);
		return;
	case MODE_LIE:
		stand_in_say(done);
		return;
	case MODE_SILENT:
		for (;;)
			(void)pause();
	case MODE_EXIT:
		_exit(7);
	case MODE_PANIC:
		panic();
		return;
	case MODE_PORT:
		take_port();
		return;
	case MODE_TERMINAL:
		hostile_text();
		return;
	case MODE_MARK:
		leave_mark();
		return;
	case MODE_PHASES:
		pass_phases();
		return;
	case MODE_BURN:
		burn();
		return;
	}
}

int main(void)
{
	cJSON *order;

	(void)signal(SIGPIPE, SIG_IGN);
	stand_in_say("{\"type\":\"hello\",\"version\":1,\"program\":\"evil\"}");
	order = hear();
	act((enum mode)json_u64_or(order, "nice", MODE_EXIT));
	cJSON_Delete(order);
	/* the command line has the word */
	(void)poll(NULL, 0, 2000);
	return 0;
}
