# shellcheck shell=bash
#
# What the mkfs tests have in common: programs under test, a working directory that goes away, and
# the count of what held. Sourced from the project's top directory.

BUILD=${BUILD:-build}
BIN=$(cd "${BIN:-$BUILD/bin}" 2>/dev/null && pwd) || { echo "no programs in ${BIN:-$BUILD/bin}"; exit 1; }
TOOLS=$(cd "$BUILD/tools" 2>/dev/null && pwd)
PATH=$BIN:$TOOLS:$PATH:/usr/sbin:/sbin
export LC_ALL=C
# Nothing of the caller's may reach the programs.
unset SOURCE_DATE_EPOCH E2FSPROGS_FAKE_TIME MKE2FS_CONFIG

WORK=$(mktemp -d "${TMPDIR:-/tmp}/extant-mkfs.XXXXXX") || exit 1
MNT=$WORK/mnt
mkdir "$MNT"
nr_passed=0 nr_failed=0 nr_skipped=0
loops=()

clean_up()
{
	cd /
	mountpoint -q "$MNT" && { umount "$MNT" || umount -l "$MNT"; }
	local loop
	for loop in "${loops[@]}"; do
		losetup -d "$loop" 2>/dev/null
	done
	rm -rf "$WORK"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

pass() { nr_passed=$((nr_passed + 1)); }

# fail WHAT [FILE]: with what the file says.
fail()
{
	nr_failed=$((nr_failed + 1))
	echo "FAILED: $1"
	[ -n "${2:-}" ] && sed 's/^/    /' "$2" | head -40
}

# skip WHAT: counted as failed in CI.
skip()
{
	if [ "${CI:-}" = true ]; then
		fail "$1 (cannot be tried here)"
	else
		nr_skipped=$((nr_skipped + 1))
	fi
}

# expect WHAT COMMAND...: the command must succeed.
expect()
{
	local what=$1
	shift
	if "$@" > "$WORK/out" 2>&1; then
		pass
	else
		fail "$what" "$WORK/out"
	fi
}

finish()
{
	echo "$nr_passed passed, $nr_failed failed, $nr_skipped skipped"
	[ "$nr_failed" -eq 0 ]
	exit
}

# need PROGRAM...: without them nothing can be tried.
need()
{
	local program
	for program in "$@"; do
		command -v "$program" > /dev/null && continue
		echo "$program is not here"
		skip "everything"
		finish
	done
}

# can_mount WHAT: is the kernel's driver ours to use? Else WHAT is skipped.
can_mount()
{
	if [ -z "${mount_works:-}" ]; then
		mount_works=no
		[ "$(id -u)" = 0 ] && losetup -f > /dev/null 2>&1 && grep -qw ext3 /proc/filesystems && mount_works=yes
	fi
	[ $mount_works = yes ] && return
	skip "$1"
	return 1
}

# attach FILE: sets $loop.
attach()
{
	loop=$(losetup -f --show "$1") || return 1
	loops+=("$loop")
}
