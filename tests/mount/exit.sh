#!/usr/bin/env bash
# Honest endings: what cannot be mounted is refused with a status and one line that says why, what
# must not change does not, and a mount that ended, ended clean - or is seen not to have.
. "$(dirname "$0")/lib.sh"
need_fuse

# refused PATTERN COMMAND...: fails, nothing is mounted, and its message matches
refused()
{
	local pattern=$1 status=0
	shift
	"$@" >"$WORK/out" 2>&1 || status=$?
	echo "status $status: $(cat "$WORK/out")"
	[ "$status" -ne 0 ]
	[ "$status" -lt 126 ] # neither missing nor killed
	grep -qiE -e "$pattern" "$WORK/out"
	[ "$(wc -l <"$WORK/out")" -le 4 ]
	must_fail mountpoint -q "$MNT"
	[ -z "$(daemons_of "$IMG")" ]
}

sum() { sha256sum <"$1" | cut -d' ' -f1; }

fresh() { make_image "$IMG" mke2fs -t ext3 -b 1024 16M; }

# ---- refusals ----

unknown_option() { fresh; refused nosuchoption mount_as_is -o ro,nosuchoption; }
bad_value() { fresh; refused 'commit|many' mount_as_is -o commit=many; }
mount_as_is() { extant "$@" "$IMG" "$MNT"; }
missing_image() { refused 'No such file.*|not exist' extant "$WORK/none.img" "$MNT"; }
missing_directory() { fresh; refused 'nowhere' extant "$IMG" "$WORK/nowhere"; }
no_arguments() { refused 'IMAGE DIR' extant; }
image_only() { fresh; refused 'usage|directory' extant "$IMG"; }
is_directory() { refused . extant "$WORK" "$MNT"; }

not_a_file_system()
{
	head -c 1M /dev/urandom >"$IMG"
	refused 'not an? .*(ext|file ?system)|no .*file ?system|magic' mount_as_is
	: >"$IMG"
	refused . mount_as_is
	head -c 1500 /dev/zero >"$IMG"
	refused . mount_as_is
}

whole_disk()
{
	# An MBR with one partition, as a disk image has it.
	head -c 4M /dev/zero >"$IMG"
	printf '\x80\x01\x01\x00\x83\xfe\xff\xff\x00\x08\x00\x00\x00\x10\x00\x00' |
		dd of="$IMG" bs=1 seek=446 conv=notrunc status=none
	printf '\x55\xaa' | dd of="$IMG" bs=1 seek=510 conv=notrunc status=none
	refused . mount_as_is
	must_fail grep -q 'fsck -.*y' "$WORK/out" # advice that would destroy it
}

# flip OFFSET HEX: bytes of the superblock at 1024
poke() { printf '%b' "$2" | dd of="$IMG" bs=1 seek=$((1024 + $1)) conv=notrunc status=none; }

damaged_superblock()
{
	local offset
	for offset in 0x04 0x18 0x20 0x28 0x58; do # blocks, block size, blocks and inodes a group, inode size
		fresh
		poke $((offset)) '\xff\xff\xff\x7f'
		refused . mount_as_is
	done
}

unknown_features()
{
	fresh
	debugfs -w -R "feature extents" "$IMG" >/dev/null 2>&1
	refused extent mount_as_is
	refused extent mount_as_is -o ro
	fresh
	poke 0x60 '\x00\x00\x00\x40' # incompat bit 30, which nobody has defined
	refused 'feature|FEATURE' mount_as_is
}

# The bit of a feature that writers must know.
unknown_ro_compat_is_read_only()
{
	fresh
	poke 0x64 '\x00\x00\x00\x40'
	if ! extant "$IMG" "$MNT" 2>"$WORK/out"; then
		refused 'feature|read-only' mount_as_is
		return
	fi
	cat "$WORK/out"
	grep -qi 'read-only' "$WORK/out"
	must_fail touch "$MNT/x" 2>/dev/null
	unmount "$MNT" "$IMG"
}

