#!/usr/bin/env bash
# Random damage: does fsck.extant find a problem exactly when e2fsck does, and is everything well after -y?
#
#	random.sh [FROM [TO]]      seeds, default 1 200
#
# Images of 1, 2 and 4 KiB blocks are filled with a tree, and each seed damages 1 to 50 metadata blocks of
# one of them (tests/tools/corrupt.c). Then
#	fsck.extant -fn and e2fsck -fn agree whether there is a problem,
#	fsck.extant -fy leaves 1 (or 0 where there was nothing),
#	fsck.extant -fn and e2fsck -fn leave 0 after it,
#	what e2fsck -fy keeps of the files is kept (tests/tools/keptfiles.c).
#
# KEEP=DIR keeps the damaged image of each seed that failed, and what was lost in DIR/lost. FSCK is the
# program, BUILD where it is. COMPARE= (empty) leaves out the comparison of files.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=$(cd "${BUILD:-build}" && pwd) || exit 1
FSCK=${FSCK:-$BUILD/bin/fsck.extant}
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
FROM=${1:-1} TO=${2:-200}
BASE_DIR=${TMPDIR:-/tmp}
[ -w /dev/shm ] && BASE_DIR=/dev/shm
WORK=$(mktemp -d "$BASE_DIR/extant-fsck.XXXXXX") || exit 1
trap 'rm -rf "$WORK"' EXIT
KEEP=${KEEP:-}
COMPARE=${COMPARE-yes}

for tool in e2fsck mke2fs; do
	command -v $tool >/dev/null || { echo "no $tool here"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
done

# ---- images ----

make_tree()
{
	local i
	mkdir -p "$1"/big "$1"/deep/a/b/c
	for i in $(seq 1 420); do
		printf '%*s' $((i * 37 % 3000)) x >"$1/big/file_number_$i$(printf '%*s' $((i % 23)) "" | tr ' ' x)"
	done
	for i in $(seq 1 60); do
		mkdir -p "$1/d$((i % 12))/s$i"
		printf '%*s' $((i * 211)) y >"$1/d$((i % 12))/s$i/f"
		ln -s "../f$i" "$1/d$((i % 12))/short$i"
		echo "$i" >"$1/deep/a/b/c/$i"
	done
	ln -s "$(printf '%0300d' 7)" "$1/long"
	head -c 700000 /dev/urandom >"$1/large"
	head -c 90000 /dev/urandom >"$1/middle"
	truncate -s 40M "$1/sparse" && printf end | dd of="$1/sparse" bs=1 seek=41000000 conv=notrunc status=none
	ln "$1/large" "$1/d3/hard"
	mkfifo "$1/fifo"
	for i in $(seq 1 8); do
		echo "$i" >"$1/x$i"
		setfattr -n user.k -v "$(printf '%0400d' $((i % 2)))" "$1/x$i" 2>/dev/null
	done
}

make_images()
{
	make_tree "$WORK/tree" || return 1
	mke2fs -q -F -t ext3 -b 1024 -d "$WORK/tree" "$WORK/base0" 20M &&
		mke2fs -q -F -t ext2 -b 2048 -g 4096 -d "$WORK/tree" "$WORK/base1" 20M &&
		mke2fs -q -F -t ext3 -J size=4 -b 4096 -g 2048 -d "$WORK/tree" "$WORK/base2" 28M &&
		mke2fs -q -F -t ext2 -b 1024 -I 128 -O ^dir_index,^resize_inode -d "$WORK/tree" "$WORK/base3" 16M
	# mke2fs -d makes directories without an index; e2fsck -D makes the index.
	for i in 0 1 2; do
		e2fsck -fyD "$WORK/base$i"
		e2fsck -fn "$WORK/base$i" || return 1
	done
}

make_images >/dev/null 2>&1 || { echo "images cannot be made"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }

# ---- one seed ----

# The exit status says so; or its words, as e2fsck leaves 0 after what it found before its passes.
before='look bad|trying backup|marked uninitialized|Resize inode not valid|journal is present|Invalid [a-z]* quota inode'
found() { [ $(($1 & 12)) -ne 0 ] || grep -qE "$before" "$2"; }
img=$WORK/img
passed=0 failed=0 disagreed=0 unusable=0 compared=0 lost=0

report()
{
	echo "seed $seed (base $((seed % 4))): $1"
	sed 's/^/    /' "$WORK/damage"
	[ -n "$KEEP" ] && mkdir -p "$KEEP" && cp --sparse=always "$WORK/kept" "$KEEP/$seed.img"
	failed=$((failed + 1))
}

# Has e2fsck kept a file that we have not? An image that it leaves damaged is no measure.
compare_files()
{
	[ -n "$COMPARE" ] || return 0
	timeout 60 e2fsck -fy "$WORK/kept" >"$WORK/their_repair" 2>&1
	timeout 60 e2fsck -fy "$WORK/kept" >/dev/null 2>&1 || return 0
	"$BUILD/tools/keptfiles" "$WORK/base$((seed % 4))" "$WORK/kept" "$img" >"$WORK/lost" 2>&1
	case $? in
	0) compared=$((compared + 1)) ;;
	1)
		compared=$((compared + 1))
		lost=$((lost + 1))
		[ -z "$KEEP" ] || sed "s/^/$seed /" "$WORK/lost" >>"$KEEP/lost"
		;;
	*)
		sed "s/^/seed $seed: /" "$WORK/lost"
		return 1
		;;
	esac
}

