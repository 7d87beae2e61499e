# shellcheck shell=bash
#
# What the mount tests have in common: a working directory that is cleaned up, images, mounts by
# three drivers, unmounts that wait for the daemon, e2fsck, and the count of what held.
#
#	. "$(dirname "$0")/lib.sh"
#	prints_five() { [ "$(echo 5)" = 5 ]; }
#	try "echo prints its argument" prints_five
#	finish
#
# BUILD    the build that is tested (default build): BUILD/bin/extant, BUILD/tools/treecmp, ...
# DRIVER   who serves the mounts under test: extant (default), or fuse2fs or kernel, to learn
#          whether a test asks for the right thing
# QUICK    1: smaller numbers where a script has any
# CI       true: what cannot be tried for want of a tool or a right counts as failed
#
# A test is a function, run in a subshell with `set -e`: the first command that fails ends it. What
# it printed is shown only then.
set -u

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=$(cd "${BUILD:-build}" 2>/dev/null && pwd) || { echo "no build in ${BUILD:-build}"; exit 1; }
DRIVER=${DRIVER:-extant}
QUICK=${QUICK:-}
PATH=$BUILD/bin:$BUILD/tools:$PATH:/usr/sbin:/sbin
export LC_ALL=C

WORK=$(mktemp -d "${TMPDIR:-/tmp}/extant-test.XXXXXX") || exit 1
# shellcheck disable=SC2034 # for the scripts
IMG=$WORK/disk.img
MNT=$WORK/mnt
mkdir "$MNT"
: >"$WORK/daemon.log"
nr_passed=0 nr_failed=0 nr_skipped=0
# Where the sanitizers of a daemon, which has no terminal, leave what they found.
export ASAN_OPTIONS=log_path=$WORK/report.asan
export UBSAN_OPTIONS=log_path=$WORK/report.ubsan:print_stacktrace=1
export TSAN_OPTIONS=log_path=$WORK/report.tsan:halt_on_error=0

# ---- cleaning up ----

mounts_below() { awk -v dir="$1" 'index($5, dir "/") == 1 || $5 == dir { print $5 }' /proc/self/mountinfo; }

# The processes that serve an image, told by the argument itself.
daemons_of()
{
	local file pid
	# shellcheck disable=SC2013 # the names have no blanks
	for file in $(grep -lzFx -e "$1" /proc/[0-9]*/cmdline 2>/dev/null); do
		pid=${file#/proc/}
		pid=${pid%/cmdline}
		case $(cat "/proc/$pid/comm" 2>/dev/null) in
		extant | mount.extant | fuse2fs) echo "$pid" ;;
		esac
	done
}

unmount_all()
{
	local dir image pid
	for dir in $(mounts_below "$WORK" | tac); do
		umount "$dir" 2>/dev/null || fusermount3 -u "$dir" 2>/dev/null || umount -l "$dir" ||
			fusermount3 -uz "$dir"
	done
	for image in "$WORK"/*.img; do
		wait_gone "$image" 20 >/dev/null && continue
		for pid in $(daemons_of "$image"); do
			kill -9 "$pid"
		done
	done
}

clean_up()
{
	cd /
	unmount_all 2>/dev/null
	rm -rf "$WORK"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# ---- counting ----

# try WHAT FUNCTION [ARG...]
try()
{
	local what=$1 status began=$SECONDS
	shift
	(
		set -e
		"$@"
	) >"$WORK/log" 2>&1 </dev/null
	status=$?
	unmount_all >>"$WORK/log" 2>&1
	for report in "$WORK"/report.*; do
		[ -e "$report" ] || continue
		status="$status, with a sanitizer's report"
		cat "$report" >>"$WORK/log"
		rm -f "$report"
	done
	if [ "$status" = 0 ]; then
		nr_passed=$((nr_passed + 1))
	elif [ "$status" = 77 ]; then
		skip "$what" "$(tail -n 1 "$WORK/log")"
	else
		nr_failed=$((nr_failed + 1))
		printf 'FAILED: %s (%s, status %s, %d s)\n' "$what" "${0##*/}" "$status" $((SECONDS - began))
		if [ -s "$WORK/daemon.log" ]; then
			echo "the daemon's last words:"
			grep -v '^trace ' "$WORK/daemon.log" | tail -n 20
			grep '^trace ' "$WORK/daemon.log" | tail -n 20
		fi >>"$WORK/log"
		tail -n 100 "$WORK/log" | cut -c 1-300 | sed 's/^/    /'
	fi
	[ -z "${VERBOSE:-}" ] || printf '%3d s  %s  %s\n' $((SECONDS - began)) "$status" "$what"
	: >"$WORK/daemon.log"
}

