#!/usr/bin/env bash
# Random damage: does fsck.extant find a problem exactly when e2fsck does, and is everything well after -y?
#
#	random.sh [FROM [TO]]      seeds, default 1 200
#
# Images of 1, 2 and 4 KiB blocks are filled with a tree (eight kinds, make_images()), and each seed damages 1 to
# 50 metadata blocks of one of them (tests/tools/corrupt.c). Then
#	fsck.extant -fn and e2fsck -fn agree whether there is a problem,
#	fsck.extant -fy leaves 1 (or 0 where there was nothing),
#	fsck.extant -fn and e2fsck -fn leave 0 after it,
#	what e2fsck -fy keeps of the files is kept (tests/tools/keptfiles.c).
#
# JOBS=N seeds at a time (default 1). MODE=fields damages fields to extremes instead (corrupt -x). KEEP=DIR keeps
# the damaged image of each seed that failed, and what was lost in DIR/lost. FSCK is the program, BUILD where it
# is. COMPARE= (empty) leaves out e2fsck -fy and the comparison of files.
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
JOBS=${JOBS:-1}
HOW=()
[ "${MODE:-blocks}" = fields ] && HOW=(-x)

for tool in e2fsck mke2fs debugfs; do
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
	seq 1 400000 | gzip -1n | head -c 700000 >"$1/large"
	seq 400000 500000 | gzip -1n | head -c 90000 >"$1/middle"
	truncate -s 40M "$1/sparse" && printf end | dd of="$1/sparse" bs=1 seek=41000000 conv=notrunc status=none
	ln "$1/large" "$1/d3/hard"
	mkfifo "$1/fifo"
	for i in $(seq 1 8); do
		echo "$i" >"$1/x$i"
		setfattr -n user.k -v "$(printf '%0400d' $((i % 2)))" "$1/x$i" 2>/dev/null
	done
}

# Attributes inside inodes and in blocks, lists of access among them, as far as the host has them.
add_attributes()
{
	local i
	for i in $(seq 1 60); do
		setfattr -n user.short -v "$i" "$1/deep/a/b/c/$i"
		setfacl -m "u:$((1000 + i % 3)):rwx,g:$((2000 + i)):r" "$1/d$((i % 12))/s$i/f"
		setfattr -n user.long -v "$(printf '%0600d' $((i % 5)))" "$1/d$((i % 12))/s$i"
	done
	setfacl -d -m u:1000:rwx "$1/big"
}

# A log with something in it: the difference between the image and the same with a file more.
make_log()
{
	local size=$3 block
	cp "$1" "$WORK/later"
	{
		echo "mkdir later"
		echo "write $WORK/tree/middle later/file"
		echo "rm /x3"
		echo "ln /middle /later/second"
	} | debugfs -w -f - "$WORK/later"
	e2fsck -fy "$WORK/later"
	e2fsck -fn "$WORK/later" || return 1
	cp "$1" "$2"
	: >"$WORK/script"
	echo jo >"$WORK/script"
	# Not the superblock, which says here that there is something in the log.
	for block in $(cmp -l "$1" "$WORK/later" | awk -v s="$size" '{ b = int(($1 - 1) / s); if (b > 1 && b != l) print b; l = b }'); do
		dd if="$WORK/later" of="$WORK/log$block" bs="$size" skip="$block" count=1 status=none
		echo "jw -b $block $WORK/log$block" >>"$WORK/script"
	done
	echo jc >>"$WORK/script"
	debugfs -w -f "$WORK/script" "$2"
	rm -f "$WORK"/log*
	cp "$2" "$WORK/replayed"
	e2fsck -fy "$WORK/replayed"
	e2fsck -fn "$WORK/replayed"
}

