#!/usr/bin/env bash
# kill -9 of the daemon in the middle of a mixed workload of four processes, N times (default 10).
# Copies of each image are recovered by a mount with extant, by e2fsck -p, and by a mount with the
# kernel: the three trees are the same, e2fsck -fn has nothing to say, and each file of which an
# fsync returned before the kill is there with its content.
#
#	[OPTIONS=data=journal] kill.sh [N]
. "$(dirname "$0")/../mount/lib.sh"
need_fuse
need_root "the kernel's mount of a loop device"

times=${1:-10}
[ -z "$QUICK" ] || times=2

# content P N: what worker P writes into its file N; from 1 to some 40,000 bytes
content() { seq "$(($1 * 1000 + $2))" "$(($1 * 1000 + $2 + ($2 * 7919 + $1) % 7000))"; }

# Synced files keep their names; round them there is noise that nobody promises anything about.
worker()
{
	local p=$1 n=0 dir=$MNT/w$1
	mkdir "$dir" || return
	while :; do
		n=$((n + 1))
		content "$p" "$n" >"$dir/new" && sync "$dir/new" && mv "$dir/new" "$dir/keep$n" &&
			sync "$dir" && echo "$p $n" >>"$WORK/synced.$p"
		mkdir "$dir/d$n" && cp -r /usr/include/linux/netfilter "$dir/d$n/" && ln -s "$n" "$dir/d$n/link"
		mv "$dir/d$n" "$dir/e$n"
		content "$p" "$n" >>"$dir/log"
		[ $((n % 3)) != 0 ] || rm -rf "$dir/e$((n - 1))"
		[ $((n % 4)) != 0 ] || truncate -s $((n * 777)) "$dir/log"
	done 2>/dev/null
}
export -f worker content

# tree DIR: names, sizes, modes, times and contents
tree()
{
	(cd "$1" && find . -printf '%p %y %s %m %n %T@ %l\n' | sort && find . -type f -exec md5sum {} + | sort -k 2)
}

synced_is_there()
{
	local p n
	while read -r p n; do
		cmp <(content "$p" "$n") "$1/w$p/keep$n" || { echo "synced, and not there: w$p/keep$n"; return 1; }
	done < <(cat "$WORK"/synced.* 2>/dev/null)
}

leave_dirty_image()
{
	local p pid workers=()
	rm -f "$WORK"/synced.*
	make_image "$WORK/dirty.img" mkfs.extant -t ext3 -J size=4 300M
	mount_as extant "$WORK/dirty.img" "$MNT" "${OPTIONS:-}"
	export MNT WORK
	for p in 1 2 3 4; do
		setsid bash -c "worker $p" &
		workers+=($!)
	done
	sleep "$((RANDOM % 2)).$((RANDOM % 9 + 1))"
	pid=$(daemons_of "$WORK/dirty.img")
	kill -9 "$pid"
	for p in "${workers[@]}"; do
		kill -9 -- "-$p" 2>/dev/null
	done
	wait "${workers[@]}" 2>/dev/null || true
	umount -l "$MNT"
	wait_gone "$WORK/dirty.img"
	dumpe2fs -h "$WORK/dirty.img" 2>/dev/null | grep -q needs_recovery
}

one_kill()
{
	local who
	leave_dirty_image
	for who in extant e2fsck kernel; do
		cp --sparse=always "$WORK/dirty.img" "$WORK/$who.img"
	done
	mount_as extant "$WORK/extant.img" "$MNT"
	tree "$MNT" >"$WORK/tree.extant"
	synced_is_there "$MNT"
	unmount "$MNT" "$WORK/extant.img"
	fsck_clean "$WORK/extant.img"
	e2fsck -p "$WORK/e2fsck.img"
	fsck_clean "$WORK/e2fsck.img"
	mount_as kernel "$WORK/e2fsck.img" "$MNT" ro
	tree "$MNT" >"$WORK/tree.e2fsck"
	umount "$MNT"
	mount_as kernel "$WORK/kernel.img" "$MNT"
	tree "$MNT" >"$WORK/tree.kernel"
	umount "$MNT"
	diff "$WORK/tree.extant" "$WORK/tree.e2fsck" | head -20
	diff "$WORK/tree.extant" "$WORK/tree.kernel" | head -20
	cmp "$WORK/tree.extant" "$WORK/tree.e2fsck"
	cmp "$WORK/tree.extant" "$WORK/tree.kernel"
}

for i in $(seq "$times"); do
	try "kill number $i is recovered alike by extant, e2fsck and the kernel" one_kill
done
finish
