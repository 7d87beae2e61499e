#!/usr/bin/env bash
# A few rounds of tests/crash/kill.sh (200 are the bar), with data in order and with data in the log.
cd "$(dirname "$0")/../.." || exit 1
tests/harness/check.sh "tests/crash/kill.sh 3" "OPTIONS=data=journal tests/crash/kill.sh 3"
