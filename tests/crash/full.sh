#!/usr/bin/env bash
# The whole of the crash laboratory, for hours: all sequences of two operations, many of three, the
# scripts with many seeds. Done in parts; what is done is noted in $BUILD/crash-full and left out
# the next time, so it can be stopped and begun again. SEEDS=20 PARTS=64 JOBS=2.
set -u
cd "$(dirname "$0")/../.." || exit 1

crash=${BUILD:-build}/tests/crash
notes=${BUILD:-build}/crash-full
seeds=${SEEDS:-20} parts=${PARTS:-64} jobs=${JOBS:-$(nproc)}
mkdir -p "$notes"

# Each line is a part: its name, a tab, its options.
list()
{
	for seed in $(seq 1 "$seeds"); do
		printf 'scripts-%s\t-s -S %s -n 64 -d 50\n' "$seed" "$seed"
		printf 'scripts-few-inodes-%s\t-s -S %s -u 1 -n 64\n' "$seed" "$seed"
		printf 'scripts-no-checksum-%s\t-s -S %s -C -n 64\n' "$seed" "$seed"
		printf 'scripts-4k-%s\t-s -S %s -b 4096 -n 64\n' "$seed" "$seed"
		printf 'threads-%s\t-t 8 -S %s\n' "$seed" "$seed"
		printf 'three-%s\t-3 4000 -S %s\n' "$seed" "$seed"
	done
	printf 'one\t-1 -n 256 -d 20\none-4k\t-1 -b 4096 -n 64\none-no-checksum\t-1 -C -n 64\n'
	for part in $(seq 0 $((parts - 1))); do
		printf 'two-%s\t-2 -k %s/%s -n 32\n' "$part" "$part" "$parts"
		printf 'two-4k-%s\t-2 -b 4096 -k %s/%s\n' "$part" "$part" "$parts"
		printf 'two-no-checksum-%s\t-2 -C -k %s/%s\n' "$part" "$part" "$parts"
	done
}

one()
{
	name=$1
	shift
	[ -e "$notes/$name.ok" ] && return 0
	if "$crash" -q "$@" >"$notes/$name.log" 2>&1; then
		mv "$notes/$name.log" "$notes/$name.ok"
	else
		cat "$notes/$name.log"
	fi
	printf '\r%s of %s parts ' "$(find "$notes" -name '*.ok' | wc -l)" "$total" >&2
}
export -f one
export crash notes total

total=$(list | wc -l)
# shellcheck disable=SC2016
list | xargs -P "$jobs" -d '\n' -I{} bash -c 'IFS=$'"'\t'"' read -r name options <<<"$1"; one "$name" $options' part {}
echo >&2
passed=$(find "$notes" -name '*.ok' | wc -l)
cat "$notes"/*.ok 2>/dev/null | awk '/workloads,/ { w += $1; s += $3; d += $5; e += $15 }
	END { printf "%d workloads, %d states, %d distinct, %d by e2fsck\n", w, s, d, e }'
echo "$passed passed, $((total - passed)) failed, 0 skipped"
[ "$passed" = "$total" ]
