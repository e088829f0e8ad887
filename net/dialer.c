/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The dialer's work: decide, resolve, decide again, connect, hand a stand-in over. */
#include "dialer.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/fds.h"
#include "base/io.h"
#include "outlet.h"
#include "own.h"
#include "passage.h"

#define TICK_MS	      50
#define REQUEST_BATCH 64

enum job_state {
	JOB_RESOLVING,
	JOB_CONNECTING,
	JOB_REPLYING, /* the reply waits for room in the socket */
};

struct attempt {
	struct job *job;
	size_t index; /* of the address */
	int fd;
	struct loop_source *source;
};

/* One request on its way. */
struct job {
	struct dialer *dialer;
	struct job *next, *prev;
	enum job_state state;
	struct dial_request request;
	uint64_t deadline, next_attempt;
	struct net_addr addrs[DIALER_ATTEMPTS_MAX];
	size_t n_addrs, tried, running;
	struct attempt attempts[DIALER_ATTEMPTS_MAX];
	struct dial_reply reply;
	struct passage *passage; /* with the worker's end, or NULL: one is handed over */
	int fd;			 /* to hand over */
};

struct dialer {
	const struct dialer_config *config;
	struct loop *loop;
	struct loop_source *source, *timer;
	struct resolver *resolver;
	struct net_own *own;
	struct outlets *outlets;
	struct passages passages;
	int fd;
	uint64_t connect_ms;
	bool build_seen, ticking;
	struct job *jobs;
	size_t n_jobs, n_replying;
};

/* Reads requests while there is room for them, waits for room to reply when there is none. */
static void update_events(struct dialer *d)
{
	uint32_t in = d->n_jobs < DIALER_DIALS_MAX && d->n_replying == 0 ? EPOLLIN : 0;

	(void)loop_fd_events(d->source, in | (d->n_replying > 0 ? EPOLLOUT : 0));
	if (d->n_jobs > 0 && !d->ticking)
		d->ticking = loop_timer_set(d->timer, TICK_MS, TICK_MS) == 0;
}

static void attempt_end(struct attempt *a)
{
	if (!a->source)
		return;
	a->source = loop_remove(a->source);
	fd_close(&a->fd);
	a->job->running--;
}

static void job_free(struct job *j)
{
	struct dialer *d = j->dialer;

	for (size_t i = 0; i < j->tried; i++)
		attempt_end(&j->attempts[i]);
	(void)passage_free(j->passage);
	fd_close(&j->fd);
	if (j->state == JOB_REPLYING)
		d->n_replying--;
	if (j->prev)
		j->prev->next = j->next;
	else
		d->jobs = j->next;
	if (j->next)
		j->next->prev = j->prev;
	d->n_jobs--;
	free(j);
}

/* Sends the reply and its descriptor. 0, -EAGAIN, or another negative errno: nobody listens. */
static int send_reply(struct dialer *d, const struct dial_reply *reply, int fd)
{
	struct dial_message m = {.kind = DIAL_KIND_REPLY, .reply = *reply};

	return dial_send(d->fd, &m, fd);
}

/* Ends the job with its reply, now or when there is room. Frees it, or keeps it to reply. */
static void job_reply(struct job *j)
{
	struct dialer *d = j->dialer;

	for (size_t i = 0; i < j->tried; i++)
		attempt_end(&j->attempts[i]);
	j->passage = passage_free(j->passage);
	if (send_reply(d, &j->reply, j->fd) == -EAGAIN) {
		j->state = JOB_REPLYING;
		d->n_replying++;
		return;
	}
	job_free(j); /* an error other than that means that the other end is gone */
}

static void job_fail(struct job *j, enum dial_code code, int error)
{
	j->reply.code = code;
	j->reply.error = error;
	job_reply(j);
}

static enum dial_code code_of(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case ECONNRESET:
		return DIAL_REFUSED;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
	case EACCES:
	case EPERM:
		return DIAL_UNREACHABLE;
	case ETIMEDOUT:
		return DIAL_TIMEOUT;
	default:
		return DIAL_ERROR;
	}
}

/* Of what could not be had here, in the dialer. */
static enum dial_code code_of_local(int r)
{
	return r == -EBUSY || r == -EMFILE ? DIAL_BUSY : DIAL_ERROR;
}

