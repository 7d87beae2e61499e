#!/usr/bin/env bash
# Options and exit statuses are those of e2fsck; a check that is interrupted, undone or refused leaves what it should.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=$(cd "${BUILD:-build}" && pwd) || exit 1
FSCK=${FSCK:-$BUILD/bin/fsck.extant}
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
WORK=$(mktemp -d "${TMPDIR:-/tmp}/extant-fsck.XXXXXX") || exit 1
trap 'rm -rf "$WORK"' EXIT
command -v mke2fs >/dev/null || { echo "no mke2fs here"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
img=$WORK/img
passed=0 failed=0

# try WHAT FUNCTION
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

fresh() { rm -f "$img"; mke2fs -q -F -t ext3 -b 1024 -g 2048 "$img" 12M; }
edit() { "$BUILD/tools/imgedit" "$img"; }
# status N OPTIONS...: fsck.extant leaves N.
status()
{
	local want=$1 got=0
	shift
	"$FSCK" "$@" >"$WORK/out" 2>"$WORK/err" || got=$?
	[ "$got" -eq "$want" ] || { echo "status $got, not $want: $*"; cat "$WORK/err"; return 1; }
}

clean_is_one_line()
{
	fresh
	status 0 -p "$img"
	grep -Eq '^[^ ]+: clean, [0-9]+/[0-9]+ files, [0-9]+/[0-9]+ blocks$' "$WORK/out"
	[ "$(wc -l <"$WORK/out")" -eq 1 ]
}
version() { status 0 -V; }
nothing_given() { status 16; }
unknown_option() { fresh; status 16 -Q "$img"; }
unknown_extended() { fresh; status 1 -n -E nonsense "$img"; }
two_modes() { fresh; status 8 -p -n "$img"; status 8 -y -n "$img"; }
no_such_file() { status 8 -n "$WORK/none"; }
no_file_system() { truncate -s 1M "$WORK/empty"; status 8 -y "$WORK/empty"; }
no_terminal() { fresh; status 8 "$img"; grep -q terminal "$WORK/err"; }
bad_number() { fresh; status 16 -n -b x "$img"; }

errors_left()
{
	fresh
	echo 'super free_blocks_count 1
group 0 free_blocks_count 1' | edit
	status 4 -fn "$img"
	cp "$img" "$WORK/before"
	status 4 -fn "$img"
	cmp "$img" "$WORK/before"	# -n changes no byte
	status 1 -fy "$img"
	status 0 -fn "$img"
}
preen_repairs_what_is_safe()
{
	fresh
	echo 'group 1 free_blocks_count 1' | edit
	status 1 -fp "$img"
	status 0 -fn "$img"
}
preen_stops_at_what_is_not()
{
	fresh
	echo 'entry / lost+found inode 7' | edit
	status 4 -fp "$img"
	grep -q 'UNEXPECTED INCONSISTENCY' "$WORK/err"
	# Interrupted there, the file system says of itself that it is to be checked.
	status 4 -p "$img"
}
forced_by_state()
{
	fresh
	echo 'super state 2' | edit
	status 0 -y "$img"
	grep -q 'with errors, check forced' "$WORK/out"
	status 0 -p "$img"
	grep -q clean "$WORK/out"
}
forced_by_mounts()
{
	fresh
	printf 'super max_mnt_count 3\nsuper mnt_count 4\n' | edit
	status 0 -y "$img"
	grep -q 'mounted 4 times' "$WORK/out"
}
by_copy()
{
	fresh
	status 1 -y -b 2049 "$img" || status 0 -y -b 2049 -B 1024 "$img"
	status 0 -fn "$img"
	status 8 -n -b 77 "$img"
}
in_use_is_refused()
{
	fresh
	exec 9<"$img"
	flock 9
	status 8 -y "$img" 9<&-
	grep -q 'in use by process' "$WORK/err"
	status 0 -fn "$img" 9<&-
	grep -q warning "$WORK/err"
	exec 9<&-
}
undone()
{
	fresh
	echo 'zero table(0)+1
fill block(2,0) 0x33' | edit
	cp "$img" "$WORK/before"
	status 1 -fy --undo "$WORK/undo" "$img"
	! cmp -s "$img" "$WORK/before"
	status 8 -fy --undo "$WORK/undo" "$img"		# an old record is never overwritten
	status 0 --undo-apply "$WORK/undo" "$img"
	cmp "$img" "$WORK/before"
	status 8 --undo-apply "$WORK/before" "$img"
}
# A block of the inode table that only the journal holds.
journal_holds_table()
{
	fresh
	local table
	table=$(dumpe2fs "$img" 2>/dev/null | grep -o 'Inode table at [0-9]*' | head -1 | grep -o '[0-9]*$')
	dd if="$img" of="$WORK/block" bs=1024 skip="$table" count=1 status=none
	printf 'jo\njw -b %s %s\njc\n' "$table" "$WORK/block" | debugfs -w "$img" >/dev/null 2>&1
	dd if=/dev/zero of="$img" bs=1024 seek="$table" count=1 conv=notrunc status=none
	cp "$img" "$WORK/before"
}
replayed_in_memory()
{
	journal_holds_table
	status 0 -fn "$img"
	grep -q 'recovering journal (in memory)' "$WORK/out"
	cmp "$img" "$WORK/before"
}
replay_is_undone()
{
	journal_holds_table
	"$FSCK" -fy --undo "$WORK/undo2" "$img"
	status 0 -fn "$img"
	status 0 --undo-apply "$WORK/undo2" "$img"
	cmp "$img" "$WORK/before"
}
json_is_json()
{
	fresh
	echo 'group 1 free_inodes_count 1' | edit
	status 4 --json -fn "$img"
	if command -v python3 >/dev/null; then
		python3 -c 'import json,sys; r=json.load(open(sys.argv[1])); assert r["status"]==4 and r["left"]>0 and r["problems"][0]["code"]' "$WORK/out"
	fi
}
progress_lines()
{
	fresh
	"$FSCK" -fn -C 7 "$img" 7>"$WORK/progress" >/dev/null
	grep -Eq "^1 [0-9]+ [0-9]+ $img\$" "$WORK/progress"
	grep -Eq "^5 [0-9]+ [0-9]+ $img\$" "$WORK/progress"
	status 0 -fn -C 0 "$img"			# no bar into a pipe
	! grep -q '|' "$WORK/out"
}
verbose_counts() { fresh; status 0 -fnv "$img"; grep -q 'regular files' "$WORK/out"; }
discard_keeps_it_whole() { fresh; status 0 -fy -E discard "$img"; status 0 -fn "$img"; }
unknown_feature_is_refused()
{
	fresh
	rm -f "$img"
	mke2fs -q -F -t ext4 "$img" 12M
	cp "$img" "$WORK/before"
	status 8 -fy "$img"
	cmp "$img" "$WORK/before"
}

try "a clean file system is one line" clean_is_one_line
try "-V leaves 0" version
try "no image leaves 16" nothing_given
try "an unknown option leaves 16" unknown_option
try "an unknown word of -E leaves 1" unknown_extended
try "two of -p -n -y leave 8" two_modes
try "no such file leaves 8" no_such_file
try "no file system leaves 8" no_file_system
try "no terminal and no mode leaves 8" no_terminal
try "a number that is none leaves 16" bad_number
try "-n leaves 4 and changes nothing, -y leaves 1" errors_left
try "-p repairs what is safe" preen_repairs_what_is_safe
try "-p stops at what is not safe" preen_stops_at_what_is_not
try "errors in the state force a check" forced_by_state
try "many mounts force a check" forced_by_mounts
try "-b takes a copy" by_copy
try "an image in use is refused by name, -n warns" in_use_is_refused
try "--undo-apply brings every byte back" undone
try "-n replays the journal in memory and changes no byte" replayed_in_memory
try "--undo-apply takes a replay back" replay_is_undone
try "--json can be read by a program" json_is_json
try "-C writes lines, and no bar into a pipe" progress_lines
try "-v counts" verbose_counts
try "-E discard leaves a whole file system" discard_keeps_it_whole
try "features that are not known are refused, nothing is written" unknown_feature_is_refused
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
