#!/usr/bin/env bash
# The whole of the crash laboratory, for hours: all sequences of one and of two operations in each way of
# keeping data, many of three, the scripts and the threads with many seeds, each request of them failing.
# Done in parts; what is done is noted in $BUILD/crash-full and left out the next time, so it can be
# stopped and begun again. SEEDS=20 PARTS=64 JOBS=2; LIMIT_S=600 ends it after so many seconds; WHAT
# is a pattern that chooses parts by name. States that two parts have in common are counted once.
set -u
cd "$(dirname "$0")/../.." || exit 1

crash=${BUILD:-build}/tests/crash
notes=${BUILD:-build}/crash-full
seeds=${SEEDS:-20} parts=${PARTS:-64} jobs=${JOBS:-$(nproc)}
mkdir -p "$notes"
stop_at=$((SECONDS + ${LIMIT_S:-1000000000}))

# Each line is a part: its name, a tab, its options. What finds most comes first.
list()
{
	printf 'one\t-1 -n 256 -d 20\none-4k\t-1 -b 4096 -n 64\none-no-checksum\t-1 -C -n 64\n'
	printf 'one-journal\t-1 -m journal -n 256 -d 20\none-shuffled\t-1 -X -n 64\none-few-inodes\t-1 -u 1\n'
	printf 'one-writeback\t-1 -m writeback\none-discard\t-1 -D -X -n 64\n'
	for part in $(seq 0 $((parts - 1))); do
		printf 'two-%s\t-2 -k %s/%s -d 2000\n' "$part" "$part" "$parts"
		printf 'two-journal-shuffled-%s\t-2 -m journal -X -S 2 -k %s/%s -d 2000\n' "$part" "$part" "$parts"
	done
	for seed in $(seq 1 "$seeds"); do
		printf 'scripts-%s\t-s -S %s -n 64 -d 50\n' "$seed" "$seed"
		printf 'scripts-shuffled-%s\t-s -X -S %s -n 64\n' "$seed" "$seed"
		printf 'scripts-few-inodes-%s\t-s -S %s -u 1 -n 64\n' "$seed" "$seed"
		printf 'scripts-no-checksum-%s\t-s -S %s -C -n 64\n' "$seed" "$seed"
		printf 'scripts-journal-%s\t-s -m journal -X -S %s -n 64\n' "$seed" "$seed"
		printf 'scripts-discard-%s\t-s -D -X -S %s -n 64\n' "$seed" "$seed"
		printf 'scripts-4k-%s\t-s -S %s -b 4096 -n 64\n' "$seed" "$seed"
		printf 'threads-%s\t-t 8 -S %s\n' "$seed" "$seed"
		printf 'threads-journal-%s\t-t 8 -m journal -S %s\n' "$seed" "$seed"
		printf 'three-%s\t-3 4000 -S %s\n' "$seed" "$seed"
		printf 'three-journal-%s\t-3 4000 -m journal -X -S %s\n' "$seed" "$seed"
		printf 'faults-%s\t-f -n 4 -d 0 -e 2000 -S %s\n' "$seed" "$seed"
	done
	for part in $(seq 0 $((parts - 1))); do
		printf 'two-discard-%s\t-2 -D -k %s/%s -d 2000\n' "$part" "$part" "$parts"
		printf 'two-4k-%s\t-2 -b 4096 -k %s/%s -d 2000\n' "$part" "$part" "$parts"
		printf 'two-no-checksum-%s\t-2 -C -X -k %s/%s -d 2000\n' "$part" "$part" "$parts"
	done
}

parts_done() { find "$notes" -name '*.ok' | wc -l; }

# A bar, with what all parts have tried so far; what they have in common is counted in each here.
draw()
{
	local done_parts width=30 filled
	done_parts=$(parts_done)
	filled=$((done_parts * width / total))
	printf '\r[%-*s] %s of %s parts, %s states, %s violations ' "$width" "$(printf '%*s' "$filled" '' | tr ' ' '#')" \
		"$done_parts" "$total" "$(cat "$notes"/*.ok "$notes"/*.bad 2>/dev/null | awk '/workloads,/ { s += $5 } END { print s + 0 }')" \
		"$(cat "$notes"/*.bad 2>/dev/null | grep -c BROKEN)" >&2
}

one()
{
	local name=$1 end=bad
	shift
	[ "$SECONDS_LEFT_AT" -gt "$(date +%s)" ] || return 0
	rm -f "$notes/$name.bad"
	"$crash" -q -H "$notes/$name.part" "$@" >"$notes/$name.log" 2>&1 && end=ok
	[ "$end" = ok ] || cat "$notes/$name.log"
	[ ! -e "$notes/$name.part" ] || mv "$notes/$name.part" "$notes/$name.states"
	mv "$notes/$name.log" "$notes/$name.$end"
	draw
}

total=$(list | grep -cE "${WHAT:-.}")
SECONDS_LEFT_AT=$(($(date +%s) + stop_at - SECONDS))
export -f one draw parts_done
export crash notes total SECONDS_LEFT_AT

# shellcheck disable=SC2016
list | grep -E "${WHAT:-.}" | while IFS=$'\t' read -r name options; do
	[ -e "$notes/$name.ok" ] || printf '%s\t%s\n' "$name" "$options"
done | xargs -r -P "$jobs" -d '\n' -I{} bash -c 'IFS=$'"'\t'"' read -r name options <<<"$1"; one "$name" $options' part {}
draw
echo >&2

cat "$notes"/*.ok "$notes"/*.bad 2>/dev/null | awk '
	/workloads,/ { w += $1; s += $3; r += $7; two += $11; three += $14; e += $16; cpu += $3 / ($19 ? $19 : 1) }
	END { printf "%d workloads, %d states, %d recovered, %d second crashes, %d third, %d by e2fsck, %d states a second and core\n",
		w, s, r, two, three, e, cpu ? s / cpu : 0 }'
find "$notes" -name '*.states' -print0 | xargs -0 -r "$crash" -U | sed 's/$/ distinct states/'
failed=$(find "$notes" -name '*.bad' | wc -l)
left=$((total - $(parts_done) - failed))
[ "$left" -le 0 ] || echo "$left parts are left for the next time"
echo "$(parts_done) passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
