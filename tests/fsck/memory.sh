#!/usr/bin/env bash
# How much memory fsck.extant takes of images that ask for as much as they can (tests/tools/hostile.c): no more than
# 64 MiB, 4 bits a block and 16 bytes an inode, and it comes to an end.
#
#	memory.sh [KIND...]        default all
#
# FULL=1 makes them ten times as large, and takes minutes.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=$(cd "${BUILD:-build}" && pwd) || exit 1
FSCK=${FSCK:-$BUILD/bin/fsck.extant}
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
BASE_DIR=${TMPDIR:-/tmp}
[ -w /dev/shm ] && BASE_DIR=/dev/shm
WORK=$(mktemp -d "$BASE_DIR/extant-fsck.XXXXXX") || exit 1
trap 'rm -rf "$WORK"' EXIT

command -v mke2fs >/dev/null || { echo "no mke2fs here"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
# A sanitizer's own memory is not what is measured.
if nm "$FSCK" 2>/dev/null | grep -q '__asan_init\|__tsan_init'; then
	echo "built with a sanitizer"; echo "0 passed, 0 failed, 1 skipped"; exit 0
fi

FULL=${FULL:-0}
passed=0 failed=0

# Inodes, size in blocks and size of a block of each kind: as many as are done in seconds.
shape_of()
{
	case $1 in
	shared | dirs | trees) echo "$((FULL ? 1000000 : 100000)) $((FULL ? 400000 : 60000)) 1024" ;;
	lost) echo "$((FULL ? 1000000 : 200000)) $((FULL ? 1600000 : 400000)) 1024" ;;
	attrs) echo "$((FULL ? 500000 : 50000)) $((FULL ? 1000000 : 100000)) 1024" ;;
	deep | loops) echo "60000 150000 1024" ;;
	names) echo "2000 30000 1024" ;;
	*) echo "2000 200000 1024" ;;
	esac
}

try()
{
	local kind=$1 mode=$2 inodes blocks size bound
	read -r inodes blocks size < <(shape_of "$kind")
	bound=$((64 * 1024 + (blocks / 2 + inodes * 16) / 1024))
	cp --sparse=always "$WORK/$kind" "$WORK/img"
	if "$BUILD/tools/peak" "$bound" timeout 300 "$FSCK" "$mode" "$WORK/img" >"$WORK/out" 2>"$WORK/err" &&
		! tail -1 "$WORK/err" | grep -q 'status 124$'; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED $kind $mode"
	fi
	echo "$kind $mode: $(tail -1 "$WORK/err")"
}

[ $# -gt 0 ] || set -- shared dirs trees lost names deep loops wide large attrs
for kind in "$@"; do
	read -r inodes blocks size < <(shape_of "$kind")
	mke2fs -q -F -t ext2 -b "$size" -N "$inodes" -I 128 "$WORK/$kind" "$blocks" >/dev/null 2>&1 &&
		"$BUILD/tools/hostile" "$kind" "$WORK/$kind" ||
		{ echo "$kind: no image"; failed=$((failed + 1)); continue; }
	try "$kind" -fn
	try "$kind" -fy
	rm -f "$WORK/$kind" "$WORK/img"
done
# A superblock that says more than there is.
mke2fs -q -F -t ext2 -b 4096 "$WORK/claims" 8M >/dev/null 2>&1
for field in blocks_count inodes_count blocks_per_group inodes_per_group first_data_block; do
	cp "$WORK/claims" "$WORK/img"
	echo "super $field 0xffffffff" | "$BUILD/tools/imgedit" "$WORK/img" >/dev/null
	if "$BUILD/tools/peak" $((64 * 1024)) timeout 60 "$FSCK" -fn "$WORK/img" >"$WORK/out" 2>"$WORK/err" &&
		! tail -1 "$WORK/err" | grep -q 'status 124$'; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED $field: $(tail -1 "$WORK/err")"
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
