#!/usr/bin/env bash
# Every inode of every table is looked at: in the first and the last place of each piece in which tables are read, where the
# image has a hole or room that was never written, and behind pieces that were repaired.
set -u
. "$(dirname "$0")/lib.sh"
need mke2fs e2fsck
# Where tables are room that was never written: not in memory's file system.
DISK=$(mktemp -d "${TMPDIR:-/tmp}/extant-fsck.XXXXXX") || exit 1
trap 'rm -rf "$WORK" "$DISK"' EXIT
passed=0 failed=0

try()
{
	if (set -e; "$2") >"$WORK/log" 2>&1 </dev/null; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED $1"
		sed 's/^/    /' "$WORK/log" | tail -5
	fi
}

# Groups of 8192 inodes of 256 bytes: two pieces of 1 MiB each.
inodes=65536
edges=$(for i in $(seq 4096 4096 $((inodes - 1))); do echo "$i $((i + 1))"; done; echo "$inodes")
edges=$(echo $edges)

fresh() { rm -f "$1"; truncate -s 1G "$1" && mke2fs -q -F -t ext3 -b 4096 -N "$inodes" "$1"; }

# damage_edges IMAGE FIELD VALUE...: of the inodes on both sides of where pieces meet.
damage_edges()
{
	local i img=$1
	shift
	for i in $edges; do
		printf "inode $i %s %s\n" "$@" # once for each pair
	done | "$BUILD/tools/imgedit" "$img"
}

# told_of_all STATUS IMAGE OPTION TEXT: each of them, once.
told_of_all()
{
	local want got status=0
	want=$(echo "$edges" | wc -w)
	"$FSCK" "$3" "$2" >"$WORK/out" || status=$?
	got=$(grep -c "$4" "$WORK/out")
	[ "$status" = "$1" ] && [ "$got" = "$want" ] || { echo "$3: status $status, $got told of $want"; return 1; }
}

found_and_repaired()
{
	told_of_all 4 "$1" -fn "$2"
	told_of_all 1 "$1" -fy "$2"
	"$FSCK" -fn "$1"
	e2fsck -fn "$1"
}

in_memory()
{
	fresh "$WORK/img"
	damage_edges "$WORK/img" mode 0x81a4 links_count 1 dtime 0x60000000
	found_and_repaired "$WORK/img" 'in use but has a time of deletion'
}

never_written()
{
	fresh "$DISK/img"
	fallocate -l 1G "$DISK/img"
	cat "$DISK/img" >/dev/null	# its zeros are in the host's memory
	damage_edges "$DISK/img" mode 0x81a4 links_count 1
	found_and_repaired "$DISK/img" 'in no directory and has no content'
}

behind_holes()
{
	fresh "$WORK/img"
	fallocate -d "$WORK/img"
	damage_edges "$WORK/img" mode 0x81a4 links_count 1 dtime 0x60000000
	found_and_repaired "$WORK/img" 'in use but has a time of deletion'
}

progress_is_told_by_group()
{
	fresh "$WORK/img"
	"$FSCK" -fn -C 3 "$WORK/img" 3>"$WORK/progress"
	grep '^1 ' "$WORK/progress" | cut -d' ' -f2,3 >"$WORK/told"
	seq -f '%g 8' 0 8 | diff - "$WORK/told"
}

try "inodes on the edges of pieces, all repaired in pass 1" in_memory
try "inodes in what was never written, and is in the host's memory as zeros" never_written
try "inodes behind holes" behind_holes
try "progress is told group by group" progress_is_told_by_group
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
