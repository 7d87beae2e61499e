#!/usr/bin/env bash
# The daemon's memory stays where it was told: its peak resident size is at most cache= and 64 MiB
# through a large write, a large read, and the creation of many files, in small blocks too.
#
# FULL=1: 10 GiB written and read, 1,000,000 files; QUICK=1: an eighth of what is tried else.
. "$(dirname "$0")/lib.sh"
need_fuse

cache_mib=64
rest_mib=64
data_mib=1024
nr_dirs=60	# more than the unused inodes that are kept
if [ -n "${FULL:-}" ]; then
	data_mib=10240
	nr_dirs=1000
elif [ -n "$QUICK" ]; then
	data_mib=128
	nr_dirs=5
fi

# peak_is_bounded: of the daemon that serves $IMG
peak_is_bounded()
{
	local peak_kib
	peak_kib=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$(daemons_of "$IMG")/status")
	echo "peak: $((peak_kib / 1024)) MiB after $1, cache=${cache_mib}M" | tee -a "$WORK/peaks"
	[ "$peak_kib" -gt 0 ]
	[ "$peak_kib" -le $(((cache_mib + rest_mib) * 1024)) ]
}

# files DIR COUNT: empty ones, in one directory
files()
{
	mkdir "$1"
	(cd "$1" && seq -f 'a-name-of-usual-length-%.0f' "$2" | xargs touch)
}

# data_and_files BLOCK-SIZE
data_and_files()
{
	local dir
	make_image "$IMG" mkfs.extant -t ext3 -b "$1" -N $((nr_dirs * 1000 + 5000)) $((data_mib + 1024 + nr_dirs))M
	mount_it "$IMG" "$MNT" "cache=${cache_mib}M"
	dd if=/dev/zero of="$MNT/data" bs=1M count="$data_mib"
	peak_is_bounded "the write"
	unmount "$MNT" "$IMG"
	mount_it "$IMG" "$MNT" "cache=${cache_mib}M"
	dd if="$MNT/data" of=/dev/null bs=1M
	peak_is_bounded "the read"
	for dir in $(seq "$nr_dirs"); do
		files "$MNT/$dir" 1000
	done
	peak_is_bounded "the files"
	find "$MNT" -type f -size 0 | wc -l | grep -qx $((nr_dirs * 1000))
	peak_is_bounded "the list of them"
	unmount "$MNT" "$IMG"
}

try "cache= and 64 MiB are enough, blocks of 4 KiB" data_and_files 4096
try "cache= and 64 MiB are enough, blocks of 1 KiB" data_and_files 1024
cat "$WORK/peaks"
finish
