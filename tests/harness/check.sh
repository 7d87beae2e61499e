#!/usr/bin/env bash
# Runs test commands one after another and adds up their closing lines.
#
#	check.sh COMMAND...
#
# Each argument is one command for the shell. Its output passes through as it comes; its last line
# must be "N passed, N failed" or "N passed, N failed, N skipped". A command that closes otherwise,
# or that leaves with an error though it counted no failure, is itself one failure and is named.
# The grand total is the very last line; the exit status is 1 when anything failed.
set -u

# A command that hangs is a failure, and must not keep the others from being run.
limit_s=${LIMIT_S:-1500}
passed=0 failed=0 skipped=0
bad=()
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT

closing='^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$'

for command in "$@"; do
	began=$SECONDS
	printf '== %s\n' "$command"
	timeout -k 20 "$limit_s" bash -c "$command" 2>&1 | tee "$out"
	status=${PIPESTATUS[0]}
	last=$(awk 'NF { line = $0 } END { print line }' "$out")
	if [[ $last =~ $closing ]]; then
		passed=$((passed + BASH_REMATCH[1]))
		failed=$((failed + BASH_REMATCH[2]))
		skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
		if [ "${BASH_REMATCH[2]}" -gt 0 ]; then
			bad+=("$command: $last")
		elif [ "$status" -ne 0 ]; then
			failed=$((failed + 1))
			bad+=("$command: left with status $status though it counted no failure")
		fi
	else
		failed=$((failed + 1))
		bad+=("$command: no closing line (status $status)")
	fi
	printf '== %d s\n\n' $((SECONDS - began))
done

for line in "${bad[@]}"; do
	printf 'FAILED %s\n' "$line"
done
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
