#!/usr/bin/env bash
# What must hold: mkfs.extant writes over nothing that it knows, nor over what somebody uses; it
# refuses what it cannot do with one sentence and status 1, and changes nothing then; what it was
# forced to do leaves no trace of the old content; the same inputs give the same bytes; -n changes
# nothing; holes stay holes.
#
#	BUILD	the build that is tested (default build); BIN its programs (default BUILD/bin)
#	CI	true: what cannot be tried for want of a tool or a right counts as failed
set -u

cd "$(dirname "$0")/../.." || exit 1
. tests/mkfs/lib.sh

IMG=$WORK/disk.img
UUID=11111111-2222-3333-4444-555555555555
mkfs=mkfs.extant

fresh() { rm -f "$IMG" && truncate -s "${1:-16M}" "$IMG"; }
sum() { cksum < "$IMG"; }

# refused TEXT COMMAND...: status 1, exactly the image of before, TEXT in what is said on stderr.
refused()
{
	local text=$1 before=absent status
	shift
	[ -e "$IMG" ] && before=$(sum)
	"$@" < /dev/null > "$WORK/stdout" 2> "$WORK/stderr"
	status=$?
	cat "$WORK/stderr"
	[ $status = 1 ] || { echo "status $status"; return 1; }
	grep -qF -- "$text" "$WORK/stderr" || { echo "nothing was said of '$text'"; return 1; }
	[ ! -s "$WORK/stdout" ] || { echo "on stdout:"; cat "$WORK/stdout"; return 1; }
	if [ "$before" = absent ]; then
		[ ! -e "$IMG" ] || { echo "the file was created"; return 1; }
	else
		[ "$(sum)" = "$before" ] || { echo "the image was changed"; return 1; }
	fi
}

# done_by COMMAND...: status 0, and e2fsck is content.
done_by() { "$@" < /dev/null && e2fsck -fn "$IMG"; }

# put OFFSET TEXT: bytes into the image, with printf's escapes.
put() { printf "$2" | dd of="$IMG" bs=1 seek="$1" conv=notrunc status=none; }

# ---- what is there already ----

# known TEXT: what lies in the image now must be named, and may be overwritten with -F only.
known()
{
	expect "refused: $1" refused "contains $1" $mkfs "$IMG"
	expect "forced over: $1" done_by $mkfs -q -F "$IMG"
	expect "-n looks, and leaves alone: $1" leaves_alone "$1"
}

leaves_alone()
{
	local before
	before=$(sum)
	$mkfs -n "$IMG" < /dev/null && [ "$(sum)" = "$before" ]
}

# sig TEXT OFFSET BYTES
sig()
{
	fresh
	put "$2" "$3"
	known "$1"
}

sig "an XFS file system" 0 'XFSB'
sig "a btrfs file system" 65600 '_BHRfS_M'
sig "an NTFS file system" 3 'NTFS    '
sig "an exFAT file system" 3 'EXFAT   '
sig "an F2FS file system" 1024 '\020\040\365\362'
sig "a squashfs file system" 0 'hsqs'
sig "an ISO 9660 file system" 32769 'CD001'
sig "swap space" 4086 'SWAPSPACE2'
sig "a LUKS encrypted volume" 0 'LUKS\272\276'
sig "an LVM physical volume" 512 'LABELONE'
sig "a GPT partition table" 512 'EFI PART'
sig "a RAID member (md)" 4096 '\374N+\251'
sig "a qcow2 disk image" 0 'QFI\373'

fresh
put 54 'FAT16   '
put 510 '\125\252'
known "a FAT file system"
fresh
put 446 '\200\0\0\0\203\0\0\0\0\010\0\0\0\020\0\0'
put 510 '\125\252'
known "an MBR partition table with 1 partition"
for type in ext2 ext3 ext4; do
	fresh 64M
	mke2fs -q -t $type -L "a label" -F "$IMG" 2> /dev/null
	known "an $type file system labelled 'a label'"
done
fresh
$mkfs -q "$IMG"
known "an ext3 file system"

