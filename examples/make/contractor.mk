# SPDX-License-Identifier: GPL-3.0-or-later
# Builds in throw-away virtual machines as targets of GNU make.
#
#	include $(shell pkg-config --variable=makefile contractor)
#	$(call contractor-target,hello/ws/src/hello,hello/hello.yaml,hello/hello.c)
#
# makes hello/ws/src/hello, a file in the workspace of hello/hello.yaml, a target that is built by
# `contractor build hello/hello.yaml` when the spec or one of the inputs (the third argument, a list)
# is newer. With make -j each build has its own worker, with as many processors as make has to give.
#
# CONTRACTOR names the program, CONTRACTOR_FLAGS has options for every build.

CONTRACTOR ?= contractor
CONTRACTOR_FLAGS ?=

# The command of a build. The + gives it make's jobserver; make -n would run it for that, so there it
# goes without. The target is as new as its build has ended, whatever the worker's clock says.
contractor-build = $(if $(findstring n,$(firstword -$(MAKEFLAGS))),,+)$(CONTRACTOR) build \
	--jobserver $(CONTRACTOR_FLAGS) $(1) && touch -c $(2) && test -e $(2)

define contractor-rule
$(1): $(2) $(3)
	$$(call contractor-build,$(2),$(1))

endef

contractor-target = $(eval $(call contractor-rule,$(strip $(1)),$(strip $(2)),$(strip $(3))))