try_seed()
{
	local theirs ours repair after second theirs_found ours_found
	cp --sparse=always "$WORK/base$((seed % 4))" "$img"
	"$BUILD/tools/corrupt" "$seed" "$img" >"$WORK/damage" || { report "no damage"; return; }
	[ -n "$KEEP$COMPARE" ] && cp --sparse=always "$img" "$WORK/kept"
	timeout 60 e2fsck -fn "$img" >"$WORK/theirs" 2>&1; theirs=$?
	timeout 60 "$FSCK" -fn "$img" >"$WORK/ours" 2>&1; ours=$?
	if [ $ours -gt 12 ]; then
		report "-fn left $ours"
		return
	fi
	if found $theirs "$WORK/theirs"; then theirs_found=1; else theirs_found=0; fi
	if found $ours /dev/null; then ours_found=1; else ours_found=0; fi
	if [ $theirs_found -ne $ours_found ]; then
		disagreed=$((disagreed + 1))
		report "e2fsck -fn left $theirs, fsck.extant -fn left $ours"
		return
	fi
	timeout 120 "$FSCK" -fy "$img" >"$WORK/repair" 2>&1; repair=$?
	if [ $((repair & 8)) -ne 0 ] && [ $ours -eq 8 ] || [ $repair -eq 8 ] && [ $theirs -ge 8 ]; then
		unusable=$((unusable + 1))	# no superblock, or one that neither of us may touch
		[ -n "$KEEP" ] && grep '^fsck.extant' "$WORK/ours" | sed "s/^/$seed /" >>"$KEEP/unusable"
		passed=$((passed + 1))
		return
	fi
	[ $repair -le 1 ] || { report "-fy left $repair"; return; }
	timeout 60 "$FSCK" -fn "$img" >"$WORK/second" 2>&1; second=$?
	timeout 60 e2fsck -fn "$img" >"$WORK/after" 2>&1; after=$?
	if [ $second -ne 0 ] || [ $after -ne 0 ]; then
		report "after -fy: fsck.extant -fn left $second, e2fsck -fn left $after"
		grep -v '^Pass\|^$' "$WORK/after" | head -3 | sed 's/^/  > /'
		return
	fi
	compare_files || { report "the files cannot be compared"; return; }
	passed=$((passed + 1))
}

[ -z "$KEEP" ] || mkdir -p "$KEEP"
for seed in $(seq "$FROM" "$TO"); do
	try_seed
done
total=$((TO - FROM + 1))
echo "$disagreed of $total disagreed with e2fsck, $unusable unusable for both"
echo "$lost of $compared lost a file that e2fsck keeps"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
