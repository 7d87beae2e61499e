#!/usr/bin/env bash
# The part of the crash laboratory that fits into some minutes: at least 50,000 distinct states, one in
# fifty of them also judged by e2fsck. Planted faults come first: a laboratory that finds nothing must be able
# to find something; each of them is two tests, one by its states and one by the journal's rules. Then
# each run of the laboratory is a test, and so are the two numbers. The last line is the total.
set -u
cd "$(dirname "$0")/../.." || exit 1

crash=${BUILD:-build}/tests/crash
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 runs=0

result() { if [ "$1" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi; }

run()
{
	runs=$((runs + 1))
	printf 'crash %s: ' "$*"
	"$crash" -q -H "$work/$runs.states" "$@" >"$work/out"
	result $?
	cat "$work/out"
	cat "$work/out" >>"$work/all"
}

"$crash" -q -P >"$work/planted"
cat "$work/planted"
read -r found _ missed _ <<<"$(tail -1 "$work/planted")"
passed=$((passed + found)) failed=$((failed + missed))

run -1
run -1 -m journal -S 2
run -1 -X -u 1 -S 3
run -1 -C -X -S 4
run -1 -s -b 4096
run -s -S 1
run -s -S 2 -u 1 -X
run -s -S 3 -C -X
run -s -S 4 -m journal -X
run -1 -D -S 5
run -s -S 6 -D -X
run -3 250 -S 4 -d 1000
run -3 250 -S 5 -m journal -X -d 1000
run -2 -k 3/80 -d 5000
run -2 -k 5/80 -m journal -X -d 5000
run -t 3 -d 1000
run -t 3 -m journal -S 9 -d 1000
run -f -g 11 -n 4 -d 0 -e 60 -T 60
run -f -r append-log -n 4 -d 0 -e 60
run -f -r spool-mail -m journal -g 3 -n 4 -d 0 -e 60

# A finding is made small, and the command that it prints finds it again.
again()
{
	local line
	line=$("$crash" -q -p "$1" -o "$2" | sed -n "s/.*repeat: crash //p") || return 1
	[ -n "$line" ] || return 1
	! eval "'$crash' $line" >"$work/again" && grep -q '^BROKEN' "$work/again"
}
again split-rename 'mkdir c; creat c/x; rename foo bar; creat y'
result $?

# The rate is of all runs together, per second of one core; e2fsck's time is not in it.
distinct=$("$crash" -U "$work"/*.states)
read -r states checked rate <<<"$(awk '/workloads,/ { s += $3; e += $16; cpu += $3 / $19 }
	END { printf "%d %d %d", s, e, cpu ? s / cpu : 0 }' "$work/all")"
echo "$states states, $distinct distinct ones, $checked of them by e2fsck; $rate states a second and core"
[ "$distinct" -ge 50000 ]
result $?
[ "$((checked * 50))" -ge "$distinct" ]
result $?
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