# The same tree, times and UUIDs everywhere, so that a seed is the same damage everywhere.
EPOCH=1700000000
SAME=(-U 11111111-2222-4333-8444-555555555555 -E hash_seed=66666666-7777-4888-9999-aaaaaaaaaaaa)
NR_BASES=8
make_images()
{
	local -x E2FSPROGS_FAKE_TIME=$EPOCH
	make_tree "$WORK/tree" || return 1
	find "$WORK/tree" -exec touch -h -d "@$EPOCH" {} +
	cp -a "$WORK/tree" "$WORK/tree4" && add_attributes "$WORK/tree4"
	mke2fs -q -F "${SAME[@]}" -t ext3 -b 1024 -d "$WORK/tree" "$WORK/base0" 20M &&
		mke2fs -q -F "${SAME[@]}" -t ext2 -b 2048 -g 4096 -d "$WORK/tree" "$WORK/base1" 20M &&
		mke2fs -q -F "${SAME[@]}" -t ext3 -J size=4 -b 4096 -g 2048 -d "$WORK/tree" "$WORK/base2" 28M &&
		mke2fs -q -F "${SAME[@]}" -t ext2 -b 1024 -I 128 -O ^dir_index,^resize_inode -d "$WORK/tree" "$WORK/base3" 16M &&
		mke2fs -q -F "${SAME[@]}" -t ext3 -b 1024 -I 512 -d "$WORK/tree4" "$WORK/base4" 20M &&
		mke2fs -q -F "${SAME[@]}" -t ext2 -r 0 -b 1024 -g 1024 -d "$WORK/tree" "$WORK/base5" 16M &&
		mke2fs -q -F "${SAME[@]}" -t ext3 -b 1024 -d "$WORK/tree" "$WORK/before6" 20M &&
		mke2fs -q -F "${SAME[@]}" -t ext2 -b 1024 -g 256 -N 1280 -O meta_bg,^resize_inode -d "$WORK/tree" "$WORK/base7" 20M || return 1
	# mke2fs -d makes directories without an index; e2fsck -D makes the index.
	for i in base0 base1 base2 base4 before6 base7; do
		e2fsck -fyD "$WORK/$i"
		e2fsck -fn "$WORK/$i" || return 1
	done
	e2fsck -fn "$WORK/base5" || return 1
	make_log "$WORK/before6" "$WORK/base6" 1024 || return 1
	for i in 0 1 2 3 4 5 7; do
		ln -s "base$i" "$WORK/whole$i"
	done
	ln -s replayed "$WORK/whole6"
}

make_images >"$WORK/made" 2>&1 || { tail -5 "$WORK/made"; echo "images cannot be made"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }

# ---- one seed ----

# The exit status says so; or its words, as e2fsck leaves 0 after what it found before its passes.
before='look bad|trying backup|marked uninitialized|Resize inode not valid|journal is present|Invalid [a-z]* quota inode|Resize_inode not enabled|invalid V2 journal'
found() { [ $(($1 & 12)) -ne 0 ] || grep -qE "$before" "$2"; }

report()
{
	{
		echo "seed $seed (base $base): $1"
		sed 's/^/    /' "$AT/damage"
		[ -z "${2:-}" ] || grep -v '^Pass\|^$' "$2" | head -3 | sed 's/^/  > /'
	} >"$AT/report"
	cat "$AT/report"
	[ -n "$KEEP" ] && cp --sparse=always "$AT/kept" "$KEEP/$seed.img"
	failed=$((failed + 1))
}

# Has e2fsck kept a file that we have not? An image that it leaves damaged, or with features that we refuse and
# it does not, is no measure.
compare_files()
{
	[ -n "$COMPARE" ] || return 0
	timeout 60 e2fsck -fy "$AT/kept" >"$AT/their_repair" 2>&1
	timeout 60 e2fsck -fy "$AT/kept" >/dev/null 2>&1 || return 0
	timeout 60 "$FSCK" -fn "$AT/kept" >/dev/null 2>&1 || [ $? -ne 8 ] || return 0
	"$BUILD/tools/keptfiles" "$WORK/whole$base" "$AT/kept" "$img" >"$AT/lost" 2>&1
	case $? in
	0) compared=$((compared + 1)) ;;
	1)
		compared=$((compared + 1))
		lost=$((lost + 1))
		[ -z "$KEEP" ] || sed "s/^/$seed /" "$AT/lost" >>"$KEEP/lost"
		;;
	*)
		sed "s/^/seed $seed: /" "$AT/lost"
		return 1
		;;
	esac
}

# Does e2fsck -fn find a problem? It looks past a log that is not empty. There it may find what the replay makes
# good, and agrees with who finds nothing if it finds nothing behind a replay of its own.
ask_theirs()
{
	timeout 60 e2fsck -fn "$img" >"$AT/theirs" 2>&1; theirs=$?
	if found $theirs "$AT/theirs"; then theirs_found=1; else theirs_found=0; fi
	[ "$base" -eq 6 ] || return 0
	[ $theirs_found -ne $ours_found ] || return 0
	cp --sparse=always "$img" "$AT/played"
	timeout 60 e2fsck -y -E journal_only "$AT/played" >/dev/null 2>&1
	timeout 60 e2fsck -fn "$AT/played" >"$AT/theirs" 2>&1; theirs=$?
	if found $theirs "$AT/theirs"; then theirs_found=1; else theirs_found=0; fi
}

