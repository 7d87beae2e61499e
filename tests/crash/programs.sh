#!/usr/bin/env bash
# Real programs on a recorded mount, and every sampled cut of it: sqlite with a rollback journal and with
# a write-ahead log, and git. After each cut the image is mounted: PRAGMA integrity_check and git fsck
# pass, and what the programs had committed before the cut is there.
#
#	programs.sh [STATES]
. "$(dirname "$0")/../mount/lib.sh"
need_fuse
states=${1:-40}
[ -z "$QUICK" ] || states=8
export MNT WORK

# record PROGRAM: $WORK/before.img as it was, $WORK/rec what was written, $WORK/notes what was
# committed when the record had how many bytes
record()
{
	command -v "$2" >/dev/null || { echo "there is no $2"; exit 77; }
	rm -f "$WORK/rec" "$WORK/notes"
	make_image "$WORK/live.img" mkfs.extant -t ext3 -J size=4 64M
	cp --sparse=always "$WORK/live.img" "$WORK/before.img"
	mount_as extant "$WORK/live.img" "$MNT" "record=$WORK/rec"
	"$1"
	unmount "$MNT" "$WORK/live.img"
	rm "$WORK/live.img"
}
note() { echo "$(stat -c %s "$WORK/rec") $1" >>"$WORK/notes"; }

# The last thing that was noted before the cut.
committed() { awk -v cut="$EXTANT_CUT_RECORD_BYTES" '$1 <= cut { last = $2 } END { print last }' "$WORK/notes"; }

# on_state CHECK IMAGE: what extantctl calls
on_state()
{
	local status=0 dir=$WORK/state
	mkdir -p "$dir"
	extant "$2" "$dir" 2>"$WORK/state.err" || { cat "$WORK/state.err"; return 1; }
	"$1" "$dir" || status=1
	umount "$dir" || fusermount3 -u "$dir"
	until flock -n "$2" true; do sleep 0.01; done
	e2fsck -fn "$2" >"$WORK/state.fsck" 2>&1 || { cat "$WORK/state.fsck"; status=1; }
	return $status
}

# EXTRA: with less the last commit is the removal of the journal, which nobody syncs.
use_sqlite()
{
	local i
	sqlite3 "$MNT/db" "PRAGMA journal_mode=$1; CREATE TABLE t(n INTEGER, text TEXT);" >/dev/null
	note 0
	for i in $(seq 40); do
		sqlite3 "$MNT/db" "PRAGMA synchronous=EXTRA; BEGIN; INSERT INTO t VALUES($i, hex(randomblob($((i * 53)))));
			UPDATE t SET text = text || 'x' WHERE n % 5 = $i % 5; COMMIT;"
		note "$i"
	done
}
rollback() { use_sqlite DELETE; }
wal() { use_sqlite WAL; }

check_sqlite()
{
	local last have
	last=$(committed)
	[ -n "$last" ] || return 0
	[ "$(sqlite3 "$1/db" 'PRAGMA integrity_check')" = ok ] || { echo "integrity_check"; return 1; }
	have=$(sqlite3 "$1/db" 'SELECT coalesce(max(n), 0) FROM t') || return 1
	[ "$have" -ge "$last" ] || { echo "$last was committed, $have is there"; return 1; }
	[ "$(sqlite3 "$1/db" 'SELECT count(*) FROM t')" = "$have" ]
}

use_git()
{
	local i
	export HOME=$WORK GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a \
		GIT_COMMITTER_EMAIL=a@b
	git init -q "$MNT/r"
	git -C "$MNT/r" config core.fsync all
	git -C "$MNT/r" config gc.auto 0
	for i in $(seq 12); do
		seq "$i" $((i * 300)) >"$MNT/r/file$((i % 4))"
		git -C "$MNT/r" add .
		git -C "$MNT/r" commit -q -m "$i"
		sync "$MNT/r/.git/refs/heads" # git syncs the file of the branch, and not its renaming
		note "$i"
	done
}

check_git()
{
	local last have
	last=$(committed)
	[ -n "$last" ] || return 0
	export HOME=$WORK GIT_CONFIG_NOSYSTEM=1
	git -c safe.directory='*' -C "$1/r" fsck --full >"$WORK/git.out" 2>&1 || { cat "$WORK/git.out"; return 1; }
	have=$(git -c safe.directory='*' -C "$1/r" rev-list --count HEAD) || return 1
	[ "$have" -ge "$last" ] || { echo "$last was committed, $have is there"; return 1; }
}

export -f committed on_state check_sqlite check_git

survives()
{
	record "$1" "$3"
	# shellcheck disable=SC2016
	extantctl crash --states "$states" --cut --to "$WORK/cut.img" "$WORK/before.img" "$WORK/rec" \
		bash -c 'on_state "$1" "$2"' state "$2"
}

refuses() { ! "$@"; }

# The record lies where the user was, every moment can be tried, a state that fails can be made again.
tool_itself()
{
	local out=$WORK/tool.out
	make_image "$WORK/tool.img" mkfs.extant -t ext3 8M
	cp --sparse=always "$WORK/tool.img" "$WORK/before.img"
	(cd "$WORK" && mount_as extant "$WORK/tool.img" "$MNT" "record=tool.rec")
	echo text >"$MNT/file"
	sync "$MNT/file"
	note 1
	mkdir "$MNT/dir"
	unmount "$MNT" "$WORK/tool.img"
	[ -s "$WORK/tool.rec" ]
	extantctl crash --cut --every "$WORK/before.img" "$WORK/tool.rec" e2fsck -p >"$out" 2>&1 || [ $? = 1 ]
	grep -q ' states, ' "$out"
	refuses extantctl crash --every "$WORK/before.img" "$WORK/tool.rec" \
		bash -c '[ "$(debugfs -R "stat file" "$1" 2>/dev/null | grep -c Inode:)" = 0 ]' x >"$out"
	# shellcheck disable=SC2046
	extantctl crash --to "$WORK/again.img" $(sed -n 's/.*again: \(.*\)$/\1/p' "$out" | tail -1) \
		"$WORK/before.img" "$WORK/tool.rec" | grep -q "it is in $WORK/again.img"
	e2fsck -p "$WORK/again.img" >/dev/null || [ $? = 1 ]
	debugfs -R "cat file" "$WORK/again.img" 2>/dev/null | grep -qx text
	extantctl crash --help | grep -q EXTANT_CUT_RECORD_BYTES
	refuses extantctl crash --states 2>/dev/null
	refuses extantctl crash "$WORK/tool.rec" "$WORK/tool.rec" true 2>/dev/null
}

try "extantctl crash: every moment, one again, a record without a path" tool_itself
try "sqlite with a rollback journal" survives rollback check_sqlite sqlite3
try "sqlite with a write-ahead log" survives wal check_sqlite sqlite3
try "git" survives use_git check_git git
finish
