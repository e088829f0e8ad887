/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The process that keeps managers waiting. */
/*
 * Each manager VM is booted without disks. A build's are put in when it takes the VM, which from
 * then on is the build's: it is killed when the build's end of the socket closes, and never comes
 * back. Another is booted in its place at once. The VMs die with this process.
 */
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/io.h"

/* What the manager VM's init says then (firmware/manager/setup.h). */
#define READY	     "ready for a build"
#define TICK_MS	     200
#define FAILURES_MAX 3
#define USED_MAX     64

enum state {
	STATE_BOOTING,
	STATE_WAITING,
	STATE_ATTACHING,
	STATE_GIVEN,
};

struct pool;

struct waiting {
	struct pool *pool;
	struct waiting *next;
	struct home *home;
	struct home_ports ports;
	enum state state;
	int answers; /* that are to come of the commands that put disks in */
	struct client *client;
};

struct client {
	struct pool *pool;
	struct client *next;
	struct loop_source *source;
	int fd;
	struct waiting *manager; /* NULL: it has none */
};

struct pool {
	const struct pool_options *o;
	struct loop *loop;
	struct loop_source *listen, *tick;
	int listener, lock;
	struct waiting *managers;
	struct client *clients;
	unsigned failures;
	bool stopping, told;
	uint64_t asked_ms;
	void (*ready)(const char *error, void *user_data);
	void *user_data;
};

static size_t count(const struct pool *p, enum state from, enum state to)
{
	size_t n = 0;

	for (const struct waiting *w = p->managers; w; w = w->next)
		n += w->state >= from && w->state <= to;
	return n;
}

static void tell_ready(struct pool *p, const char *error)
{
	if (p->told)
		return;
	p->told = true;
	p->asked_ms = io_now_ms();
	p->ready(error, p->user_data);
}

static void manager_free(struct waiting *w)
{
	struct waiting **at = &w->pool->managers;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	if (w->client)
		w->client->manager = NULL;
	w->home = home_free(w->home);
	fd_close(&w->ports.control);
	fd_close(&w->ports.dial);
	free(w);
}

static void refill(struct pool *p);

/* A VM that waited or booted is replaced; a build hears of the end of its own. */
static void on_ended(const char *text, void *user_data)
{
	struct waiting *w = user_data;
	struct pool *p = w->pool;
	const struct buf *console = home_console(w->home);

	if (w->client && w->state == STATE_GIVEN) {
		(void)pool_send(w->client->fd, POOL_CONSOLE, buf_str(console), console->len, NULL,
				0);
		(void)pool_send(w->client->fd, POOL_ENDED, text, strlen(text), NULL, 0);
	} else if (w->client) {
		(void)pool_send(w->client->fd, POOL_NONE, text, strlen(text), NULL, 0);
	}
	if (w->state == STATE_BOOTING && ++p->failures >= FAILURES_MAX) {
		tell_ready(p, text);
		loop_quit(p->loop, 0);
	}
	manager_free(w);
	refill(p);
}

static int boot(struct pool *p, struct err *e)
{
	struct waiting *w = calloc(1, sizeof(*w));
	const struct home_callbacks cb = {.ended = on_ended, .user_data = w};
	int r;

	if (!w)
		return err_oom(e);
	w->pool = p;
	w->ports = (struct home_ports){-1, -1};
	r = home_start_waiting(p->loop, &p->o->plan, p->o->image, p->o->image_fd, &cb, &w->home,
			       &w->ports, e);
	if (r < 0) {
		free(w);
		return r;
	}
	w->next = p->managers;
	p->managers = w;
	return 0;
}

/* As many as are to wait; the first that cannot be started ends the pool. */
static void refill(struct pool *p)
{
	struct err e = ERR_INIT;

	while (!p->stopping && count(p, STATE_BOOTING, STATE_WAITING) < p->o->n) {
		if (boot(p, &e) < 0) {
			tell_ready(p, e.text);
			loop_quit(p->loop, 0);
			return;
		}
	}
	(void)loop_timer_set(p->tick, TICK_MS, TICK_MS);
}

static void client_free(struct client *c)
{
	struct client **at = &c->pool->clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	if (c->manager) {
		manager_free(c->manager);
		c->pool->asked_ms = io_now_ms(); /* idle from here on */
	}
	c->source = loop_remove(c->source);
	fd_close(&c->fd);
	free(c);
}

