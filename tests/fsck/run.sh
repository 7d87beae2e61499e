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
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
WRITE=
[ "${1:-}" = -w ] && { WRITE=1; shift; }

need e2fsck mke2fs
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