/* Of several failures the one that came nearest to the host is told. */
static void note_failure(struct job *j, const struct net_addr *a, int error)
{
	static const uint8_t weight[_DIAL_CODE_MAX] = {
		[DIAL_REFUSED] = 4, [DIAL_TIMEOUT] = 3, [DIAL_UNREACHABLE] = 2, [DIAL_ERROR] = 1};
	enum dial_code code = code_of(error);

	if (weight[code] <= weight[j->reply.code])
		return;
	j->reply.code = code;
	j->reply.error = error;
	j->reply.has_addr = true;
	j->reply.addr = *a;
}

static void job_connected(struct job *j, const struct net_addr *a, int consume_fd)
{
	int r;

	j->reply.code = DIAL_OK;
	j->reply.error = 0;
	j->reply.has_addr = true;
	j->reply.addr = *a;
	if (j->passage) {
		passage_open(take_ptr(&j->passage), &j->reply, consume_fd);
		job_free(j);
		return;
	}
	r = outlet_add(j->dialer->outlets, j->request.proto == NET_PROTO_UDP, consume_fd, &j->fd);
	if (r < 0)
		job_fail(j, code_of_local(r), -r);
	else
		job_reply(j);
}

static void job_continue(struct job *j);

static void on_attempt(struct loop_source *s, uint32_t events, void *user_data)
{
	struct attempt *a = user_data;
	struct job *j = a->job;
	struct dialer *d = j->dialer;
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error == 0) {
		a->source = loop_remove(a->source);
		j->running--;
		job_connected(j, &j->addrs[a->index], take_fd(&a->fd));
	} else {
		note_failure(j, &j->addrs[a->index], error);
		attempt_end(a);
		job_continue(j);
	}
	update_events(d);
}

/* 1: connected and replied (the job is gone), 0: under way, or a positive errno negated. */
static int job_attempt(struct job *j, size_t index)
{
	struct attempt *a = &j->attempts[index];
	struct sockaddr_storage ss;
	socklen_t len = net_addr_to_sockaddr(&j->addrs[index], j->request.port, &ss);
	bool udp = j->request.proto == NET_PROTO_UDP;
	_cleanup_close_ int fd =
		socket(ss.ss_family,
		       (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	*a = (struct attempt){.job = j, .index = index, .fd = -1};
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&ss, len) == 0) {
		job_connected(j, &j->addrs[index], take_fd(&fd));
		return 1;
	}
	if (errno != EINPROGRESS)
		return -errno;
	r = loop_add_fd(j->dialer->loop, fd, EPOLLOUT, on_attempt, a, &a->source);
	if (r < 0)
		return r;
	a->fd = take_fd(&fd);
	j->running++;
	return 0;
}

/* Starts the next address if it is time or nothing runs; ends the job when none is left. */
static void job_continue(struct job *j)
{
	while (j->tried < j->n_addrs && (j->running == 0 || j->next_attempt <= io_now_ms())) {
		size_t index = j->tried++;
		int r = job_attempt(j, index);

		if (r == 1)
			return;
		j->next_attempt = io_now_ms() + DIALER_STAGGER_MS;
		if (r < 0)
			note_failure(j, &j->addrs[index], -r);
	}
	if (j->running == 0 && j->tried == j->n_addrs)
		job_reply(j);
}

static struct net_decision decide(struct job *j, const struct net_addr *addr)
{
	const struct dial_request *rq = &j->request;
	struct net_query q = {.phase = rq->phase,
			      .name = rq->name[0] ? rq->name : NULL,
			      .addr = addr,
			      .port = rq->port,
			      .proto = rq->proto};

	if (addr)
		q.own = net_own_check(j->dialer->own, addr);
	return net_decide(j->dialer->config->rules, j->dialer->config->n_rules, &q);
}

/* Keeps the addresses that the rules allow, and connects to them. */
static void job_addresses(struct job *j, const struct net_addr *addrs, size_t n)
{
	for (size_t i = 0; i < n && j->n_addrs < DIALER_ATTEMPTS_MAX; i++) {
		struct net_decision d = decide(j, &addrs[i]);

		if (d.reason == NET_ALLOWED) {
			j->addrs[j->n_addrs++] = net_addr_unmap(&addrs[i]);
		} else if (j->reply.decision.reason == NET_ALLOWED) {
			j->reply.decision = d;
			j->reply.has_addr = j->request.name[0] != '\0';
			j->reply.addr = addrs[i];
		}
	}
	if (j->n_addrs == 0) {
		job_fail(j, DIAL_DENIED, 0);
		return;
	}
	j->reply.decision = (struct net_decision){.rule = -1};
	j->reply.has_addr = false;
	j->reply.addr = (struct net_addr){0};
	j->state = JOB_CONNECTING;
	job_continue(j);
}

