/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manager VM, from a bare kernel to open descriptors: mounts, modules, devices. */
#ifndef CONTRACTOR_FIRMWARE_SETUP_H
#define CONTRACTOR_FIRMWARE_SETUP_H

#include "base/err.h"

/* A word of the kernel's command line: the disks come later. And what the console says by then. */
#define SETUP_WAIT  "contractor.wait"
#define SETUP_WAITS "ready for a build"

/* What the host has attached; all close-on-exec. */
struct devices {
	int port;	     /* the virtio-serial port contractor.manager, non-blocking */
	int dial;	     /* the port contractor.dial, likewise */
	int image, input;    /* disks, read-only */
	int output, scratch; /* disks, read-write */
	int layer;	     /* a disk, read-only; -1 where the kernel was not given
				contractor.layer */
};

/*
 * Makes a root that can be pivoted away from (the kernel's own cannot: the worker's QEMU is shut
 * into a root of its own), and mounts the kernel's file systems. 0 or a negative errno.
 */
int setup_mounts(struct err *e);

/*
 * Loads what /modules/order names; those of KVM only when the kernel was given contractor.kvm. 0 or
 * a negative errno with the module's name.
 */
int setup_modules(struct err *e);

/*
 * Brings up the processors that the kernel was told not to boot with (maxcpus=1, for which
 * src/vm/kernel.h has the reason); after setup_modules, which has the kernel change its own code.
 * 0 or a negative errno.
 */
int setup_processors(struct err *e);

/* Sets the loopback interface up. 0 or a negative errno. */
int setup_loopback(struct err *e);

/* Waits, at most 10 s, until all devices are there and the host listens; opens them. */
int setup_devices(struct devices *ret, struct err *e);

/* Waits, at most 10 s, until the host listens to the port. 0 or -ETIMEDOUT. */
int setup_wait_host(int port, struct err *e);

#endif