boot_code_alone()
{
	fresh
	put 510 '\125\252'
	done_by $mkfs -q "$IMG"
}
expect "a boot mark without partitions is no reason to refuse" boot_code_alone

says_what_to_do()
{
	fresh && put 0 XFSB && ! $mkfs "$IMG" < /dev/null 2> "$WORK/err"
	grep -q -- "-F" "$WORK/err" && grep -q "byte 0" "$WORK/err"
}
expect "the refusal says where it was seen, and -F" says_what_to_do

# ---- what is in use ----

locked()
{
	fresh
	(
		flock -x 9
		refused "$IMG" $mkfs -F "$IMG"
	) 9< "$IMG"
}
if command -v flock > /dev/null; then
	expect "a locked image is refused, also with -F" locked
else
	skip "a locked image is refused, also with -F"
fi

mounted()
{
	fresh && $mkfs -q "$IMG" && mount -o loop "$IMG" "$MNT" || return 1
	local status=0
	refused "mounted" $mkfs -F "$IMG" || status=1
	refused "mounted" $mkfs -F "$(awk -v m="$MNT" '$2 == m { print $1 }' /proc/mounts)" || status=1
	umount "$MNT" && return $status
}
can_mount "a mounted image is refused, also with -F" &&
	expect "a mounted image is refused, also with -F" mounted

# ---- what cannot be done ----

rm -f "$IMG"
expect "no file" refused "which file" $mkfs
expect "a missing file without size" refused "does not exist" $mkfs "$IMG"
expect "a directory" refused "neither" $mkfs "$WORK" 10M
expect "a character device" refused "neither" $mkfs /dev/null 10M
expect "a path that leads nowhere" refused "No such file" $mkfs "$WORK/none/file" 10M
: > "$IMG"
expect "an empty file without size" refused "is empty" $mkfs "$IMG"
rm -f "$IMG"

# no TEXT OPTION...: refused for a 16 MiB image, which is not created either.
no()
{
	local text=$1
	shift
	expect "refused: $*" refused "$text" $mkfs "$@" "$IMG" 16M
}
no "ext4" -t ext4
no "only once" -t ext3 -t ext2
no "block size" -b 512
no "block size" -b 3000
no "block size" -b 8192
no "-b 1x" -b 1x
no "inode size" -I 130
no "inode size" -I 2048
no "-I 64" -I 64
no "-i 100" -i 100
no "-i 99999999999" -i 99999999999
no "-N -1" -N -1
no "do not fit" -N 10000000
no "-m 51" -m 51
no "-m -1" -m -1
no "-m nan" -m nan
no "-m 5%" -m 5%
no "-g 250" -g 250
no "multiple of 8" -g 1001
no "out of range" -b 1024 -g 16384
no "-r 2" -r 2
no "-e stop" -e stop
no "-o plan9" -o plan9
no "Hurd" -o hurd
no "-U 1234" -U 1234
no "-U 11111111-2222-3333-4444-55555555555g" -U 11111111-2222-3333-4444-55555555555g
no "no feature of this name" -O frobnicate
for feature in extents 64bit flex_bg metadata_csum uninit_bg bigalloc encrypt quota journal_dev mmp casefold; do
	no "-O $feature: not supported" -O $feature
done
no "^resize_inode" -O meta_bg
no "^resize_inode" -O ^sparse_super
no "revision 0" -r 0 -j
no "revision 0" -r 0 -O filetype
no "unknown option \"frobnicate\"" -E frobnicate
no "stride" -E stride
no "stride" -E stride=x
no "UID:GID" -E root_owner=1
no "hash_seed" -E hash_seed=1
no "multiple of 512" -E offset=100
no "resize=" -E resize=1M
no "resize=" -E resize=0
no "packed_meta_blocks" -E packed_meta_blocks=1
no "quotatype" -E quotatype=usrquota
no "unknown option \"siz=4\"" -J siz=4
no "size" -J size=0
no "out of range" -b 4096 -J size=1
no "more than half" -J size=15
no "too large" -J size=99999999
no "another device" -J device=/dev/null
no "-c" -c
no "-d" -d /tmp
no "-l" -l /dev/null
no "-C" -C 64k
no "-G" -G 16
no "-z" -z undo
no "invalid option" -Z
expect "refused: an option without its value" refused "requires an argument" $mkfs "$IMG" 16M -L
for size in 0 12q 1.5G "" 99999999999999999999 99999999T; do
	expect "refused: size '$size'" refused "siz" $mkfs "$IMG" "$size"
