#!/usr/bin/env bash
# The part of the crash laboratory that fits into some minutes: at least 50,000 distinct states.
# Planted faults come first: a laboratory that finds nothing must be able to find something.
# The last line is the total; each run of the laboratory counts as one test.
set -u
cd "$(dirname "$0")/../.." || exit 1

crash=${BUILD:-build}/tests/crash
passed=0 failed=0

run()
{
	if "$crash" -q "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
}

run -P
run -s -S 1
run -s -S 2 -u 1
run -s -S 3 -C
run -1
run -1 -u 1
run -1 -C
run -1 -s -b 4096
run -3 400 -S 4 -d 1000
run -2 -k 3/40 -d 5000
run -t 4 -d 1000
run -f -g 11 -n 4 -d 0 -e 2000 -T 60
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
