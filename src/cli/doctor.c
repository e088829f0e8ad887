/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What each thing found, or not found, means; and the two forms in which it is told. */
#include "doctor.h"

#include <errno.h>
#include <stdarg.h>

#include "base/json.h"
#include "base/num.h"

/* A build's disks are sparse files: below this even a small one is in danger. */
#define DISK_LOW (2 * GIB)
#define DISK_MIN (256 * MIB)
/* A worker has 2 GiB unless its spec says otherwise, which it touches as it needs. */
#define MEMORY_LOW (3 * GIB)
#define MEMORY_MIN (512 * MIB)
/* mmdebstrap maps a whole 16-bit range */
#define SUBIDS_MIN 65536

static _printf_(4, 5) void add(struct doctor_report *r, const char *name, enum doctor_state state,
			       const char *fmt, ...)
{
	struct doctor_line *l = &r->lines[r->n++];
	va_list ap;

	l->name = name;
	l->state = state;
	va_start(ap, fmt);
	(void)vsnprintf(l->text, sizeof(l->text), fmt, ap);
	va_end(ap);
	if (state == DOCTOR_FAIL)
		r->can_build = false;
}

static void judge_cpu(const struct doctor_facts *f, struct doctor_report *r)
{
	const struct isolation_facts *i = &f->isolation;

	if (f->qemu[0])
		add(r, "qemu", DOCTOR_OK, "%s: %s", f->qemu, f->qemu_version);
	else
		add(r, "qemu", DOCTOR_FAIL, "%s", f->qemu_why);
	if (i->kvm)
		add(r, "kvm", DOCTOR_OK, "/dev/kvm can be used");
	else
		add(r, "kvm", DOCTOR_NOTE, "workers are emulated, many times slower: %s",
		    i->kvm_why);
	if (!i->kvm)
		add(r, "nested", DOCTOR_NOTE, "no KVM, so no nested virtualisation");
	else if (i->nested)
		add(r, "nested", DOCTOR_OK, "KVM offers nested virtualisation");
	else
		add(r, "nested", DOCTOR_NOTE,
		    "KVM offers no nested virtualisation; load kvm_intel or kvm_amd with nested=1");
}

static void judge_sandbox(const struct doctor_facts *f, struct doctor_report *r)
{
	if (f->userns)
		add(r, "namespaces", DOCTOR_OK, "user namespaces can be made");
	else
		add(r, "namespaces", DOCTOR_FAIL,
		    "no user namespace for this user: %s; see user.max_user_namespaces, "
		    "kernel.unprivileged_userns_clone and AppArmor",
		    f->userns_why);
	if (f->tun)
		add(r, "tun", DOCTOR_OK, "/dev/net/tun gives taps inside a namespace");
	else
		add(r, "tun", DOCTOR_NOTE,
		    "builds with network rules will not run: %s; /dev/net/tun should have mode "
		    "0666",
		    f->tun_why);
	if (f->cgroup[0])
		add(r, "cgroup", DOCTOR_OK, "cgroup v2 delegates %s", f->cgroup);
	else
		add(r, "cgroup", DOCTOR_NOTE,
		    "no cgroup v2 is delegated to this user; limits hold without it");
}

static void judge_room(const struct doctor_facts *f, struct doctor_report *r)
{
	char text[NUM_TEXT_MAX];

	(void)format_size(f->cache_free, text);
	if (f->cache_free < DISK_MIN)
		add(r, "disk", DOCTOR_FAIL, "%s: only %s free", f->cache, text);
	else
		add(r, "disk", f->cache_free < DISK_LOW ? DOCTOR_NOTE : DOCTOR_OK, "%s: %s free",
		    f->cache, text);
	(void)format_size(f->memory, text);
	if (f->memory < MEMORY_MIN)
		add(r, "memory", DOCTOR_FAIL, "only %s can be had", text);
	else
		add(r, "memory", f->memory < MEMORY_LOW ? DOCTOR_NOTE : DOCTOR_OK,
		    "%s can be had%s", text,
		    f->memory < MEMORY_LOW ? "; set limits: memory in the spec below that" : "");
}

