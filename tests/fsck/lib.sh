# shellcheck shell=bash
# What the scripts that damage images have in common: where things are, and the images before the damage.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=$(cd "${BUILD:-build}" && pwd) || exit 1
FSCK=${FSCK:-$BUILD/bin/fsck.extant}
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
CASES=tests/fsck
BASE_DIR=${TMPDIR:-/tmp}
[ -w /dev/shm ] && BASE_DIR=/dev/shm
WORK=$(mktemp -d "$BASE_DIR/extant-fsck.XXXXXX") || exit 1
trap 'rm -rf "$WORK"' EXIT

need()
{
	local tool
	for tool in "$@"; do
		command -v "$tool" >/dev/null && continue
		echo "no $tool here"
		[ "${CI:-}" = true ] && { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
		echo "0 passed, 0 failed, 1 skipped"
		exit 0
	done
}

# ---- the images that are damaged ----

numbers() { seq -s ' ' 1 "$1" | head -c "$2"; }

make_tree()
{
	local t=$1 i
	mkdir -p "$t/dir/sub/deep" "$t/many" "$t/other"
	numbers 2000 2900 >"$t/file"
	numbers 300000 700000 >"$t/big"
	numbers 300000 30000 >"$t/middle"
	numbers 300000 30000 >"$t/middle2"
	: >"$t/empty"
	for i in x y z; do
		echo "$i" >"$t/dir/$i"
	done
	echo deep >"$t/dir/sub/deep/file"
	echo other >"$t/other/file"
	for i in $(seq 1 260); do
		echo "$i" >"$t/many/name_of_a_file_in_a_large_directory_$i"
	done
	ln "$t/file" "$t/dir/hard"
	ln -s file "$t/short"
	ln -s "$(printf '%0200d' 0)" "$t/long"
	mkfifo "$t/fifo"
	truncate -s 3M "$t/sparse"
	printf end | dd of="$t/sparse" bs=1 seek=3000000 conv=notrunc status=none
	for i in 1 2; do
		echo "$i" >"$t/ea$i"
		setfattr -n user.name -v "$(printf '%0400d' "$i")" "$t/ea$i" || return 1
	done
	echo s >"$t/small"
	setfattr -n user.s -v value "$t/small"
}

# Indexes are made by e2fsck -D, as mke2fs -d makes directories without.
base()
{
	local name=$1 size=$2
	shift 2
	mke2fs -q -F "$@" -d "$WORK/tree" "$WORK/$name" "$size" || return 1
	e2fsck -fyD "$WORK/$name"
	e2fsck -fn "$WORK/$name"
}

make_bases()
{
	make_tree "$WORK/tree" &&
		base k1 10M -t ext3 -J size=1 -b 1024 -g 2048 -N 1024 &&
		base k2 12M -t ext2 -b 2048 -g 2048 -N 1024 &&
		base k4 24M -t ext3 -J size=4 -b 4096 -g 2048 -N 1024 &&
		base plain 8M -t ext2 -b 1024 -I 128 -N 1024 -O ^filetype,^dir_index,^resize_inode,^large_file
}

# damage CASE IMAGE: a copy of its base, damaged as its recipe says.
damage()
{
	local recipe=$CASES/$1/recipe
	cp --sparse=always "$WORK/$(sed -n 's/^base //p' "$recipe")" "$2" &&
		sed '/^base /d' "$recipe" | "$BUILD/tools/imgedit" "$2"
}

# The base that a seed damages, and the damage.
base_of_seed() { set -- k1 k2 k4 plain "$1"; shift $(($5 % 4)); echo "$1"; }
damage_by_seed()
{
	cp --sparse=always "$WORK/$(base_of_seed "$1")" "$2" && "$BUILD/tools/corrupt" "$1" "$2" >/dev/null
}

all_cases()
{
	local recipe
	for recipe in "$CASES"/*/recipe; do
		basename "$(dirname "$recipe")"
	done
}

# watched VAR=VALUE... COMMAND: with what tests/fsck/iowatch.c does for IMAGE.
watched()
{
	ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-} env LD_PRELOAD="$BUILD/tools/iowatch.so" "$@"
}
