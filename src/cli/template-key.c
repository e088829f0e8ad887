/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a template is made from, input by input. */
#include "template-key.h"

#include <errno.h>
#include <fcntl.h>

#include "base/io.h"
#include "cache-key.h"
#include "job.h"
#include "paths.h"
#include "vm/find.h"
#include "vm/vm.h"

#define INPUTS_MAX  20
#define CPUINFO_MAX (1 * MIB)

struct inputs {
	struct cache_input v[INPUTS_MAX];
	size_t n;
};

static void add(struct inputs *in, const char *name, const void *data, size_t len)
{
	in->v[in->n++] = (struct cache_input){name, data, len};
}

static void add_text(struct inputs *in, const char *name, const char *text)
{
	add(in, name, text, strlen(text));
}

/* The lines that tell one kind of processor from another, of the first one. */
static void read_cpu(struct buf *out)
{
	static const char *const lines[] = {"model name", "stepping", "microcode", "flags",
					    "CPU part"};
	_cleanup_buf_ struct buf all = {0};
	const char *p;

	if (io_read_file(AT_FDCWD, "/proc/cpuinfo", CPUINFO_MAX, &all, NULL) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		p = strstr(buf_str(&all), lines[i]);
		if (p)
			(void)buf_put(out, p, strcspn(p, "\n") + 1);
	}
}

struct programs {
	char qemu[CACHE_IDENTITY_MAX], manager[CACHE_IDENTITY_MAX], image[CACHE_IDENTITY_MAX];
};

static int identify(const struct build *b, struct programs *p, struct err *e)
{
	_cleanup_free_ char *manager = NULL;
	char qemu[PATH_MAX];
	int r = vm_find_qemu(b->manifest->arch, qemu, e);

	if (r == 0)
		r = cache_identity_of(qemu, p->qemu, e);
	if (r == 0)
		r = paths_manager(&manager, e);
	if (r == 0)
		r = cache_identity_of(manager, p->manager, e);
	if (r < 0)
		return r;
	r = cache_identity(b->image_fd, p->image);
	return r < 0 ? err_errno(e, r, "the worker image") : 0;
}

/*
 * In a manager VM the order is in the memory too: its words are part of the key, but for what `go`
 * brings anew and the deadline of a boot that is over. Of the manager VM's image the name is, which
 * is a hash.
 */
static int add_home(const struct build *b, const struct template_worker *w, struct inputs *in,
		    char **ret_order, char **ret_image, struct err *e)
{
	_cleanup_free_ struct net_rule *rules = net_rules_unplaced(w->rules, w->n_rules);
	const struct session_job job = {.template = ORDER_TEMPLATE_SAVE,
					.rules = rules,
					.n_rules = w->n_rules};
	_cleanup_(json_free_p) cJSON *j = NULL;
	struct order o;

	if (!rules)
		return err_oom(e);
	job_order(b, &job, &o);
	o.time_ms = o.cpu_time_ms = o.log = o.boot_ms = 0;
	j = order_to_json(&o);
	*ret_order = j ? json_print(j) : NULL;
	if (asprintf(ret_image, "%s %u %llu", b->manager.path, b->plan.cpus,
		     (unsigned long long)b->plan.memory) < 0)
		*ret_image = NULL;
	if (!*ret_order || !*ret_image)
		return err_oom(e);
	add_text(in, "order", *ret_order);
	add_text(in, "manager-vm", *ret_image);
	return 0;
}

int template_key(const struct build *b, const struct template_worker *w, char ret[SHA256_HEX_SIZE],
		 struct err *e)
{
	const struct spec_limits *l = &b->spec->limits;
	const uint64_t sizes[] = {l->cpus,   l->memory,	     l->disk,
				  l->output, w->n_rules > 0, w->layer >= 0};
	_cleanup_buf_ struct buf cpu = {0}, driver = {0};
	_cleanup_free_ char *order = NULL, *home = NULL;
	struct inputs in = {.n = 0};
	struct programs p;
	char why[256];
	int r = identify(b, &p, e);

	if (r == 0)
		r = disks_read_driver(&driver, e);
	if (r == 0 && b->nested)
		r = add_home(b, w, &in, &order, &home, e);
	if (r < 0)
		return r;
	read_cpu(&cpu);
	add_text(&in, "format", "contractor template 2");
	add_text(&in, "contractor", CONTRACTOR_VERSION);
	add_text(&in, "manager", p.manager);
	add_text(&in, "qemu", p.qemu);
	add_text(&in, "image", b->manifest->sha256);
	add_text(&in, "image-file", p.image);
	add_text(&in, "cmdline", b->manifest->cmdline);
	add_text(&in, "arch", b->manifest->arch);
	add_text(&in, "machine", b->machine);
	add_text(&in, "accelerator",
		 !b->opt.force_tcg &&
				 vm_probe_accel(b->manifest->arch, why, sizeof(why)) == VM_ACCEL_KVM
			 ? "kvm"
			 : "tcg");
	add(&in, "processor", cpu.data, cpu.len);
	add(&in, "sizes", sizes, sizeof(sizes));
	add(&in, "driver", driver.data, driver.len);
	/* not its key: made anew it has the same one, and the memory knows of what was in the old
	 */
	add_text(&in, "layer", w->layer >= 0 ? b->layer.content : "");
	cache_key(in.v, in.n, ret);
	return 0;
}