done
expect "refused: a word too many" refused "too many" $mkfs "$IMG" 16M 17M
expect "too small for its tables" refused "too small" $mkfs "$IMG" 20K
expect "too small for lost+found" refused "no inode is left for lost+found" $mkfs "$IMG" 96K
expect "too many blocks" refused "32 bits" $mkfs -b 1024 "$IMG" 5T
expect "too many blocks even of 4 KiB" refused "32 bits" $mkfs "$IMG" 17T
SOURCE_DATE_EPOCH=yesterday expect "refused: SOURCE_DATE_EPOCH" refused "SOURCE_DATE_EPOCH" $mkfs "$IMG" 16M

file_too_large()
{
	rm -f "$IMG"
	(
		ulimit -f 1024
		refused "$IMG" $mkfs -q "$IMG" 16M
	)
}
expect "a limit on file sizes is told, and the file is taken away again" file_too_large

# ---- what is harmless ----

harmless()
{
	rm -f "$IMG"
	done_by $mkfs -q "$@" "$IMG" 16M
}
expect "features of ext4 turned off" harmless -O ^metadata_csum,^64bit,^extents
expect "lazy words" harmless -E lazy_itable_init=0,lazy_journal_init,nodiscard,discard
expect "-K and -D" harmless -K -D
expect "-T with an unknown word" harmless -T frobnicate,news
expect "-U time" harmless -U time
expect "-U clear" harmless -U clear

too_small_for_a_journal()
{
	rm -f "$IMG"
	done_by $mkfs "$IMG" 1M 2> "$WORK/err" || return 1
	grep -q "too small for a journal" "$WORK/err" && ! dumpe2fs -h "$IMG" 2>&1 | grep -q has_journal
}
expect "too small for a journal: a notice, ext2, status 0" too_small_for_a_journal

one_hundred_twenty_eight() { rm -f "$IMG" && done_by $mkfs -q "$IMG" 128K; }
expect "128 KiB are enough" one_hundred_twenty_eight

label_is_cut()
{
	harmless -L 12345678901234567890 && [ "$(e2label "$IMG")" = 1234567890123456 ]
}
expect "a long label is cut" label_is_cut

# ---- what is said ----

quiet()
{
	rm -f "$IMG"
	[ -z "$($mkfs -q "$IMG" 16M 2>&1)" ]
}
expect "-q says nothing" quiet

plan_only()
{
	rm -f "$IMG"
	$mkfs -n -q "$IMG" 16M | grep -q "16384 blocks of 1024 bytes" && [ ! -e "$IMG" ]
}
expect "-n shows the plan and creates nothing" plan_only

report()
{
	rm -f "$IMG"
	$mkfs -U $UUID "$IMG" 64M > "$WORK/report" || return 1
	cat "$WORK/report"
	grep -q "65536 blocks of 1024 bytes, 16384 inodes" "$WORK/report" && grep -q $UUID "$WORK/report" &&
		grep -q "8193, 24577, 40961, 57345" "$WORK/report" && grep -q "journal: *4096 blocks" "$WORK/report"
}
expect "the report names size, UUID, journal and backups" report

answered() { "$@" > "$WORK/text" 2>&1 && [ -s "$WORK/text" ]; }
expect "--help" answered $mkfs --help
expect "-V" answered $mkfs -V

help_and_page_agree()
{
	local option status=0
	for option in $($mkfs --help | grep -oE '^  -[A-Za-z]' | tr -d ' -'); do
		grep -qE "^\\.(BI?|BR) \\\\-$option" mkfs/mkfs.extant.8 || { echo "-$option is not in the page"; status=1; }
	done
	for option in $(grep -oE '^\.(BI?|BR) \\-[A-Za-z]' mkfs/mkfs.extant.8 | grep -oE '.$'); do
		$mkfs --help | grep -qE "(^|, )  ?-$option" || { echo "-$option is not in the help"; status=1; }
	done
	return $status
}
expect "the manual page and --help know the same options" help_and_page_agree