static void on_resolved(const char *name, const struct resolver_answer *a, void *user_data)
{
	struct dialer *d = user_data;
	struct job *next;

	for (struct job *j = d->jobs; j; j = next) {
		next = j->next;
		if (j->state != JOB_RESOLVING || strcmp(j->request.name, name) != 0)
			continue;
		if (a->code == DIAL_OK)
			job_addresses(j, a->addrs, a->n);
		else
			job_fail(j, a->code, 0);
	}
	update_events(d);
}

/* Decides about it, and resolves or connects. */
static void job_begin(struct job *j)
{
	const struct dial_request *rq = &j->request;
	struct dialer *d = j->dialer;
	const struct resolver_answer *a;
	int r;

	if (rq->phase == NET_PHASE_BUILD)
		d->build_seen = true;
	if (rq->phase == NET_PHASE_PREPARE && d->build_seen)
		j->reply.decision = (struct net_decision){.reason = NET_DENIED_PHASE, .rule = -1};
	else if (rq->name[0])
		j->reply.decision = decide(j, NULL);
	if (j->reply.decision.reason != NET_ALLOWED) {
		job_fail(j, DIAL_DENIED, 0);
		return;
	}
	if (!rq->name[0]) {
		job_addresses(j, &rq->addr, 1);
		return;
	}
	r = resolver_ask(d->resolver, rq->name, &a);
	if (r < 0)
		job_fail(j, DIAL_BUSY, 0);
	else if (r > 0 && a->code == DIAL_OK)
		job_addresses(j, a->addrs, a->n);
	else if (r > 0)
		job_fail(j, a->code, 0);
}

/* If bytes are to be passed on here, consume_fd is the worker's end. */
static void job_start(struct dialer *d, const struct dial_request *rq, bool pass, int consume_fd)
{
	_cleanup_close_ int fd = consume_fd;
	struct job *j = calloc(1, sizeof(*j));
	struct dial_reply busy = {.id = rq->id, .code = DIAL_BUSY, .error = ENOMEM};
	int r = 0;

	if (!j) {
		(void)send_reply(d, &busy, -1);
		return;
	}
	*j = (struct job){.dialer = d, .next = d->jobs, .request = *rq, .fd = -1};
	j->deadline = io_now_ms() + d->connect_ms;
	j->reply = (struct dial_reply){.id = rq->id, .decision.rule = -1};
	if (d->jobs)
		d->jobs->prev = j;
	d->jobs = j;
	d->n_jobs++;
	if (pass && fd < 0)
		r = -EMFILE; /* none was free when it came: MSG_CTRUNC */
	else if (pass)
		r = passage_new(&d->passages, rq->id, take_fd(&fd), j, &j->passage);
	if (r < 0)
		job_fail(j, code_of_local(r), -r);
	else
		job_begin(j);
}

static void job_cancel(struct dialer *d, uint32_t id)
{
	if (passages_cancel(&d->passages, id))
		return;
	for (struct job *j = d->jobs; j; j = j->next) {
		if (j->request.id == id && j->state != JOB_REPLYING) {
			job_fail(j, DIAL_CANCELLED, 0);
			return;
		}
	}
}

/* The worker does not wait any longer. */
static void on_hung_up(void *owner)
{
	struct job *j = owner;
	struct dialer *d = j->dialer;

	job_fail(j, DIAL_CANCELLED, 0);
	update_events(d);
}

static void flush_replies(struct dialer *d)
{
	struct job *next;

	for (struct job *j = d->jobs; j && d->n_replying > 0; j = next) {
		next = j->next;
		if (j->state != JOB_REPLYING)
			continue;
		if (send_reply(d, &j->reply, j->fd) == -EAGAIN)
			return;
		job_free(j);
	}
}

