#!/usr/bin/env bash
# The image's driver is a choice: over each of them a tree goes in and comes out again, here and by the
# kernel's own driver; the scheduler changes under load; what cannot go together is refused; what the host
# refuses is done another way, and said; freed blocks become holes; an image that somebody cuts is an
# error and no crash.
. "$(dirname "$0")/lib.sh"
need_fuse
[ "$DRIVER" = extant ] || { skip "${0##*/}" "asks for extant's own drivers"; finish; }

# refused PATTERN OPTIONS
refused()
{
	local status=0
	extant -o "$2" "$IMG" "$MNT" >"$WORK/said" 2>&1 || status=$?
	cat "$WORK/said"
	[ "$status" != 0 ] && [ "$(wc -l <"$WORK/said")" = 1 ] && grep -q -- "$1" "$WORK/said"
}

carries_a_tree()
{
	make_image "$IMG" mke2fs -t "$2" -b "$3" 96M
	mount_it "$IMG" "$MNT" "$1"
	cp -a src tests "$MNT/"
	head -c 5000001 /dev/urandom >"$WORK/big"
	cp "$WORK/big" "$MNT/big"
	dd if="$WORK/big" of="$MNT/big" bs=1000 skip=7 seek=1234 count=77 conv=notrunc status=none
	dd if="$WORK/big" of="$WORK/big" bs=1000 skip=7 seek=1234 count=77 conv=notrunc status=none
	truncate -s 3000001 "$MNT/big"
	truncate -s 9000000 "$MNT/big"
	truncate -s 3000001 "$WORK/big"
	truncate -s 9000000 "$WORK/big"
	fallocate -p -o 100000 -l 200000 "$MNT/big"
	fallocate -p -o 100000 -l 200000 "$WORK/big"
	cmp "$WORK/big" "$MNT/big"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
	mount_it "$IMG" "$MNT" "$1,ro"
	cmp "$WORK/big" "$MNT/big"
	diff -r src "$MNT/src"
	diff -r tests "$MNT/tests"
	unmount "$MNT" "$IMG"
}

# After carries_a_tree: the kernel reads the same.
kernel_agrees()
{
	is_root || { echo "needs root for a mount by the kernel"; return 77; }
	mount -o ro,loop "$IMG" "$MNT" || { echo "the kernel mounts no ext3 here"; return 77; }
	cmp "$WORK/big" "$MNT/big"
	diff -r src "$MNT/src"
	umount "$MNT"
}

