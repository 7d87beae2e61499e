#!/usr/bin/env bash
# -n changes no byte of any damaged image, not even of one that nobody may write; --json is always JSON.
#
#	readonly.sh [CASE...]
#
# Each damage: fsck.extant -fn on a file that is read-only: the same bytes before and after, and no call that writes it.
# Then --json with -n and -y, read by jq or python3:
# it has its members, its counts are those of its problems, its status is the program's, and -n tells twice the same.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need e2fsck mke2fs
make_bases >"$WORK/log" 2>&1 || { tail -3 "$WORK/log"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
passed=0 failed=0
img=$WORK/img

complain() { echo "$name: $1"; is_good=; }

# Prints what is wrong with the report $1 of a run that left $2.
judge_json()
{
	if command -v jq >/dev/null; then
		# shellcheck disable=SC2069 # the complaint, and not the report
		jq -e --argjson status "$2" '
			if (.image | type) != "string" or (.problems | type) != "array" then "members" | halt_error(1)
			elif .status != $status then "status" | halt_error(1)
			elif ([.problems[] | select(.outcome == "repaired")] | length) != .repaired then "repaired" | halt_error(1)
			elif ([.problems[] | select(.code and .pass and .text and .outcome | not)] | length) > 0 then "a problem" | halt_error(1)
			else true end' "$1" 2>&1 >/dev/null
	elif command -v python3 >/dev/null; then
		python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
assert r["status"] == int(sys.argv[2])
assert sum(p["outcome"] == "repaired" for p in r["problems"]) == r["repaired"]
assert all(p["code"] and p["pass"] and p["text"] for p in r["problems"])' "$1" "$2" 2>&1 | tail -1
	fi
}

run_json()
{
	local got=0 wrong
	"$FSCK" --json "$1" "$img" >"$WORK/json" 2>"$WORK/err" || got=$?
	wrong=$(judge_json "$WORK/json" $got)
	[ -z "$wrong" ] || complain "--json $1: $wrong"
}

try_case()
{
	local got=0
	chmod 444 "$img"
	: >"$WORK/writes"
	cp --sparse=always "$img" "$WORK/before"
	watched IOWATCH_FILE="$img" IOWATCH_LOG="$WORK/writes" "$FSCK" -fn "$img" >"$WORK/out" 2>"$WORK/err" || got=$?
	[ $((got & ~12)) -eq 0 ] || complain "-fn left $got"
	cmp -s "$img" "$WORK/before" || complain "-fn changed the image"
	[ ! -s "$WORK/writes" ] || complain "-fn wrote"
	run_json -fn
	cp "$WORK/json" "$WORK/json.1"
	run_json -fn
	cmp -s "$WORK/json" "$WORK/json.1" || complain "--json tells something else the second time"
	cmp -s "$img" "$WORK/before" || complain "--json -fn changed the image"
	chmod 644 "$img"
	run_json -fy
}

# shellcheck disable=SC2046 # one word each
[ $# -gt 0 ] || set -- $(all_cases)
for name in "$@"; do
	is_good=1
	rm -f "$img"
	damage "$name" "$img"
	try_case
	if [ -n "$is_good" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