# ---- bytes ----

same_twice()
{
	local first
	rm -f "$IMG"
	SOURCE_DATE_EPOCH=1700000000 $mkfs -q -U $UUID -E hash_seed=$UUID "$IMG" 40M || return 1
	first=$(sum)
	# Another start: a file full of something else, and another moment.
	rm -f "$IMG"
	yes | head -c 40M > "$IMG"
	SOURCE_DATE_EPOCH=1700000000 $mkfs -q -U $UUID -E hash_seed=$UUID "$IMG"
	[ "$(sum)" = "$first" ]
}
expect "SOURCE_DATE_EPOCH, -U and hash_seed= give the same bytes" same_twice

differs_without()
{
	local first
	rm -f "$IMG"
	SOURCE_DATE_EPOCH=1700000000 $mkfs -q "$IMG" 8M && first=$(sum) && rm -f "$IMG"
	SOURCE_DATE_EPOCH=1700000000 $mkfs -q "$IMG" 8M && [ "$(sum)" != "$first" ]
}
expect "without -U two images have two UUIDs" differs_without

over_old_content()
{
	rm -f "$IMG"
	yes "old content" | head -c 40M > "$IMG"
	done_by $mkfs -q "$@" "$IMG"
}
expect "old content is no matter" over_old_content
expect "old content is no matter with nodiscard" over_old_content -E nodiscard
expect "old content is no matter to ext2" over_old_content -t ext2 -K

wiped()
{
	fresh
	put 0 XFSB && put 65600 _BHRfS_M && put 32769 CD001
	$mkfs -q -F -K -t ext2 "$IMG" 2>&1 && [ -z "$($mkfs "$IMG" < /dev/null 2>&1 | grep -vE "an ext2|nothing was")" ]
}
expect "no magic number of the old content is left, also with nodiscard" wiped

sparse()
{
	rm -f "$IMG"
	$mkfs -q "$IMG" 1T || return 1
	du -k "$IMG"
	[ "$(du -k "$IMG" | cut -f1)" -lt 131072 ] && [ "$(stat -c %s "$IMG")" = 1099511627776 ]
}
expect "a terabyte takes less than 128 MiB" sparse

grows()
{
	fresh 1M
	done_by $mkfs -q "$IMG" 20M && [ "$(stat -c %s "$IMG")" = 20971520 ]
}
expect "a file that is too small grows to the size asked for" grows

keeps_its_size()
{
	fresh 20M
	done_by $mkfs -q "$IMG" 5M && [ "$(stat -c %s "$IMG")" = 20971520 ] &&
		dumpe2fs -h "$IMG" 2> /dev/null | grep -q "^Block count: *5120"
}
expect "a larger file keeps its size" keeps_its_size

behind_an_offset()
{
	rm -f "$IMG"
	yes | head -c 1M > "$IMG"
	truncate -s 17M "$IMG"
	local head
	head=$(head -c 1M "$IMG" | cksum)
	$mkfs -q -E offset=1048576 "$IMG" || return 1
	[ "$(head -c 1M "$IMG" | cksum)" = "$head" ] || { echo "the bytes before it were changed"; return 1; }
	refused "contains an ext3" $mkfs -E offset=1048576 "$IMG" || return 1
	tail -c 16M "$IMG" > "$WORK/inner.img" && e2fsck -fn "$WORK/inner.img"
}
expect "offset= leaves what is before it" behind_an_offset

on_a_device()
{
	rm -f "$IMG"
	yes "old content" | head -c 32M > "$IMG"
	attach "$IMG" || return 1
	$mkfs -q "$@" "$loop" && e2fsck -fn "$loop" || return 1
	refused "contains an ext3" $mkfs "$loop" && refused "larger than the device" $mkfs -F "$loop" 33M
	local status=$?
	losetup -d "$loop"
	return $status
}
for words in discard nodiscard; do
	can_mount "on a block device, $words" && expect "on a block device, $words" on_a_device -E $words
done

finish
