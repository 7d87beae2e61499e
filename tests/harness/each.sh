#!/usr/bin/env bash
# Runs a command for each of some files and counts.
#
#	each.sh "FILE..." COMMAND [ARG...]	where {} among the arguments stands for the file
#
# What the command says of a file is printed when it failed. Closes with "N passed, N failed".
set -u

read -r -a files <<< "$(tr '\n' ' ' <<< "$1")"
shift
passed=0 failed=0

if ! command -v "$1" >/dev/null; then
	echo "$1 is not installed"
	if [ "${CI:-}" = true ]; then
		echo "0 passed, 1 failed, 0 skipped"
		exit 1
	fi
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi
for file in "${files[@]}"; do
	if out=$("${@//\{\}/$file}" 2>&1); then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf '%s:\n%s\n' "$file" "$out"
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