try_seed()
{
	local theirs ours repair after second theirs_found ours_found
	cp --sparse=always "$WORK/base$base" "$img"
	"$BUILD/tools/corrupt" ${HOW[@]+"${HOW[@]}"} "$seed" "$img" >"$AT/damage" || { report "no damage"; return; }
	[ -n "$KEEP$COMPARE" ] && cp --sparse=always "$img" "$AT/kept"
	timeout 60 "$FSCK" -fn "$img" >"$AT/ours" 2>&1; ours=$?
	if [ $ours -gt 12 ]; then
		report "-fn left $ours" "$AT/ours"
		return
	fi
	if found $ours /dev/null; then ours_found=1; else ours_found=0; fi
	ask_theirs
	if [ $theirs_found -ne $ours_found ]; then
		disagreed=$((disagreed + 1))
		if [ $ours_found -eq 1 ]; then cat "$AT/ours"; else cat "$AT/theirs"; fi >"$AT/words"
		report "e2fsck -fn left $theirs, fsck.extant -fn left $ours" "$AT/words"
		return
	fi
	timeout 120 "$FSCK" -fy "$img" >"$AT/repair" 2>&1; repair=$?
	if [ $((repair & 8)) -ne 0 ] && [ $ours -eq 8 ] || [ $repair -eq 8 ] && [ $theirs -ge 8 ]; then
		unusable=$((unusable + 1))	# no superblock, or one that neither of us may touch
		[ -n "$KEEP" ] && grep '^fsck.extant' "$AT/ours" | sed "s/^/$seed /" >>"$KEEP/unusable"
		passed=$((passed + 1))
		return
	fi
	[ $repair -le 1 ] || { report "-fy left $repair" "$AT/repair"; return; }
	timeout 60 "$FSCK" -fn "$img" >"$AT/second" 2>&1; second=$?
	timeout 60 e2fsck -fn "$img" >"$AT/after" 2>&1; after=$?
	if [ $second -ne 0 ] || [ $after -ne 0 ]; then
		[ $after -ne 0 ] || cp "$AT/second" "$AT/after"
		report "after -fy: fsck.extant -fn left $second, e2fsck -fn left $after" "$AT/after"
		return
	fi
	compare_files || { report "the files cannot be compared"; return; }
	passed=$((passed + 1))
}

# ---- all seeds, in a number of jobs ----

# Every JOBS-th seed, with files of its own; a point for each seed and the totals at the end go into files.
run_job()
{
	local AT=$WORK/job$1 img=$WORK/job$1/img seed base
	local passed=0 failed=0 disagreed=0 unusable=0 compared=0 lost=0
	mkdir "$AT"
	for seed in $(seq $((FROM + $1)) "$JOBS" "$TO"); do
		base=$((seed % NR_BASES))
		try_seed
		printf . >>"$AT/points"
	done
	echo "$passed $failed $disagreed $unusable $compared $lost" >"$AT/totals"
}

count_points() { cat "$WORK"/job*/points 2>/dev/null | wc -c; }

# Only a person wants to see how far it is.
show_progress()
{
	[ -t 2 ] || return 0
	while [ -n "$(jobs -rp)" ]; do
		printf '\r%s of %s ' "$(count_points)" "$total" >&2
		sleep 1
	done
	printf '\r%40s\r' '' >&2
}

[ -z "$KEEP" ] || mkdir -p "$KEEP"
total=$((TO - FROM + 1))
for ((job = 0; job < JOBS; job++)); do
	run_job "$job" &
done
show_progress
wait
passed=0 failed=0 disagreed=0 unusable=0 compared=0 lost=0
while read -r p f d u c l; do
	passed=$((passed + p)) failed=$((failed + f)) disagreed=$((disagreed + d))
	unusable=$((unusable + u)) compared=$((compared + c)) lost=$((lost + l))
done < <(cat "$WORK"/job*/totals)
# A job that died has counted nothing.
failed=$((failed + total - passed - failed))
echo "$disagreed of $total disagreed with e2fsck, $unusable unusable for both"
echo "$lost of $compared lost a file that e2fsck keeps"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
