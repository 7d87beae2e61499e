#!/usr/bin/env bash
# Journals that the kernel and debugfs left, recovered; and ours, read by debugfs.
exec "$(dirname "$0")/../crash/foreign.sh"
