#!/usr/bin/env bash
# fsync of 4 KiB appends: extant beside the kernel's ext3 on a buffered loop device, in one run, with
# 1, 4 and 8 processes, and how many fsyncs of extant's share a commit.
#
#	BUILD=build ROUNDS=5 fsync.sh
#
# A round measures both drivers one after the other, each with a fresh image on the same host file
# system; the table gives medians over the rounds of the ratios within a round. BARS=1: the status
# says whether the bars hold (3 fsyncs a commit with 8 processes; ahead of the kernel with 1 and 4).
# OPTIONS: further mount options for extant.
. "$(dirname "$0")/../mount/lib.sh"
need_fuse
need_root "the kernel's mount of a loop device"

rounds=${ROUNDS:-3}
raw=$WORK/rounds

# counter NAME: one of the daemon's
counter() { extantctl stat "$MNT" | awk -v name="$1" '$1 == name { print $2 }'; }

# one_driver ROUND DRIVER
one_driver()
{
	local jobs workload before after rate
	make_image "$IMG" mke2fs -t ext3 -b 4096 2G 2>/dev/null
	sync
	mount_as "$2" "$IMG" "$MNT" "$([ "$2" = kernel ] || echo "${OPTIONS:-}")" || return
	for jobs in 1 4 8; do
		workload=append-fsync$([ $jobs = 1 ] || echo -$jobs)
		[ "$2" = kernel ] || before=$(counter journal.commits)
		rate=$(bench "$workload" "$MNT") || return
		echo "$1 $2 $jobs $rate" >>"$raw"
		[ "$2" != kernel ] || continue
		after=$(counter journal.commits)
		echo "$1 share $jobs $(awk -v n=$((jobs * 1000)) -v c=$((after - before)) 'BEGIN { print n / c }')" >>"$raw"
	done
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG" >/dev/null || { echo "$2 left a damaged image"; return 1; }
}

for round in $(seq "$rounds"); do
	drivers="kernel extant"
	[ $((round % 2)) = 1 ] || drivers="extant kernel"
	for driver in $drivers; do
		one_driver "$round" "$driver" || exit 1
	done
done

awk -v bars="${BARS:-}" '
	{ value[$1, $2, $3] = $4; if ($1 > rounds) rounds = $1 }
	function median(list, count,	i, j, t) {
		for (i = 2; i <= count; i++)
			for (j = i; j > 1 && list[j - 1] > list[j]; j--) {
				t = list[j]; list[j] = list[j - 1]; list[j - 1] = t
			}
		return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
	}
	function column(kind, jobs,	r, list) {
		for (r = 1; r <= rounds; r++)
			list[r] = kind == "ratio" ? value[r, "extant", jobs] / value[r, "kernel", jobs] : value[r, kind, jobs]
		return median(list, rounds)
	}
	END {
		print "append 4 KiB + fsync, medians of " rounds " rounds"
		printf "%-10s %10s %10s %15s %16s\n", "processes", "kernel/s", "extant/s", "extant/kernel", "fsyncs/commit"
		for (jobs = 1; jobs <= 8; jobs = jobs == 1 ? 4 : jobs * 2)
			printf "%-10d %10.0f %10.0f %15.2f %16.2f\n", jobs, column("kernel", jobs),
				column("extant", jobs), column("ratio", jobs), column("share", jobs)
		if (bars && (column("share", 8) < 3 || column("ratio", 1) <= 1 || column("ratio", 4) <= 1))
			exit 1
	}' "$raw"