/* The end of a pool that was told to stop, or that nobody has asked for so long. */
static void check_end(struct pool *p)
{
	bool used = count(p, STATE_ATTACHING, STATE_GIVEN) > 0;

	if (!used && (p->stopping || io_now_ms() - p->asked_ms >= p->o->idle_ms))
		loop_quit(p->loop, 0);
}

static void on_tick(struct loop_source *src, void *user_data)
{
	struct pool *p = user_data;

	for (struct waiting *w = p->managers; w; w = w->next) {
		const struct buf *console = home_console(w->home);

		if (w->state == STATE_BOOTING &&
		    memmem(buf_str(console), console->len, READY, strlen(READY))) {
			w->state = STATE_WAITING;
			p->failures = 0;
		}
	}
	if (count(p, STATE_BOOTING, STATE_BOOTING) == 0) {
		tell_ready(p, NULL);
		/* nothing to look for any more but the idle time */
		(void)loop_timer_set(p->tick, 1000, 1000);
	}
	check_end(p);
}

static void given(struct waiting *w)
{
	const int fds[] = {w->ports.control, w->ports.dial};
	char text[64];
	int n = snprintf(text, sizeof(text), "{\"memory\":%llu}",
			 (unsigned long long)w->pool->o->plan.memory);

	w->state = STATE_GIVEN;
	if (pool_send(w->client->fd, POOL_GIVEN, text, (size_t)n, fds, ARRAY_SIZE(fds)) < 0) {
		client_free(w->client);
		return;
	}
	/* from here on they are the build's alone: their end is its end */
	fd_close(&w->ports.control);
	fd_close(&w->ports.dial);
}

static void on_attached(int code, const cJSON *ret, const struct err *e, void *user_data)
{
	struct waiting *w = user_data;

	if (code == -ECANCELED || w->state != STATE_ATTACHING)
		return;
	if (code < 0) {
		(void)pool_send(w->client->fd, POOL_NONE, e->text, strlen(e->text), NULL, 0);
		w->state = STATE_GIVEN; /* of no use to anybody: it ends with its client */
		return;
	}
	if (--w->answers == 0)
		given(w);
}

/* Why this pool's VMs are not what the build's plan asks for; NULL: they are. */
static const char *misfit(const struct pool *p, const cJSON *j)
{
	const struct nested_plan *own = &p->o->plan;
	const char *image = json_str(j, "image");

	if (!image || strcmp(image, p->o->image->path) != 0)
		return "the waiting managers are made from another image";
	if (json_bool_or(j, "kvm", false) != own->kvm ||
	    json_bool_or(j, "worker-kvm", false) != own->worker_kvm)
		return "the waiting managers have another accelerator";
	if (json_u64_or(j, "cpus", UINT64_MAX) > own->cpus)
		return "the waiting managers have fewer processors";
	if (json_u64_or(j, "memory", UINT64_MAX) > own->memory)
		return "the waiting managers have less memory";
	return NULL;
}

static void none(struct client *c, const char *why)
{
	(void)pool_send(c->fd, POOL_NONE, why, strlen(why), NULL, 0);
}

static void take(struct client *c, const cJSON *j, const int fds[HOME_DISKS])
{
	const struct launch_files files = {.image = fds[0],
					   .input = fds[1],
					   .output = fds[2],
					   .scratch = fds[3],
					   .layer = fds[4]};
	struct pool *p = c->pool;
	const char *why = misfit(p, j);
	struct waiting *w = p->managers;
	struct err e = ERR_INIT;

	p->asked_ms = io_now_ms();
	while (w && w->state != STATE_WAITING)
		w = w->next;
	if (!why && !w)
		why = "no manager is ready yet";
	if (!why &&
	    (c->manager || fds[3] < 0 || count(p, STATE_ATTACHING, STATE_GIVEN) >= USED_MAX))
		why = "this cannot be asked of the waiting managers";
	if (why) {
		none(c, why);
		return;
	}
	w->state = STATE_ATTACHING;
	w->client = c;
	c->manager = w;
	if (home_limit(w->home, json_u64_or(j, "cpu-time-ms", 1), json_u64_or(j, "file-size", 1),
		       &e) == 0)
		w->answers = home_attach(w->home, &files, on_attached, w);
	if (w->answers <= 0)
		none(c, e.text[0] ? e.text : "cannot give the manager its disks");
	refill(p);
}