# must_fail COMMAND...: to stand alone in a test, where a mere "! COMMAND" would stop nothing.
must_fail()
{
	if "$@"; then
		echo "succeeded: $*"
		return 1
	fi
}

# skip WHAT WHY: for want of a tool or a right, which in CI nobody may want for.
skip()
{
	if [ "${CI:-}" = true ]; then
		nr_failed=$((nr_failed + 1))
		printf 'FAILED: %s: cannot be tried here: %s\n' "$1" "$2"
	else
		nr_skipped=$((nr_skipped + 1))
		printf 'skipped: %s: %s\n' "$1" "$2"
	fi
}

finish()
{
	printf '%d passed, %d failed, %d skipped\n' "$nr_passed" "$nr_failed" "$nr_skipped"
	[ "$nr_failed" -eq 0 ]
	exit
}

# ---- what a script needs before it can begin ----

is_root() { [ "$(id -u)" -eq 0 ]; }

# need_fuse, need_root WHAT: end the script, skipped, where the right is missing.
need_fuse()
{
	[ -r /dev/fuse ] && [ -w /dev/fuse ] && return
	skip "${0##*/}" "/dev/fuse cannot be opened"
	finish
}

need_root()
{
	is_root && return
	skip "${0##*/}" "needs root: $1"
	finish
}

# ---- images ----

# make_image FILE MAKER [ARG...]: FILE, emptied, by MAKER, which is mkfs.extant or mke2fs with options and
# a size in blocks or with a suffix as its last argument.
make_image()
{
	local file=$1 maker=$2 size=${*: -1}
	shift 2
	set -- "${@:1:$#-1}"
	: >"$file"
	"$maker" -q -F "$@" "$file" "$size"
}

fs_type() { if dumpe2fs -h "$1" 2>/dev/null | grep -q has_journal; then echo ext3; else echo ext2; fi; }

# fsck_clean FILE: nothing for e2fsck to say, and marked clean.
fsck_clean()
{
	e2fsck -fn "$1" || return
	dumpe2fs -h "$1" 2>/dev/null | grep -qx 'Filesystem state: *clean'
}

# ---- mounts ----

# The daemon in front, so that its last words are kept: they are shown when a test fails.
extant_in_front()
{
	local pid dir=${*: -1}
	extant -f "$@" >>"$WORK/daemon.log" 2>&1 9>&- &
	pid=$!
	until mountpoint -q "$dir"; do
		kill -0 "$pid" 2>/dev/null || { wait "$pid"; return; }
		sleep 0.02
	done
}

# mount_as DRIVER IMAGE DIR [OPTIONS]
mount_as()
{
	local options=${4:-} shared=default_permissions
	! is_root || shared=$shared,allow_other
	case $1 in
	extant) extant_in_front -o "$shared${options:+,$options}" "$2" "$3" ;;
	fuse2fs) fuse2fs -o "fakeroot,$shared${options:+,$options}" "$2" "$3" ;;
	kernel) mount -t "$(fs_type "$2")" -o "loop${options:+,$options}" "$2" "$3" ;;
	esac || return
	mountpoint -q "$3"
}

# The driver under test, with what lets other users than the mounter in.
mount_it() { mount_as "$DRIVER" "$1" "$2" "${3:-}"; }

# wait_gone IMAGE [TENTHS]: until no daemon serves it and nobody has it locked.
wait_gone()
{
	local left=${2:-1200}
	while [ -n "$(daemons_of "$1")" ] || { [ -e "$1" ] && ! flock -n "$1" true; }; do
		left=$((left - 1))
		if [ "$left" -lt 0 ]; then
			echo "still held: $1 by ${*:-$(daemons_of "$1")}"
			return 1
		fi
		sleep 0.1
	done
}

# unmount DIR IMAGE: returns when the image is at rest.
unmount()
{
	if is_root; then
		umount "$1" || return
	else
		fusermount3 -u "$1" || return
	fi
	wait_gone "$2"
}