switches_schedulers()
{
	local name pid
	make_image "$IMG" mke2fs -t ext3 -b 4096 96M
	mount_it "$IMG" "$MNT" "$1"
	# In front the mount is there a moment before the daemon answers.
	timeout 20 sh -c 'until extantctl stat "$0" >/dev/null 2>&1; do sleep 0.05; done' "$MNT"
	(for i in 1 2 3; do cp -r src "$MNT/copy$i"; done; sync "$MNT") &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		for name in noop sstf scan cscan deadline; do
			extantctl sched "$MNT" "$name" >/dev/null
		done
	done
	wait "$pid"
	for i in 1 2 3; do
		diff -r src "$MNT/copy$i"
	done
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

refuses_nonsense()
{
	make_image "$IMG" mke2fs -t ext3 -b 4096 16M
	refused "none of file|uring|mmap|sim" driver=floppy
	refused "dax needs driver=mmap" dax
	refused "dax needs driver=mmap" driver=uring,dax
	refused "direct excludes driver=mmap" driver=mmap,direct
	refused "sqpoll needs driver=uring" driver=file,sqpoll
	refused "profile needs driver=sim" profile=ssd
	refused "mode needs driver=sim" driver=uring,mode=pio-poll
	refused "dax and cow" driver=mmap,dax,cow
	refused "dax and record" "driver=mmap,dax,record=$WORK/log"
	refused "dax and data=journal" driver=mmap,dax,data=journal
}

# What the host refuses: the daemon under a filter that has no io_uring.
falls_back_to_file()
{
	make_image "$IMG" mke2fs -t ext3 -b 4096 32M
	without_uring extant -o driver=uring "$IMG" "$MNT" >"$WORK/said" 2>&1
	cat "$WORK/said"
	grep -q "io_uring is not to be had.*driver=file" "$WORK/said"
	cp -r include "$MNT/"
	diff -r include "$MNT/include"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

caches_no_page_of_data()
{
	make_image "$IMG" mke2fs -t ext3 -b 4096 64M
	mount_it "$IMG" "$MNT" driver=mmap,dax
	head -c 20000000 /dev/urandom >"$WORK/big"
	cp "$WORK/big" "$MNT/big"
	sync "$MNT/big"
	cmp "$WORK/big" "$MNT/big"
	cp "$IMG" "$WORK/synced.img"	# what fsync made durable is in the file
	extantctl stat "$MNT" >"$WORK/stat"
	grep cache "$WORK/stat"
	grep -qx 'cache.bytes_copied_in 0' "$WORK/stat"
	grep -qx 'cache.bytes_lent 0' "$WORK/stat"
	[ "$(sed -n 's/^cache.pages //p' "$WORK/stat")" -lt 500 ]
	unmount "$MNT" "$IMG"
	e2fsck -fp "$WORK/synced.img" || [ $? = 1 ]
	debugfs -R "dump big $WORK/back" "$WORK/synced.img"
	cmp "$WORK/big" "$WORK/back"
	rm -f "$WORK/synced.img" "$WORK/back"
}

survives_a_cut_image()
{
	make_image "$IMG" mke2fs -t ext3 -b 4096 64M
	mount_it "$IMG" "$MNT" "$1"
	head -c 40000000 /dev/urandom >"$MNT/big"
	unmount "$MNT" "$IMG"
	mount_it "$IMG" "$MNT" "$1"
	cp --sparse=never "$IMG" "$WORK/whole"
	truncate -s 10M "$IMG"
	must_fail cmp -s "$MNT/big" /dev/zero
	must_fail cat "$MNT/big" >/dev/null
	[ -n "$(daemons_of "$IMG")" ]
	extantctl stat "$MNT" >/dev/null
	umount "$MNT" 2>/dev/null || fusermount3 -u "$MNT"
	wait_gone "$IMG"
	rm "$WORK/whole"
}

# What a mount did can be done again, by us and by fio; and what fio did, by us.
writes_an_iolog()
{
	rm -f "$WORK/first.log" "$WORK/second.log" "$WORK/fio.log"
	make_image "$IMG" mke2fs -t ext3 -b 4096 64M
	mount_it "$IMG" "$MNT" "$1,iolog=$WORK/first.log"
	cp -r include "$MNT/"
	sync "$MNT/include/base/types.h"
	extantctl iolog "$MNT"
	extantctl trace --iolog "$WORK/second.log" "$MNT"
	must_fail extantctl iolog "$MNT" "$WORK/third.log"
	cp -r src "$MNT/"
	unmount "$MNT" "$IMG"
	for log in first second; do
		[ "$(head -n 1 "$WORK/$log.log")" = "fio version 3 iolog" ]
		[ "$(tail -n 1 "$WORK/$log.log" | cut -d ' ' -f 2-)" = "$IMG close" ]
		grep -q "^[0-9]* $IMG write [0-9]* [0-9]*\$" "$WORK/$log.log"
	done
	cp "$IMG" "$WORK/before.img"
	extantctl replay "$WORK/second.log" "$IMG"
	cmp "$WORK/before.img" "$IMG"
	extantctl replay --write --driver uring --sched deadline --depth 8 "$WORK/second.log" "$WORK/before.img"
	must_fail extantctl replay "$IMG" "$WORK/before.img"
	{ head -n 1 "$WORK/second.log"; echo "0 $IMG read 4096 18446744073709547520"; } >"$WORK/absurd.log"
	must_fail extantctl replay "$WORK/absurd.log" "$IMG" 2>&1 | grep "absurd.log:2: beyond the end"
	echo "$IMG melt 0 512" >>"$WORK/second.log"
	must_fail extantctl replay "$WORK/second.log" "$IMG"
	rm -f "$WORK/before.img"
	command -v fio >/dev/null || return 0
	fio --name=r --read_iolog="$WORK/first.log" --ioengine=psync --replay_no_stall=1 | grep "err= 0"
	fio --name=w --filename="$IMG" --size=4M --rw=randrw --ioengine=psync --write_iolog="$WORK/fio.log" >/dev/null
	extantctl replay "$WORK/fio.log" "$IMG"
	extantctl replay --timed "$WORK/fio.log" "$IMG"
}

# A request of the week after next: who keeps to times waits for it, everybody else does not. The mount's own
# log has the pause that was made between two writes.
replays_in_time()
{
	local status=0
	make_image "$IMG" mke2fs -t ext2 -b 4096 16M
	printf '%s\n' "fio version 3 iolog" "0 f add" "0 f open" "1 f read 0 4096" "1000000000000 f read 4096 4096" \
		"1000000000000 f close" >"$WORK/far.log"
	timeout 60 extantctl replay "$WORK/far.log" "$IMG"
	timeout 1 extantctl replay --timed "$WORK/far.log" "$IMG" || status=$?
	[ "$status" = 124 ]
	printf '%s\n' "fio version 2 iolog" "f add" "f open" "f read 0 4096" "f close" >"$WORK/old.log"
	extantctl replay "$WORK/old.log" "$IMG"
	must_fail extantctl replay --timed "$WORK/old.log" "$IMG" 2>"$WORK/said"
	grep "no times" "$WORK/said"

	rm -f "$WORK/own.log"
	mount_it "$IMG" "$MNT" "iolog=$WORK/own.log"
	echo one >"$MNT/one"
	sync "$MNT/one"
	sleep 1
	echo two >"$MNT/two"
	sync "$MNT/two"
	unmount "$MNT" "$IMG"
	[ "$(tail -n 1 "$WORK/own.log" | cut -d ' ' -f 1)" -ge 1000000 ]
	sort -snc -k 1,1 <(tail -n +2 "$WORK/own.log")
	extantctl replay --timed "$WORK/own.log" "$IMG" >"$WORK/said"
	cat "$WORK/said"
	awk '$1 == "seconds" { exit $2 < 1 }' "$WORK/said"
	grep -q '^late ' "$WORK/said"
}

blocks_of() { du -k "$IMG" | cut -f 1; }

frees_the_hosts_space()
{
	local full
	make_image "$IMG" mke2fs -t "$2" -b 4096 64M
	mount_it "$IMG" "$MNT" "$1"
	head -c 30000000 /dev/urandom >"$MNT/big"
	cp -r include "$MNT/"
	sync "$MNT/big"
	full=$(blocks_of)
	rm "$MNT/big"
	unmount "$MNT" "$IMG"
	echo "$full KiB before, $(blocks_of) after"
	[ "$(blocks_of)" -lt $((full - 28000)) ]
	fsck_clean "$IMG"
	mount_it "$IMG" "$MNT" ro
	diff -r include "$MNT/include"
	unmount "$MNT" "$IMG"
}

stat_of() { extantctl stat "$MNT" | awk -v name="$1" '$1 == name { print $2 }'; }

# The cache's memory, with the ring where all I/O goes through it.
registers_the_cache()
{
	make_image "$IMG" mke2fs -t ext3 -b 4096 64M
	mount_it "$IMG" "$MNT" driver=uring,direct
	head -c 3000000 /dev/urandom >"$WORK/big"
	cp "$WORK/big" "$MNT/big"
	extantctl stat "$MNT" | grep registe
	[ "$(stat_of disk.registered_bytes)" -ge 2097152 ]
	[ "$(stat_of disk.register_refused_bytes)" = 0 ]
	unmount "$MNT" "$IMG"
	mount_it "$IMG" "$MNT" driver=uring
	cmp "$WORK/big" "$MNT/big"
	[ "$(stat_of disk.registered_bytes)" = 0 ]
	unmount "$MNT" "$IMG"
}

does_without_locked_memory()
{
	is_root && command -v setpriv >/dev/null || { echo "needs root and setpriv to give up the right to lock memory"; return 77; }
	make_image "$IMG" mke2fs -t ext3 -b 4096 64M
	(ulimit -l 64 && setpriv --inh-caps=-ipc_lock --bounding-set=-ipc_lock extant -o driver=uring,direct "$IMG" "$MNT")
	head -c 3000000 /dev/urandom >"$WORK/big"
	cp "$WORK/big" "$MNT/big"
	extantctl stat "$MNT" | grep registe
	[ "$(stat_of disk.registered_bytes)" = 0 ]
	[ "$(stat_of disk.register_refused_bytes)" -ge 2097152 ]
	unmount "$MNT" "$IMG"
	mount_it "$IMG" "$MNT" ro
	cmp "$WORK/big" "$MNT/big"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

try "with io_uring and O_DIRECT the cache's memory is registered" registers_the_cache
try "where memory cannot be locked the same is served without" does_without_locked_memory
# QUICK, for sanitizers, which slow all down: no driver twice for one thing.
if [ -n "$QUICK" ]; then
	carry="driver=uring,sqpoll driver=mmap,dax,discard driver=file,direct,discard driver=sim,profile=nvme,mode=ring-irq"
	small='' switch="driver=uring driver=sim,profile=ssd" cut=driver=mmap,dax free='' log=driver=uring
else
	carry="driver=file driver=uring driver=mmap driver=mmap,dax driver=file,direct driver=uring,direct \
		driver=uring,sqpoll driver=sim,profile=nvme,mode=ring-irq"
	small="driver=uring driver=mmap,dax driver=file,direct"
	switch="driver=file driver=uring driver=mmap driver=sim,profile=ssd"
	cut="driver=mmap driver=mmap,dax driver=file"
	free="driver=file,discard driver=uring,discard driver=mmap,dax,discard"
	log="driver=file driver=sim,profile=nvme"
fi
for options in $carry; do
	try "$options carries a tree" carries_a_tree "$options" ext3 4096
	try "$options: the kernel reads what it left" kernel_agrees
done
for options in $small; do
	try "$options carries a tree in blocks of 1 KiB" carries_a_tree "$options" ext2 1024
done
for options in $switch; do
	try "$options: schedulers change under load" switches_schedulers "$options"
done
try "what cannot go together is refused" refuses_nonsense
try "without io_uring the file driver serves, and says so" falls_back_to_file
try "dax keeps no page of data" caches_no_page_of_data
for options in $cut; do
	try "$options: a cut image is an error" survives_a_cut_image "$options"
done
for options in $free; do
	try "$options gives space back" frees_the_hosts_space "$options" ext3
done
for options in $log; do
	try "$options: requests are written for fio, and done again" writes_an_iolog "$options"
done
try "a replay keeps to the times of a log, when asked" replays_in_time
try "so does one without a journal" frees_the_hosts_space driver=file,discard ext2
finish
