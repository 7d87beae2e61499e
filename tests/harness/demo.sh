#!/usr/bin/env bash
# Shows the main job end to end, as a user would type it: an image, a mount, a real tree copied in
# and compared, an unmount that waits, and e2fsck's word on what is left. Runs as root and as an
# ordinary user (who needs fusermount3 and may open /dev/fuse).
set -u

bin=$(cd "${BUILD:-build}/bin" && pwd) || exit 1
PATH=$bin:$PATH:/usr/sbin:/sbin
dir=$(mktemp -d "${TMPDIR:-/tmp}/extant-demo.XXXXXX") || exit 1
cd "$dir" || exit 1

clean_up()
{
	mountpoint -q "$dir/mnt" && fusermount3 -u "$dir/mnt"
	cd / && rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# Prints the command, runs it, and stops the demonstration where it fails.
show()
{
	printf '\n$ %s\n' "$*"
	"$@" || { status=$?; printf '# failed with status %d\n' "$status"; exit 1; }
}
say() { printf '# %s\n' "$*"; }

# The daemon ends some time after the unmount returned: it holds the image until all is written.
wait_for_image()
{
	for _ in $(seq 600); do
		flock -n "$1" true && return 0
		sleep 0.1
	done
	say "the daemon still holds $1 after a minute"
	return 1
}

tree=/usr/include
[ -d $tree ] || tree=/usr/share/doc
if [ ! -r /dev/fuse ] || [ ! -w /dev/fuse ]; then
	say "$(id -un) may not open /dev/fuse here, so there is nothing to show: run this as root, or"
	say "let users in (as most systems do): chmod 666 /dev/fuse"
	exit 1
fi

printf 'In an empty directory, with %s in the PATH:\n' "${BUILD:-build}/bin"
show mkfs.extant -q disk.img 1G
say "a file of $(stat -c %s disk.img) bytes that takes $(du -k disk.img | cut -f1) KiB of the disk"
show mkdir mnt
show extant disk.img mnt
say "$(findmnt -n -o FSTYPE,SOURCE,OPTIONS mnt)"
began=$(date +%s%N)
show cp -a $tree mnt/
ms=$((($(date +%s%N) - began) / 1000000))
files=$(find "mnt/${tree##*/}" | wc -l)
say "$files files and directories, $(du -sm "mnt/${tree##*/}" | cut -f1) MiB, in $ms ms"
show df -h mnt
show diff -r --no-dereference $tree "mnt/${tree##*/}"
say "no difference"
show fusermount3 -u mnt
wait_for_image disk.img || exit 1
say "and the daemon has let go of the image"
show e2fsck -fn disk.img
say "e2fsck found nothing to mend"
show extant -o ro disk.img mnt
show diff -r --no-dereference $tree "mnt/${tree##*/}"
say "the same tree after a fresh mount, read-only"
show fusermount3 -u mnt
wait_for_image disk.img || exit 1
printf '\nAll of it worked. (The directory %s is removed again.)\n' "$dir"