static void judge_tools(const struct doctor_facts *f, struct doctor_report *r)
{
	if (f->mke2fs)
		add(r, "mke2fs", DOCTOR_OK, "is installed");
	else
		add(r, "mke2fs", DOCTOR_FAIL,
		    "is not installed, and every build's disk is made with it; install e2fsprogs");
	if (f->mmdebstrap)
		add(r, "mmdebstrap", DOCTOR_OK, "is installed");
	else
		add(r, "mmdebstrap", DOCTOR_NOTE,
		    "is not installed: contractor image build needs it");
	if (f->root)
		add(r, "subuid", DOCTOR_OK, "root needs none");
	else if (f->subuids >= SUBIDS_MIN && f->subgids >= SUBIDS_MIN && f->id_tools)
		add(r, "subuid", DOCTOR_OK, "%llu subordinate user and %llu group ids",
		    (unsigned long long)f->subuids, (unsigned long long)f->subgids);
	else
		add(r, "subuid", DOCTOR_NOTE,
		    "contractor image build will not run as this user: %s",
		    f->id_tools ? "it has no 65536 subordinate ids; see usermod --add-subuids"
				: "newuidmap is missing; install uidmap");
	if (f->apt)
		add(r, "apt", DOCTOR_OK, "can fetch the manager VM's kernel");
	else
		add(r, "apt", DOCTOR_NOTE,
		    "is missing: contractor manager build needs --kernel and --modules");
}

void doctor_judge(const struct doctor_facts *f, struct doctor_report *ret)
{
	*ret = (struct doctor_report){.can_build = true};
	judge_cpu(f, ret);
	judge_sandbox(f, ret);
	judge_room(f, ret);
	judge_tools(f, ret);
	ret->isolation = isolation_choose(SPEC_ISOLATION_AUTO, &f->isolation, ret->isolation_why,
					  sizeof(ret->isolation_why));
}

static const char *state_name(enum doctor_state s)
{
	switch (s) {
	case DOCTOR_OK:
		return "ok";
	case DOCTOR_NOTE:
		return "note";
	case DOCTOR_FAIL:
		return "fail";
	case _DOCTOR_STATE_MAX:
		break;
	}
	return "?";
}

int doctor_print_text(const struct doctor_report *r, struct buf *out)
{
	int n = 0;

	for (size_t i = 0; i < r->n && n == 0; i++)
		n = buf_printf(out, "%-5s %-11s %s\n", state_name(r->lines[i].state),
			       r->lines[i].name, r->lines[i].text);
	if (n == 0)
		n = buf_printf(out, "isolation: auto takes %s: %s\n",
			       spec_isolation_name(r->isolation), r->isolation_why);
	if (n == 0)
		n = buf_puts(out, r->can_build ? "Builds can run here.\n"
					       : "No build can run here; see the lines that begin "
						 "with fail.\n");
	return n;
}

int doctor_print_json(const struct doctor_report *r, struct buf *out)
{
	_cleanup_(json_free_p) cJSON *j = cJSON_CreateObject();
	cJSON *o = j ? cJSON_AddObjectToObject(j, "isolation") : NULL;
	cJSON *list = o ? cJSON_AddArrayToObject(j, "checks") : NULL;
	_cleanup_free_ char *text = NULL;

	if (!list || !cJSON_AddBoolToObject(j, "can-build", r->can_build) ||
	    !cJSON_AddStringToObject(o, "auto", spec_isolation_name(r->isolation)) ||
	    !cJSON_AddStringToObject(o, "why", r->isolation_why))
		return -ENOMEM;
	for (size_t i = 0; i < r->n; i++) {
		cJSON *v = cJSON_CreateObject();

		if (!v || !cJSON_AddItemToArray(list, v)) {
			cJSON_Delete(v);
			return -ENOMEM;
		}
		if (!cJSON_AddStringToObject(v, "name", r->lines[i].name) ||
		    !cJSON_AddStringToObject(v, "state", state_name(r->lines[i].state)) ||
		    !cJSON_AddStringToObject(v, "text", r->lines[i].text))
			return -ENOMEM;
	}
	text = json_print_pretty(j);
	return text ? buf_puts(out, text) : -ENOMEM;
}
