#!/usr/bin/env bash
# random.sh with fields set to the edge of what is possible, and behind it: no seed here is one of the differences of
# FSCK.md section 5.
#
#	fields.sh [FROM [TO]]      default 3101 3220
MODE=fields exec bash "$(dirname "${BASH_SOURCE[0]}")/random.sh" "${1:-3101}" "${2:-3220}"
