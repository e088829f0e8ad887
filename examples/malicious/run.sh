#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs each of the malicious builds here and says how it ended; CONTRACTOR names the program.
cd "$(dirname "$0")" || exit 1
for spec in read escape network processor disk log; do
	${CONTRACTOR:-contractor} build --quiet "$@" $spec.yaml
	echo "$spec: exit status $?"
done