needs_recovery()
{
	fresh
	debugfs -w -R "feature needs_recovery" "$IMG" >/dev/null 2>&1
	is_marked "$IMG"
	cp "$IMG" "$WORK/before"
	mount_it "$IMG" "$MNT" ro
	ls "$MNT"
	unmount "$MNT" "$IMG"
	cmp "$IMG" "$WORK/before"
	mount_it "$IMG" "$MNT"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

# busy_image DRIVER: as $IMG a copy of what that driver is writing, as a pulled plug leaves it
busy_image()
{
	make_image "$WORK/busy.img" mke2fs -t ext3 -b 1024 64M
	mount_as "$1" "$WORK/busy.img" "$MNT"
	for i in $(seq 300); do
		mkdir "$MNT/d$i"
		echo "$i" >"$MNT/d$i/file"
	done
	sync_all
	for i in $(seq 300); do
		mv "$MNT/d$i/file" "$MNT/d$i/renamed"
	done
	sync_all
	cp --sparse=always "$WORK/busy.img" "$IMG"
	unmount "$MNT" "$WORK/busy.img"
	is_marked "$IMG"
}

# The fsync of a directory makes all that was done before durable.
sync_all()
{
	sync -f "$MNT"
	sync "$MNT" "$MNT/d300" "$MNT/d300"/*
}

busy_tree_is_there()
{
	local i
	for i in $(seq 300); do
		[ "$(cat "$MNT/d$i/renamed")" = "$i" ] || { echo "d$i/renamed: $(ls -l "$MNT/d$i")"; return 1; }
	done
	[ "$(find "$MNT" -mindepth 1 -maxdepth 1 | wc -l)" = 301 ] # with lost+found
}

# recovered_by DRIVER WRITER
recovered_by()
{
	busy_image "$2"
	# Read-only the recovered tree is shown, too, and no byte changes.
	if [ "$1" = extant ]; then
		cp "$IMG" "$WORK/before"
		mount_as extant "$IMG" "$MNT" ro
		busy_tree_is_there
		unmount "$MNT" "$IMG"
		cmp "$IMG" "$WORK/before"
	fi
	if [ "$1" = e2fsck ]; then
		e2fsck -fy "$IMG" || [ $? -le 1 ]
		mount_as kernel "$IMG" "$MNT" ro
	else
		mount_as "$1" "$IMG" "$MNT"
	fi
	busy_tree_is_there
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

# ---- the lock ----

locked_image()
{
	local holder
	fresh
	mkdir -p "$WORK/mnt2"
	mount_it "$IMG" "$MNT"
	holder=$(daemons_of "$IMG")
	for command in "extant $IMG $WORK/mnt2" "extant -o ro $IMG $WORK/mnt2" "mkfs.extant -F -q $IMG"; do
		echo "$command"
		# shellcheck disable=SC2086 # its words
		must_fail $command >"$WORK/out" 2>&1
		cat "$WORK/out"
		grep -qw "$holder" "$WORK/out"
	done
	touch "$MNT/still-works"
	must_fail mountpoint -q "$WORK/mnt2"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

mounted_by_the_kernel()
{
	fresh
	mkdir -p "$WORK/mnt2"
	mount_as kernel "$IMG" "$WORK/mnt2"
	refused 'mounted|loop|in use' mount_as_is
	must_fail mkfs.extant -q "$IMG" >"$WORK/out" 2>&1
	umount "$WORK/mnt2"
	fsck_clean "$IMG"
}

mkfs_asks_for_force()
{
	fresh
	must_fail mkfs.extant -q "$IMG" 1024 </dev/null >"$WORK/out" 2>&1
	cat "$WORK/out"
	fsck_clean "$IMG"
	[ "$(dumpe2fs -h "$IMG" 2>/dev/null | awk '/^Block count/ { print $3 }')" = 16384 ]
}

# ---- read-only ----

read_only_changes_nothing()
{
	local before
	fresh
	mount_it "$IMG" "$MNT"
	cp -r tests/mount "$MNT/tree"
	ln -s x "$MNT/link"
	unmount "$MNT" "$IMG"
	before=$(sum "$IMG")
	mount_it "$IMG" "$MNT" ro
	ls -lR "$MNT"
	find "$MNT" -type f -exec cat {} + >/dev/null
	for command in "touch $MNT/x" "rm $MNT/link" "mkdir $MNT/d" "chmod 700 $MNT/tree" "mv $MNT/link $MNT/l"; do
		# shellcheck disable=SC2086 # its words
		must_fail $command
	done
	unmount "$MNT" "$IMG"
	[ "$(sum "$IMG")" = "$before" ]
}

read_only_file()
{
	fresh
	chmod 444 "$IMG"
	mount_it "$IMG" "$MNT" ro
	ls "$MNT"
	unmount "$MNT" "$IMG"
}

# ---- endings ----

dirty_the_mount()
{
	mkdir "$MNT/d"
	for i in $(seq 200); do
		head -c 5000 /dev/urandom >"$MNT/d/$i"
	done
}

state_of() { dumpe2fs -h "$1" 2>/dev/null | sed -n 's/^Filesystem state: *//p'; }

# A journal's owner sets needs_recovery, others take the clean flag away; either tells fsck.
is_marked()
{
	dumpe2fs -h "$1" 2>/dev/null | grep -q 'Filesystem features:.*needs_recovery' ||
		[ "$(state_of "$1")" = "not clean" ]
}

marked_while_mounted()
{
	make_image "$IMG" mke2fs -t "$1" -b 1024 16M
	fsck_clean "$IMG"
	mount_it "$IMG" "$MNT"
	touch "$MNT/x"
	sync "$MNT"
	is_marked "$IMG"
	unmount "$MNT" "$IMG"
	must_fail is_marked "$IMG"
	fsck_clean "$IMG"
}

# ended_by HOW...
ended_by()
{
	local pid
	fresh
	mount_it "$IMG" "$MNT"
	pid=$(daemons_of "$IMG")
	dirty_the_mount
	find "$MNT" | sort >"$WORK/names"
	cat "$MNT"/d/* | sha256sum >"$WORK/sum"
	case $1 in
	umount) if is_root; then umount "$MNT"; else fusermount3 -u "$MNT"; fi ;;
	fusermount) fusermount3 -u "$MNT" ;;
	*) kill "-$1" "$pid" ;;
	esac
	wait_gone "$IMG"
	must_fail mountpoint -q "$MNT"
	fsck_clean "$IMG"
	mount_it "$IMG" "$MNT" ro
	find "$MNT" | sort | cmp - "$WORK/names"
	cat "$MNT"/d/* | sha256sum | cmp - "$WORK/sum"
	unmount "$MNT" "$IMG"
}

busy_until_it_is_not()
{
	fresh
	mount_it "$IMG" "$MNT"
	exec 9>"$MNT/open"
	if is_root; then
		must_fail umount "$MNT"
	fi
	echo more >&9
	exec 9>&-
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

# killed TYPE REPAIRED-BY: what was synced is there afterwards
killed()
{
	local pid
	make_image "$IMG" mke2fs -t "$1" -b 1024 16M
	mount_it "$IMG" "$MNT"
	pid=$(daemons_of "$IMG")
	dirty_the_mount
	sync "$MNT/d"/* "$MNT/d" "$MNT"
	cat "$MNT"/d/* | sha256sum >"$WORK/sum"
	kill -9 "$pid"
	umount "$MNT" 2>/dev/null || fusermount3 -u "$MNT"
	wait_gone "$IMG"
	is_marked "$IMG"
	case $2 in
	e2fsck) e2fsck -fy "$IMG" || [ $? -le 1 ] ;;
	extant)
		mount_it "$IMG" "$MNT"
		unmount "$MNT" "$IMG"
		;;
	esac
	fsck_clean "$IMG"
	mount_it "$IMG" "$MNT" ro
	cat "$MNT"/d/* | sha256sum | cmp - "$WORK/sum"
	unmount "$MNT" "$IMG"
}

in_front()
{
	fresh
	extant -f "$IMG" "$MNT" &
	for _ in $(seq 100); do
		mountpoint -q "$MNT" && break
		sleep 0.1
	done
	touch "$MNT/x"
	kill -INT $!
	wait $! # status 0, by set -e
	fsck_clean "$IMG"
}

serves_when_it_returns()
{
	fresh
	for _ in $(seq 10); do
		extant "$IMG" "$MNT"
		touch "$MNT/x"
		unmount "$MNT" "$IMG"
	done
	fsck_clean "$IMG"
}

try "an unknown option is refused by name" unknown_option
try "an option with a senseless value is refused" bad_value
try "a missing image is refused" missing_image
try "a missing directory is refused" missing_directory
try "no arguments are answered with the usage" no_arguments
try "an image without a directory is refused" image_only
try "a directory is no image" is_directory
try "what is no file system is refused" not_a_file_system
try "a whole disk is refused without dangerous advice" whole_disk
try "impossible superblocks are refused" damaged_superblock
try "unknown incompat features are refused by name" unknown_features
try "an unknown ro_compat feature never lets one write" unknown_ro_compat_is_read_only
try "a journal that needs recovery is recovered, by a read-only mount without a change" needs_recovery
if is_root; then
	try "what the kernel left in its journal is recovered by extant" recovered_by extant kernel
	try "what extant left in its journal is recovered by the kernel" recovered_by kernel extant
	try "what extant left in its journal is recovered by e2fsck" recovered_by e2fsck extant
	try "an image that the kernel has mounted is refused" mounted_by_the_kernel
fi
try "a mounted image is locked, and the holder is named" locked_image
try "mkfs.extant asks for -F before it overwrites" mkfs_asks_for_force
try "a read-only mount changes no byte" read_only_changes_nothing
try "an image that may not be written can be mounted read-only" read_only_file
try "what extant left in its journal is recovered by extant" recovered_by extant extant
try "a mounted ext2 is marked until it is unmounted" marked_while_mounted ext2
try "a mounted ext3 is marked until it is unmounted" marked_while_mounted ext3
try "umount ends the daemon, everything is there" ended_by umount
try "fusermount3 -u ends the daemon, everything is there" ended_by fusermount
try "SIGTERM unmounts cleanly" ended_by TERM
try "SIGINT unmounts cleanly" ended_by INT
try "SIGHUP unmounts cleanly" ended_by HUP
try "a busy mount stays, and ends well later" busy_until_it_is_not
try "kill -9 leaves an ext2 that says so and that e2fsck mends" killed ext2 e2fsck
try "kill -9 leaves an ext3 that e2fsck recovers" killed ext3 e2fsck
try "kill -9 leaves an ext3 that the next mount recovers" killed ext3 extant
try "-f stays in front and leaves with 0 at a signal" in_front
try "the mount serves when the command returns" serves_when_it_returns
finish
