#!/usr/bin/env bash
# A repair that is interrupted: nothing gets worse, and the next one ends where this one would have.
#
#	cuts.sh [CASE|SEED...]      default all damage cases, -D and -L, and seeds 1 to 60
#
# "-D" and "-L" are no damage: a file system with thin directories that are packed, one whose bad blocks are
# used by files.
#
# All writes and flushes of one repair are recorded (tests/fsck/iowatch.c). Then the image is made as it is when
# the power fails after some of them, in order, or with what was not flushed lost by lot (tests/tools/cutlog.c).
# On each: fsck.extant -fy leaves 0 or 1, e2fsck -fn leaves 0 after it, and what the repair without
# interruption kept is kept (tests/tools/keptfiles.c).
#
# CUTS=N tries N cuts of each kind a repair; CUTS=all every cut there is.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
CUTS=${CUTS:-3}
need e2fsck mke2fs
make_bases >"$WORK/log" 2>&1 || { tail -3 "$WORK/log"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
# Directories with holes in them; blocks that will be bad, of files and indirect ones and a directory's.
make_thin()
{
	local i
	mkdir -p "$WORK/thin.d/one" "$WORK/thin.d/two/sub"
	for i in $(seq 1 400); do
		echo "$i" >"$WORK/thin.d/one/a_file_in_a_long_directory_$i"
		[ "$i" -gt 200 ] || : >"$WORK/thin.d/two/another_file_in_a_directory_$i"
	done
	numbers 300000 700000 >"$WORK/thin.d/big"
	mke2fs -q -F -t ext3 -b 1024 -N 1024 -J size=1 -d "$WORK/thin.d" "$WORK/thin" 8M
	{
		seq -f 'rm one/a_file_in_a_long_directory_%g' 2 3 400
		seq -f 'rm two/another_file_in_a_directory_%g' 3 200
	} | debugfs -w "$WORK/thin"
	e2fsck -fn "$WORK/thin"
	{
		debugfs -R 'blocks big' "$WORK/thin" | tr ' ' '\n' | grep . | sed -n '3p;20,25p;300p'
		debugfs -R 'stat big' "$WORK/thin" | grep -o 'IND): *[0-9]*' | grep -o '[0-9]*$'
		debugfs -R 'blocks one' "$WORK/thin" | tr ' ' '\n' | grep . | sed -n '2p'
		seq 7000 7300
	} >"$WORK/badlist"
}
make_thin >"$WORK/log" 2>&1 || { tail -3 "$WORK/log"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
passed=0 failed=0 cuts=0 skipped=0
KEEP=${KEEP:-}

complain()
{
	echo "$name, cut after $1: $2"
	[ -n "$KEEP" ] && mkdir -p "$KEEP" && cp --sparse=always "$WORK/state" "$KEEP/$name.${1// /.}" &&
		cp "$WORK/before" "$KEEP/$name.before" && cp "$WORK/log.writes" "$KEEP/$name.writes"
	is_good=
}

# judge N [SEED]
judge()
{
	local got=0
	cp --sparse=always "$WORK/before" "$WORK/state"
	"$BUILD/tools/cutlog" "$WORK/log.writes" "$WORK/state" "$@" || { complain "$*" "no state"; return; }
	cuts=$((cuts + 1))
	cp --sparse=always "$WORK/state" "$WORK/img"
	timeout 60 "$FSCK" -fy "$WORK/img" >"$WORK/out" 2>&1 || got=$?
	if [ $got -gt 1 ]; then
		complain "$*" "-fy left $got: $(tail -1 "$WORK/out")"
	elif ! e2fsck -fn "$WORK/img" >"$WORK/theirs" 2>&1; then
		complain "$*" "e2fsck finds: $(grep -v '^Pass\|^$\|^e2fsck' "$WORK/theirs" | head -1)"
	elif ! "$BUILD/tools/keptfiles" "$WORK/$base" "$WORK/full" "$WORK/img" >"$WORK/lost" 2>&1; then
		complain "$*" "lost: $(head -1 "$WORK/lost")"
	fi
}

# Numbers from 0 to $1 - 1: all, or CUTS of them that the name chooses.
choose()
{
	local i
	if [ "$CUTS" = all ] || [ "$1" -le "$CUTS" ]; then
		seq 0 $(($1 - 1))
	else
		for ((i = 0; i < CUTS; i++)); do
			echo $(((RANDOM * 32768 + RANDOM) % $1))
		done
	fi
}

try_repair()
{
	local got=0 nr n
	rm -f "$WORK/log.writes"
	: >"$WORK/log.writes"
	cp --sparse=always "$WORK/before" "$WORK/full"
	watched IOWATCH_FILE="$WORK/full" IOWATCH_LOG="$WORK/log.writes" "$FSCK" -fy $options "$WORK/full" >"$WORK/out" 2>&1 || got=$?
	if [ $got -gt 1 ]; then
		skipped=$((skipped + 1))	# what cannot be repaired cannot be interrupted
		return
	fi
	nr=$("$BUILD/tools/cutlog" "$WORK/log.writes") || { complain 0 "no record"; failed=$((failed + 1)); return; }
	RANDOM=$(($(echo "$name" | cksum | cut -d' ' -f1) % 32768))
	is_good=1
	for n in $(choose "$nr"); do
		judge "$n"
	done
	for n in $(choose "$nr"); do
		judge $((n + 1)) "$n"
	done
	if [ -n "$is_good" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

# shellcheck disable=SC2046 # one word each
[ $# -gt 0 ] || set -- $(all_cases) -D -L $(seq 1 60)
for name in "$@"; do
	options=
	case $name in
	-D | -L)
		base=thin
		cp --sparse=always "$WORK/thin" "$WORK/before"
		options=-D
		[ "$name" = -D ] || options="-L $WORK/badlist"
		;;
	[0-9]*)
		base=$(base_of_seed "$name")
		damage_by_seed "$name" "$WORK/before"
		;;
	*)
		base=$(sed -n 's/^base //p' "$CASES/$name/recipe")
		damage "$name" "$WORK/before"
		;;
	esac
	try_repair
done
echo "$cuts cuts judged, $skipped repairs did not come to an end by themselves"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
