/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guest's end of a manager VM's connections: a dialer to the manager beside it. */
#ifndef CONTRACTOR_NET_MUX_GUEST_H
#define CONTRACTOR_NET_MUX_GUEST_H

#include "mux.h"

/*
 * Serves `dialer` (SOCK_SEQPACKET) as dialer_run does, by asking the host through the port; both
 * are borrowed. The sockets that it hands over are pairs of this machine: TCP over loopback, which
 * must be up, since no other pair can be reset; and SOCK_SEQPACKET for datagrams. Until one of the
 * two is closed: 0, or a negative errno.
 */
int mux_guest_run(int port, int dialer, struct err *e);

#endif