static void tell_status(struct client *c)
{
	const struct pool *p = c->pool;
	_cleanup_(json_free_p) cJSON *j = cJSON_CreateObject();
	_cleanup_free_ char *text = NULL;

	if (!j || json_add_u64(j, "wanted", p->o->n) < 0 ||
	    json_add_u64(j, "booting", count(p, STATE_BOOTING, STATE_BOOTING)) < 0 ||
	    json_add_u64(j, "waiting", count(p, STATE_WAITING, STATE_WAITING)) < 0 ||
	    json_add_u64(j, "in-use", count(p, STATE_ATTACHING, STATE_GIVEN)) < 0 ||
	    json_add_u64(j, "memory", p->o->plan.memory) < 0 ||
	    json_add_u64(j, "cpus", p->o->plan.cpus) < 0 ||
	    json_add_u64(j, "ends-in-ms",
			 p->o->idle_ms - MIN(p->o->idle_ms, io_now_ms() - p->asked_ms)) < 0)
		return;
	text = json_print(j);
	if (text)
		(void)pool_send(c->fd, POOL_INFO, text, strlen(text), NULL, 0);
}

static void close_door(struct pool *p)
{
	p->stopping = true;
	p->listen = loop_remove(p->listen);
	if (p->listener >= 0)
		(void)unlink(p->o->path);
	fd_close(&p->listener);
	fd_close(&p->lock);
}

/* Those that nobody uses end now. */
static void stop(struct pool *p)
{
	struct waiting *next;

	close_door(p);
	for (struct waiting *w = p->managers; w; w = next) {
		next = w->next;
		if (w->state <= STATE_WAITING)
			manager_free(w);
	}
	(void)loop_timer_set(p->tick, TICK_MS, TICK_MS);
}

static void on_client(struct loop_source *src, uint32_t events, void *user_data)
{
	struct client *c = user_data;
	_cleanup_free_ char *data = malloc(POOL_MESSAGE_MAX + 1);
	_cleanup_(json_free_p) cJSON *j = NULL;
	int fds[HOME_DISKS];
	enum pool_word word = 0;
	ssize_t n = data ? pool_receive(c->fd, &word, data, fds, ARRAY_SIZE(fds)) : -ENOMEM;

	if (n == -EAGAIN)
		return;
	if (n < 0) {
		client_free(c);
		return;
	}
	if (word == POOL_TAKE && json_parse(data, (size_t)n, &j, NULL) == 0)
		take(c, j, fds);
	else if (word == POOL_STATUS)
		tell_status(c);
	else if (word == POOL_STOP)
		stop(c->pool);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fd_close(&fds[i]);
}

static void on_listen(struct loop_source *src, uint32_t events, void *user_data)
{
	struct pool *p = user_data;
	_cleanup_close_ int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    peer.uid != geteuid())
		return;
	c = calloc(1, sizeof(*c));
	if (!c)
		return;
	c->pool = p;
	if (loop_add_fd(p->loop, fd, EPOLLIN, on_client, c, &c->source) < 0) {
		free(c);
		return;
	}
	c->fd = take_fd(&fd);
	c->next = p->clients;
	p->clients = c;
}

int pool_serve(int consume_listener, int consume_lock, const struct pool_options *o,
	       void (*ready)(const char *error, void *user_data), void *user_data, struct err *e)
{
	struct pool p = {.o = o,
			 .listener = consume_listener,
			 .lock = consume_lock,
			 .ready = ready,
			 .user_data = user_data,
			 .asked_ms = io_now_ms()};
	int r = loop_new(&p.loop);

	if (r == 0)
		r = loop_add_fd(p.loop, consume_listener, EPOLLIN, on_listen, &p, &p.listen);
	if (r == 0)
		r = loop_add_timer(p.loop, on_tick, &p, &p.tick);
	if (r == 0) {
		refill(&p);
		r = loop_run(p.loop);
	}
	close_door(&p);
	while (p.clients)
		client_free(p.clients);
	while (p.managers)
		manager_free(p.managers);
	(void)loop_remove(p.tick);
	(void)loop_free(p.loop);
	return r < 0 ? err_errno(e, r, "cannot keep managers waiting") : 0;
}