/* 1: a message was dealt with, 0: none is there, or a negative errno: serve no more. */
static int receive(struct dialer *d)
{
	uint8_t data[DIAL_MESSAGE_MAX + 1];
	struct iovec iov = {data, sizeof(data)};
	_cleanup_close_ int fd = -1;
	struct dial_message m;
	ssize_t n = fds_receive(d->fd, &iov, 1, &fd, 1, MSG_DONTWAIT);

	if (n < 0)
		return n == -EAGAIN || n == -EINTR ? 0 : (int)n;
	if (n == 0)
		return -EPIPE;
	if (dial_decode(data, (size_t)n, &m) < 0)
		return -EBADMSG;
	switch (m.kind) {
	case DIAL_KIND_REQUEST:
	case DIAL_KIND_PASS:
		job_start(d, &m.request, m.kind == DIAL_KIND_PASS, take_fd(&fd));
		return 1;
	case DIAL_KIND_CANCEL:
		job_cancel(d, m.request.id);
		return 1;
	case DIAL_KIND_REPLY:
	case DIAL_KIND_OFFER:
	case DIAL_KIND_PASSED:
		break;
	}
	return -EBADMSG;
}

static void on_socket(struct loop_source *s, uint32_t events, void *user_data)
{
	struct dialer *d = user_data;
	int r = 1;

	if (events & EPOLLOUT)
		flush_replies(d);
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		update_events(d);
		return;
	}
	for (int i = 0; i < REQUEST_BATCH && r > 0; i++) {
		if (d->n_jobs >= DIALER_DIALS_MAX && !(events & EPOLLHUP))
			break;
		r = receive(d);
	}
	if (r < 0)
		loop_quit(d->loop, r == -EPIPE || r == -ECONNRESET ? 0 : -r);
	else
		update_events(d);
}

static void on_timer(struct loop_source *s, void *user_data)
{
	struct dialer *d = user_data;
	uint64_t now = io_now_ms();
	struct job *next;

	flush_replies(d);
	for (struct job *j = d->jobs; j; j = next) {
		next = j->next;
		if (j->state == JOB_REPLYING)
			continue;
		if (j->deadline <= now)
			job_fail(j, j->state == JOB_RESOLVING ? DIAL_NO_RESOLVER : DIAL_TIMEOUT,
				 ETIMEDOUT);
		else if (j->state == JOB_CONNECTING && j->next_attempt <= now)
			job_continue(j);
	}
	update_events(d);
	/* not as soon as the last job is done: most are done within a tick, one after the other */
	if (d->n_jobs == 0)
		d->ticking = loop_timer_set(d->timer, UINT64_MAX, 0) < 0;
}

static int dialer_start(struct dialer *d, struct err *e)
{
	const struct dial_message offer = {.kind = DIAL_KIND_OFFER};
	const struct dialer_config *c = d->config;
	int r = loop_new(&d->loop);

	if (r == 0) {
		d->outlets = calloc(1, sizeof(*d->outlets));
		r = d->outlets ? io_set_nonblock(d->fd, 1) : -ENOMEM;
	}
	if (r == 0) {
		d->outlets->loop = d->loop;
		meter_init(&d->outlets->copier.meter, 0, 0, io_now_ms());
		d->passages = (struct passages){.loop = d->loop,
						.copier = &d->outlets->copier,
						.fd = d->fd,
						.hung_up = on_hung_up};
		r = passages_init(&d->passages);
	}
	if (r == 0)
		r = loop_add_fd(d->loop, d->fd, EPOLLIN, on_socket, d, &d->source);
	if (r == 0)
		r = loop_add_timer(d->loop, on_timer, d, &d->timer);
	if (r < 0)
		return err_errno(e, r, "cannot start the dialer");
	(void)dial_send(d->fd, &offer, -1); /* whoever has ended meanwhile needs none */
	r = net_own_new(&d->own, e);
	if (r < 0)
		return r;
	return resolver_new(d->loop, c->resolve, c->resolve_data,
			    c->resolve_ms ? c->resolve_ms : 10000, on_resolved, d, &d->resolver, e);
}

int dialer_run(int fd, const struct dialer_config *c, struct err *e)
{
	struct dialer d = {.config = c,
			   .fd = fd,
			   .connect_ms = c->connect_ms ? c->connect_ms : 20000};
	struct rlimit rl;
	int r;

	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)signal(SIGPIPE, SIG_IGN); /* splice knows no MSG_NOSIGNAL */
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	r = dialer_start(&d, e);
	if (r == 0) {
		r = loop_run(d.loop);
		if (r > 0)
			r = err_errno(e, -r, "the dialer's socket");
		else if (r < 0)
			(void)err_errno(e, r, "the dialer's loop");
	}
	while (d.jobs)
		job_free(d.jobs);
	passages_done(&d.passages);
	if (d.outlets)
		outlets_done(d.outlets);
	free(d.outlets);
	(void)resolver_free(d.resolver);
	(void)net_own_free(d.own);
	(void)loop_free(d.loop);
	return r;
}
