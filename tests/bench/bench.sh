#!/usr/bin/env bash
# extant beside fuse2fs and the kernel's ext3 on a loop device, in one run.
#
#	BUILD=build ROUNDS=3 bench.sh
#
# A round goes through all drivers, each with a fresh 4 GiB image on the same host file system and
# the same workloads in the same order; which driver begins moves on from round to round. The table
# gives medians over the rounds of ratios within a round, because a shared machine's speed drifts
# more between rounds than within one. Nothing passes or fails by its time.
# ROUNDS, or QUICK=1 for one round without the slowest workloads; DRIVERS="extant kernel" for some.
. "$(dirname "$0")/../mount/lib.sh"
need_fuse

rounds=${ROUNDS:-3}
[ -z "$QUICK" ] || rounds=1
drivers=${DRIVERS:-"kernel extant fuse2fs"}
if ! is_root; then
	echo "not root: without the kernel's driver and without cold caches"
	drivers=${drivers/kernel/}
fi
results=$BUILD/bench
mkdir -p "$results"
raw=$results/rounds.txt
: >"$raw"

# note WORKLOAD NUMBER, of the current $round and $driver
note() { echo "$round $driver $1 $2" >>"$raw"; }

run()
{
	local name=$1 number
	number=$(bench "$2" "$MNT") || { echo "$driver: $2 failed" >&2; number=0; }
	note "$name" "$number"
}

remount()
{
	unmount "$MNT" "$IMG"
	[ "$1" = warm ] || ! is_root || { sync; echo 3 >/proc/sys/vm/drop_caches; }
	mount_as "$driver" "$IMG" "$MNT"
}

# timed NAME COMMAND...: how often a second the command could have been run, times its count
timed()
{
	local name=$1 count=$2 began ns
	shift 2
	began=$(date +%s%N)
	"$@" >/dev/null 2>&1 || echo "$driver: $* failed" >&2
	ns=$(($(date +%s%N) - began))
	note "$name" "$(awk -v n="$count" -v ns="$ns" 'BEGIN { printf "%.1f", n * 1e9 / ns }')"
}

one_driver()
{
	make_image "$IMG" mke2fs -t ext3 -b 4096 4G 2>/dev/null
	sync
	mount_as "$driver" "$IMG" "$MNT" || { echo "$driver does not mount" >&2; return 1; }
	[ "$driver" != kernel ] || loop_mode=$(cat /sys/block/loop*/loop/dio 2>/dev/null | sort -u | tr -d '\n')
	run "sequential write, 1 MiB calls (MiB/s)" write-1M
	remount cold
	run "sequential read, 1 MiB calls, cold (MiB/s)" read-1M
	run "sequential read, 1 MiB calls, warm (MiB/s)" read-1M
	run "sequential read, 4 KiB calls, warm (MiB/s)" read-4k
	run "sequential write, 4 KiB calls (MiB/s)" write-4k
	remount cold
	run "random read 4 KiB, cold (1/s)" random-read
	run "random read 4 KiB, warm (1/s)" random-read
	run "random write 4 KiB, fsync at the end (1/s)" random-write
	run "append 4 KiB + fsync (1/s)" append-fsync
	run "create 20,000 files of 4 KiB (1/s)" create
	run "stat them, warm (1/s)" stat
	remount cold
	run "stat them, cold (1/s)" stat
	run "read them (1/s)" read-small
	run "unlink them (1/s)" unlink
	timed "untar $files files (files/s)" "$files" tar -C "$MNT" -xf "$WORK/tree.tar"
	remount cold
	timed "walk them with stat, cold (files/s)" "$files" find "$MNT/include" -type f -size +1G
	timed "rm -r (files/s)" "$files" rm -r "$MNT/include"
	unmount "$MNT" "$IMG"
	e2fsck -fn "$IMG" >/dev/null 2>&1 || echo "$driver: e2fsck finds faults" >&2
	rm -f "$IMG"
}

# Medians of the ratios inside rounds, and of the kernel's own numbers.
table()
{
	awk -v base="$1" '
		{ name = $3; for (i = 4; i < NF; i++) name = name " " $i
		  value[$1, $2, name] = $NF; drivers[$2] = 1; if ($1 > rounds) rounds = $1
		  if (!(name in known)) { known[name] = 1; order[++n] = name } }
		function median(list, count,	i, j, t) {
			for (i = 2; i <= count; i++)
				for (j = i; j > 1 && list[j - 1] > list[j]; j--) {
					t = list[j]; list[j] = list[j - 1]; list[j - 1] = t
				}
			if (!count) return "-"
			return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
		}
		function ratio(name, a, b,	r, count, list) {
			for (r = 1; r <= rounds; r++)
				if (value[r, b, name] > 0 && value[r, a, name] > 0)
					list[++count] = value[r, a, name] / value[r, b, name]
			r = median(list, count)
			return r == "-" ? r : sprintf("%.2f", r)
		}
		function absolute(name, a,	r, count, list) {
			for (r = 1; r <= rounds; r++)
				if (value[r, a, name] > 0)
					list[++count] = value[r, a, name] + 0
			r = median(list, count)
			return r == "-" ? r : sprintf("%.0f", r)
		}
		END {
			printf "%-48s %10s %10s %15s %15s %16s\n", "", base, "extant", \
				"extant/" base, "fuse2fs/" base, "extant/fuse2fs"
			for (i = 1; i <= n; i++)
				printf "%-48s %10s %10s %15s %15s %16s\n", order[i], absolute(order[i], base), \
					absolute(order[i], "extant"), ratio(order[i], "extant", base), \
					ratio(order[i], "fuse2fs", base), ratio(order[i], "extant", "fuse2fs")
		}' "$raw"
}

tar -C /usr -cf "$WORK/tree.tar" include
files=$(find /usr/include | wc -l)
loop_mode=
read -r -a turn <<<"$drivers"
for round in $(seq "$rounds"); do
	for driver in "${turn[@]}"; do
		echo "round $round of $rounds: $driver" >&2
		one_driver
	done
	turn=("${turn[@]:1}" "${turn[0]}")
done

{
	echo "Medians over $rounds rounds of ratios within a round; above 1 is faster than the kernel, or than fuse2fs."
	case $loop_mode in
	0) echo "kernel: mount -o loop -t ext3, the loop device buffered (no direct I/O), data=ordered." ;;
	1) echo "kernel: mount -o loop -t ext3, the loop device with direct I/O, data=ordered." ;;
	esac
	echo "fuse2fs: $(fuse2fs -V 2>&1 | head -n 1). It writes no journal; extant and the kernel do."
	echo "cold: remounted$(is_root && echo ', the host'"'"'s caches dropped'). $(nproc) processors, Linux $(uname -r)."
	echo
	table "$(is_root && [[ $drivers == *kernel* ]] && echo kernel || echo fuse2fs)"
} | tee "$results/table.txt"
