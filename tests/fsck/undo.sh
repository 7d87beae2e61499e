#!/usr/bin/env bash
# A repair that is taken back: every byte of the image is what it was, whatever happened on the way.
#
#	undo.sh [CASE|SEED...]      default all damage cases, and seeds 1 to 200
#
# fsck.extant -fy --undo, then --undo-apply: cmp. Every third also: the repair ends in the middle of its writes,
# and --undo-apply does so too before it is run again. Last: undo files that are none.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need e2fsck mke2fs
make_bases >"$WORK/log" 2>&1 || { tail -3 "$WORK/log"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
passed=0 failed=0 undone=0 cut=0
img=$WORK/img

complain() { echo "$name: $1"; is_good=; }

same() { cmp -s "$WORK/before" "$img"; }

# apply WHAT: --undo-apply brings the image back.
apply()
{
	local got=0
	"$FSCK" --undo-apply "$WORK/undo" "$img" >"$WORK/out" 2>&1 || got=$?
	[ $got -eq 0 ] || { complain "$1: --undo-apply left $got: $(tail -1 "$WORK/out")"; return; }
	same || complain "$1: the image is not what it was"
	undone=$((undone + 1))
}

repair()
{
	rm -f "$WORK/undo"
	cp --sparse=always "$WORK/before" "$img"
	"$@" "$FSCK" -fy --undo "$WORK/undo" "$img" >"$WORK/out" 2>&1
}

# Repair and undo, each ended in place of its nth write.
try_interrupted()
{
	local n
	for n in 1 2 4 9 30; do
		repair watched IOWATCH_FILE="$img" IOWATCH_STOP=$n
		[ -e "$WORK/undo" ] || continue		# it ended before its first change
		watched IOWATCH_FILE="$img" IOWATCH_STOP=$n "$FSCK" --undo-apply "$WORK/undo" "$img" >"$WORK/out" 2>&1
		apply "ended at write $n"
		cut=$((cut + 1))
	done
}

try_case()
{
	repair env
	apply "a repair"
	[ $((++nth % 3)) -ne 0 ] || try_interrupted
}

# ---- files that are no undo file of this image ----

refused()
{
	local got=0
	cp --sparse=always "$WORK/before" "$img"
	"$FSCK" --undo-apply "$1" "$img" >"$WORK/out" 2>"$WORK/err" || got=$?
	[ $got -eq 8 ] && [ -s "$WORK/err" ] || complain "$2: left $got: $(cat "$WORK/out" "$WORK/err")"
	same || complain "$2: the image was changed"
}

try_bad_files()
{
	local size got=0
	name="bad files"
	damage inode_table_garbage "$WORK/before"
	repair env
	size=$(stat -c %s "$WORK/undo")
	refused "$WORK/none" "no such file"
	refused "$WORK/before" "an image"
	: >"$WORK/empty"
	refused "$WORK/empty" "an empty file"
	head -c 20 "$WORK/undo" >"$WORK/head"
	refused "$WORK/head" "half a header"
	refused "$WORK" "a directory"
	# Another image of the same size, and one of another.
	cp "$WORK/before" "$WORK/keep"
	printf 'fill 500 0x11\n' | "$BUILD/tools/imgedit" "$WORK/before"
	tune2fs -U random "$WORK/before" >/dev/null 2>&1
	refused "$WORK/undo" "another file system"
	truncate -s +1M "$WORK/before"
	refused "$WORK/undo" "another size"
	cp "$WORK/keep" "$WORK/before"
	# A record in the middle that is not what was written.
	cp "$WORK/undo" "$WORK/damaged"
	printf 'XXXX' | dd of="$WORK/damaged" bs=1 seek=$((size / 2)) conv=notrunc status=none
	refused "$WORK/damaged" "a damaged record"
	head -c $((size - 100)) "$WORK/undo" >"$WORK/damaged"
	refused "$WORK/damaged" "a file that was cut off"
	# What exists is not written over.
	cp "$WORK/undo" "$WORK/undo.copy"
	"$FSCK" -fy --undo "$WORK/undo" "$img" >/dev/null 2>"$WORK/err" || got=$?
	[ $got -eq 8 ] && cmp -s "$WORK/undo" "$WORK/undo.copy" || complain "an existing file: left $got"
	# No room for the record: nothing that was not recorded is changed.
	for full in 10 100 4000 $((size / 2)) $((size - 1)); do
		rm -f "$WORK/undo"
		cp --sparse=always "$WORK/before" "$img"
		got=0
		watched IOWATCH_FULL="$WORK/undo,$full" "$FSCK" -fy --undo "$WORK/undo" "$img" >/dev/null 2>"$WORK/err" || got=$?
		[ $((got & 8)) -ne 0 ] && grep -qi 'space' "$WORK/err" || complain "no room at $full: left $got: $(cat "$WORK/err")"
		if same; then continue; fi
		apply "no room at $full"
	done
}

nth=0
if [ $# -eq 0 ]; then
	is_good=1
	try_bad_files
	if [ -n "$is_good" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
	# shellcheck disable=SC2046 # one word each
	set -- $(all_cases) $(seq 1 200)
fi
for name in "$@"; do
	is_good=1
	case $name in
	[0-9]*) damage_by_seed "$name" "$WORK/before" ;;
	*) damage "$name" "$WORK/before" ;;
	esac
	try_case
	if [ -n "$is_good" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$undone repairs taken back, $cut of them interrupted, as their undoing was"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
