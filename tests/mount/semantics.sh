#!/usr/bin/env bash
# What programs rely on (tests/mount/semantics.c), on a mount of 4 KiB and of 1 KiB blocks, and on
# the kernel's own ext3 as the measure: what fails there asks for the wrong thing.
. "$(dirname "$0")/lib.sh"
need_fuse

# The suites' own counts count; the image must be clean afterwards, which is one test more.
measure()
{
	local driver=$1 line
	shift
	if ! make_image "$IMG" mke2fs "$@" 64M || ! mount_as "$driver" "$IMG" "$MNT"; then
		nr_failed=$((nr_failed + 1))
		echo "FAILED: no mount by $driver of mke2fs $*"
		return
	fi
	echo "$driver, mke2fs $*"
	chmod 777 "$MNT"
	DIR=$MNT semantics -S 1 2>&1 | tee "$WORK/out" | sed '$d'
	line=$(tail -n 1 "$WORK/out")
	if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		nr_passed=$((nr_passed + BASH_REMATCH[1]))
		nr_failed=$((nr_failed + BASH_REMATCH[2]))
		nr_skipped=$((nr_skipped + BASH_REMATCH[3]))
	else
		nr_failed=$((nr_failed + 1))
		echo "FAILED: no closing line: $line"
	fi
	try "the image is clean after all that ($driver)" at_rest
}

at_rest()
{
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

measure "$DRIVER" -t ext3 -b 4096 -I 256 -N 50000
measure "$DRIVER" -t ext3 -b 1024 -I 256 -N 50000
if is_root && [ "$DRIVER" != kernel ] && [ -z "$QUICK" ]; then
	measure kernel -t ext3 -b 4096 -I 256 -N 50000
fi
finish
