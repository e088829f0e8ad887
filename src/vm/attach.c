/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Putting a disk into a machine that runs. */
#include <errno.h>
#include <fcntl.h>

#include "vm.h"

static cJSON *device(const struct vm_disk *disk, unsigned slot)
{
	_cleanup_(json_free_p) cJSON *j = cJSON_CreateObject();
	char bus[16], id[32];

	(void)snprintf(bus, sizeof(bus), "slot%u", slot);
	(void)snprintf(id, sizeof(id), "%s-disk", disk->serial);
	if (!j || !cJSON_AddStringToObject(j, "driver", "virtio-blk-pci") ||
	    !cJSON_AddStringToObject(j, "bus", bus) || !cJSON_AddStringToObject(j, "id", id) ||
	    !cJSON_AddStringToObject(j, "drive", disk->serial) ||
	    !cJSON_AddStringToObject(j, "serial", disk->serial) ||
	    !cJSON_AddStringToObject(j, "disable-legacy", "on") ||
	    !cJSON_AddStringToObject(j, "werror", "stop") ||
	    !cJSON_AddStringToObject(j, "rerror", "stop"))
		return NULL;
	return take_ptr(&j);
}

int vm_attach(struct vm *v, const struct vm_disk *disk, unsigned slot, uint64_t deadline_ms,
	      qmp_reply_fn fn, void *user_data)
{
	_cleanup_free_ char *node = vm_disk_node(disk, slot);
	cJSON *set = cJSON_CreateObject(), *block = NULL;
	int fd = fcntl(disk->fd, F_DUPFD_CLOEXEC, 3), r;

	if (fd < 0 || !set || !node || !cJSON_AddNumberToObject(set, "fdset-id", slot) ||
	    json_parse(node, strlen(node), &block, NULL) < 0) {
		fd_close(&fd);
		cJSON_Delete(set);
		return -ENOMEM;
	}
	r = qmp_command_fd(vm_qmp(v), "add-fd", set, fd, deadline_ms, fn, user_data);
	if (r < 0) {
		cJSON_Delete(block);
		return r;
	}
	r = qmp_command(vm_qmp(v), "blockdev-add", block, deadline_ms, fn, user_data);
	if (r < 0)
		return r;
	return qmp_command(vm_qmp(v), "device_add", device(disk, slot), deadline_ms, fn, user_data);
}
