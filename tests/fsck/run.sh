#!/usr/bin/env bash
# Damage, case by case: what fsck.extant finds and repairs, and that nothing is left for anybody to find.
#
#	run.sh [CASE...]        default all
#	run.sh -w [CASE...]     writes the expectations anew, to be read before they are committed
#
# A case is a folder with
#	recipe      "base NAME", then statements of tests/tools/imgedit.c; a line "#! silent" says that
#	            e2fsck does not call this damage
#	expect.1    the first run, -fy: each problem by its word, what became of it, how often; the status
#	expect.2    the second run, -fn
# After them e2fsck -fn must leave 0.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=$(cd "${BUILD:-build}" && pwd) || exit 1
FSCK=${FSCK:-$BUILD/bin/fsck.extant}
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
CASES=tests/fsck
BASE_DIR=${TMPDIR:-/tmp}
[ -w /dev/shm ] && BASE_DIR=/dev/shm
WORK=$(mktemp -d "$BASE_DIR/extant-fsck.XXXXXX") || exit 1
trap 'rm -rf "$WORK"' EXIT
WRITE=
[ "${1:-}" = -w ] && { WRITE=1; shift; }

for tool in e2fsck mke2fs; do
	command -v $tool >/dev/null && continue
	echo "no $tool here"
	[ "${CI:-}" = true ] && { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
done

# ---- the images that are damaged ----

numbers() { seq -s ' ' 1 "$1" | head -c "$2"; }

make_tree()
{
	local t=$1 i
	mkdir -p "$t/dir/sub/deep" "$t/many" "$t/other"
	numbers 2000 2900 >"$t/file"
	numbers 300000 700000 >"$t/big"
	numbers 300000 30000 >"$t/middle"
	numbers 300000 30000 >"$t/middle2"
	: >"$t/empty"
	for i in x y z; do
		echo "$i" >"$t/dir/$i"
	done
	echo deep >"$t/dir/sub/deep/file"
	echo other >"$t/other/file"
	for i in $(seq 1 260); do
		echo "$i" >"$t/many/name_of_a_file_in_a_large_directory_$i"
	done
	ln "$t/file" "$t/dir/hard"
	ln -s file "$t/short"
	ln -s "$(printf '%0200d' 0)" "$t/long"
	mkfifo "$t/fifo"
	truncate -s 3M "$t/sparse"
	printf end | dd of="$t/sparse" bs=1 seek=3000000 conv=notrunc status=none
	for i in 1 2; do
		echo "$i" >"$t/ea$i"
		setfattr -n user.name -v "$(printf '%0400d' "$i")" "$t/ea$i" || return 1
	done
	echo s >"$t/small"
	setfattr -n user.s -v value "$t/small"
}

# Indexes are made by e2fsck -D, as mke2fs -d makes directories without.
base()
{
	local name=$1 size=$2
	shift 2
	mke2fs -q -F "$@" -d "$WORK/tree" "$WORK/$name" "$size" || return 1
	e2fsck -fyD "$WORK/$name"
	e2fsck -fn "$WORK/$name"
}

make_bases()
{
	make_tree "$WORK/tree" &&
		base k1 10M -t ext3 -J size=1 -b 1024 -g 2048 -N 1024 &&
		base k2 12M -t ext2 -b 2048 -g 2048 -N 1024 &&
		base k4 24M -t ext3 -J size=4 -b 4096 -g 2048 -N 1024 &&
		base plain 8M -t ext2 -b 1024 -I 128 -N 1024 -O ^filetype,^dir_index,^resize_inode,^large_file
}

make_bases >"$WORK/log" 2>&1 || { tail -3 "$WORK/log"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }

# ---- one case ----

# What a JSON report found, each problem once with its number.
problems()
{
	grep -o '"code": "[^"]*", "pass": "[^"]*", "outcome": "[^"]*"' "$1" |
		sed 's/"code": "\([^"]*\)".*"outcome": "\([^"]*\)"/\1 \2/' | sort | uniq -c |
		sed 's/^ *\([0-9]*\) \(.*\)/\2 \1/'
	echo "status $2"
}

passed=0 failed=0

fail()
{
	failed=$((failed + 1))
	echo "$name: $1"
}

run_case()
{
	local recipe=$CASES/$name/recipe base theirs status
	base=$(sed -n 's/^base //p' "$recipe")
	cp --sparse=always "$WORK/$base" "$WORK/img" || return
	if ! sed '/^base /d' "$recipe" | "$BUILD/tools/imgedit" "$WORK/img" 2>"$WORK/err"; then
		fail "the recipe: $(cat "$WORK/err")"
		return
	fi
	e2fsck -fn "$WORK/img" >"$WORK/theirs" 2>&1; theirs=$?
	# What e2fsck finds before its passes it tells, and leaves 0 all the same.
	if [ $theirs -eq 0 ] && ! grep -q '? no' "$WORK/theirs" && ! grep -q '^#! silent' "$recipe"; then
		fail "e2fsck -fn sees no damage"
		return
	fi
	timeout 60 "$FSCK" --json -fy "$WORK/img" >"$WORK/json" 2>"$WORK/err"; status=$?
	problems "$WORK/json" $status >"$WORK/got.1"
	timeout 60 "$FSCK" --json -fn "$WORK/img" >"$WORK/json" 2>>"$WORK/err"; status=$?
	problems "$WORK/json" $status >"$WORK/got.2"
	if [ -n "$WRITE" ]; then
		cp "$WORK/got.1" "$CASES/$name/expect.1"
		cp "$WORK/got.2" "$CASES/$name/expect.2"
	fi
	for i in 1 2; do
		diff -u "$CASES/$name/expect.$i" "$WORK/got.$i" >"$WORK/diff" && continue
		fail "run $i is not as expected"
		tail -n +3 "$WORK/diff"
		cat "$WORK/err"
		return
	done
	if ! e2fsck -fn "$WORK/img" >"$WORK/theirs" 2>&1; then
		fail "e2fsck finds something after the repair"
		grep -v '^Pass\|^$' "$WORK/theirs" | head -4
		return
	fi
	passed=$((passed + 1))
}

if [ $# -eq 0 ]; then
	for recipe in "$CASES"/*/recipe; do
		set -- "$@" "$(basename "$(dirname "$recipe")")"
	done
fi
for name in "$@"; do
	run_case
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
