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
	dumpe2fs -h "$IMG" 2>/dev/null | grep -q needs_recovery
	cp "$IMG" "$WORK/before"
	refused 'journal|recover' mount_as_is
	refused 'journal|recover' mount_as_is -o ro
	cmp "$IMG" "$WORK/before"
}

# A copy of what the kernel is writing, as a pulled plug leaves it.
torn_from_the_kernel()
{
	make_image "$WORK/busy.img" mke2fs -t ext3 -b 1024 64M
	mount_as kernel "$WORK/busy.img" "$MNT"
	for i in $(seq 300); do
		mkdir "$MNT/d$i"
		echo "$i" >"$MNT/d$i/file"
	done
	sync -f "$MNT"
	for i in $(seq 300); do
		mv "$MNT/d$i/file" "$MNT/d$i/renamed"
	done
	sync -f "$MNT"
	cp --sparse=always "$WORK/busy.img" "$IMG"
	umount "$MNT"
	dumpe2fs -h "$IMG" 2>/dev/null | grep -q needs_recovery
	cp "$IMG" "$WORK/before"
	refused 'journal|recover' mount_as_is
	refused 'journal|recover' mount_as_is -o ro
	cmp "$IMG" "$WORK/before"
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

marked_while_mounted()
{
	fresh
	[ "$(state_of "$IMG")" = clean ]
	mount_it "$IMG" "$MNT"
	touch "$MNT/x"
	sync "$MNT"
	[ "$(state_of "$IMG")" = "not clean" ]
	unmount "$MNT" "$IMG"
	[ "$(state_of "$IMG")" = clean ]
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

killed()
{
	local pid
	fresh
	mount_it "$IMG" "$MNT"
	pid=$(daemons_of "$IMG")
	dirty_the_mount
	sync "$MNT/d"
	kill -9 "$pid"
	umount "$MNT" 2>/dev/null || fusermount3 -u "$MNT"
	wait_gone "$IMG"
	[ "$(state_of "$IMG")" = "not clean" ]
	e2fsck -fy "$IMG" || [ $? -le 1 ]
	fsck_clean "$IMG"
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
try "a journal that needs recovery is refused, image untouched" needs_recovery
if is_root; then
	try "an image torn from the kernel's hands is refused, both ways" torn_from_the_kernel
	try "an image that the kernel has mounted is refused" mounted_by_the_kernel
fi
try "a mounted image is locked, and the holder is named" locked_image
try "mkfs.extant asks for -F before it overwrites" mkfs_asks_for_force
try "a read-only mount changes no byte" read_only_changes_nothing
try "an image that may not be written can be mounted read-only" read_only_file
try "a mounted image is marked not clean, until it is unmounted" marked_while_mounted
try "umount ends the daemon, everything is there" ended_by umount
try "fusermount3 -u ends the daemon, everything is there" ended_by fusermount
try "SIGTERM unmounts cleanly" ended_by TERM
try "SIGINT unmounts cleanly" ended_by INT
try "SIGHUP unmounts cleanly" ended_by HUP
try "a busy mount stays, and ends well later" busy_until_it_is_not
try "kill -9 leaves an image that says so" killed
try "-f stays in front and leaves with 0 at a signal" in_front
try "the mount serves when the command returns" serves_when_it_returns
finish
