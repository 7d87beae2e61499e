#!/usr/bin/env bash
# What data=ordered and data=journal cost beside data=writeback, fsync apart: the workloads that write,
# each mode with a fresh image in each round.
#
#	BUILD=build ROUNDS=3 data.sh
#
# The table gives medians over the rounds of ratios within a round; the order of the modes moves on.
. "$(dirname "$0")/../mount/lib.sh"
need_fuse

rounds=${ROUNDS:-3}
raw=$WORK/rounds
mkdir "$WORK/tree"
cp -r /usr/include "$WORK/tree"
tar -C "$WORK/tree" -cf "$WORK/tree.tar" include

# timed NAME COMMAND...: how often a second the command could have been run
timed()
{
	local name=$1 began ns
	shift
	began=$(date +%s%N)
	"$@" >/dev/null || return
	ns=$(($(date +%s%N) - began))
	echo "$round $mode $name $(awk -v ns=$ns 'BEGIN { print 1e9 / ns }')" >>"$raw"
}

one_mode()
{
	make_image "$IMG" mkfs.extant -t ext3 -b 4096 2G
	sync
	mount_as extant "$IMG" "$MNT" "data=$mode" || return
	for workload in write-1M write-4k random-write create unlink; do
		echo "$round $mode $workload $(bench "$workload" "$MNT")" >>"$raw"
	done
	timed untar tar -C "$MNT" -xf "$WORK/tree.tar"
	timed copy cp -r "$MNT/include" "$MNT/copy"
	timed overwrite tar -C "$MNT" --overwrite -xf "$WORK/tree.tar"
	timed remove rm -r "$MNT/include" "$MNT/copy"
	timed unmount unmount "$MNT" "$IMG"
	fsck_clean "$IMG" >/dev/null || echo "data=$mode leaves damage"
}

modes=(writeback ordered journal)
for round in $(seq "$rounds"); do
	for mode in "${modes[@]}"; do
		one_mode || exit 1
	done
	modes=("${modes[@]:1}" "${modes[0]}")
done

awk '
	{ value[$1, $2, $3] = $4; if (!($3 in seen)) { seen[$3] = 1; name[++n] = $3 } if ($1 > rounds) rounds = $1 }
	function median(what, mode,	r, i, j, t, list) {
		for (r = 1; r <= rounds; r++)
			list[r] = value[r, mode, what] / value[r, "writeback", what]
		for (i = 2; i <= rounds; i++)
			for (j = i; j > 1 && list[j - 1] > list[j]; j--) {
				t = list[j]; list[j] = list[j - 1]; list[j - 1] = t
			}
		return rounds % 2 ? list[(rounds + 1) / 2] : (list[rounds / 2] + list[rounds / 2 + 1]) / 2
	}
	END {
		printf "throughput beside data=writeback, medians of %d rounds\n%-14s %10s %10s\n", rounds, "", "ordered", "journal"
		for (i = 1; i <= n; i++)
			printf "%-14s %10.2f %10.2f\n", name[i], median(name[i], "ordered"), median(name[i], "journal")
	}' "$raw"
