#!/usr/bin/env bash
# fsck.extant -fn beside e2fsck -fn in one run: an image with many files, and one that is large and
# sparse, cold (the host's cache dropped before each) and warm.
#
#	BUILD=build ROUNDS=3 fsck.sh
#
# A round times both programs one after the other, in turns; the table gives the medians and the
# median of the ratios within a round. FILES (1000000) files in the first image, SPARSE_FILES (100000) in
# the second, of 100 GiB. KEEP=DIR keeps the images there for the next time.
. "$(dirname "$0")/../mount/lib.sh"
need_root "cold caches, and the kernel's mount that fills the images"

rounds=${ROUNDS:-3}
raw=$WORK/rounds
dir=${KEEP:-$WORK}

# fill DIR COUNT: files of up to 4 KiB, some larger, a hundred in a directory
fill()
{
	python3 - "$1" "$2" <<'PYTHON'
import os, sys
top, count = sys.argv[1], int(sys.argv[2])
data = b"x" * 65536
for i in range(count):
    if i % 100 == 0:
        at = "%s/%d/%d" % (top, i // 10000, i // 100)
        os.makedirs(at)
    size = 60000 if i % 97 == 0 else i * 37 % 4000 + 1
    fd = os.open("%s/file_%d" % (at, i), os.O_CREAT | os.O_WRONLY, 0o644)
    os.write(fd, data[:size])
    os.close(fd)
PYTHON
}

# image FILE FILES MKE2FS-OPTIONS...
image()
{
	local file=$1 count=$2
	shift 2
	[ ! -f "$file" ] || return 0
	mke2fs -q -F -t ext3 -O ^dir_index "$@" >/dev/null 2>&1 && mount -o loop -t ext4 "$file" "$MNT" || return
	fill "$MNT" "$count" && umount "$MNT"
}

# timed ROUND KIND IMAGE PROGRAM
timed()
{
	local began ns
	began=$(date +%s%N)
	"$4" -fn "$3" >/dev/null 2>&1 || { echo "$4 finds fault with $3"; exit 1; }
	ns=$(($(date +%s%N) - began))
	echo "$1 $2 $4 $((ns / 1000))" >>"$raw"
}

cold() { sync; echo 3 >/proc/sys/vm/drop_caches; }

mkdir -p "$dir"
image "$dir/many.img" "${FILES:-1000000}" -N $((${FILES:-1000000} * 11 / 10 + 1000)) "$dir/many.img" \
	$((${FILES:-1000000} / 150 + 1024))M || exit 1
image "$dir/sparse.img" "${SPARSE_FILES:-100000}" "$dir/sparse.img" 100G || exit 1

for round in $(seq "$rounds"); do
	programs="e2fsck fsck.extant"
	[ $((round % 2)) = 1 ] || programs="fsck.extant e2fsck"
	for name in many sparse; do
		for program in $programs; do
			cold
			timed "$round" "$name,cold" "$dir/$name.img" "$program"
		done
		for program in $programs; do
			timed "$round" "$name,warm" "$dir/$name.img" "$program"
		done
	done
done

awk '
	{ value[$1, $2, $3] = $4 / 1e6; if ($1 > rounds) rounds = $1 }
	function median(list, count,	i, j, t) {
		for (i = 2; i <= count; i++)
			for (j = i; j > 1 && list[j - 1] > list[j]; j--) {
				t = list[j]; list[j] = list[j - 1]; list[j - 1] = t
			}
		return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
	}
	function of(kind, program,	r, list) {
		for (r = 1; r <= rounds; r++)
			list[r] = value[r, kind, program]
		return median(list, rounds)
	}
	function ratio(kind,	r, list) {
		for (r = 1; r <= rounds; r++)
			list[r] = value[r, kind, "e2fsck"] / value[r, kind, "fsck.extant"]
		return median(list, rounds)
	}
	END {
		split("many,cold many,warm sparse,cold sparse,warm", kinds, " ")
		printf "%-14s %12s %14s %14s\n", "image, cache", "e2fsck, s", "fsck.extant, s", "times as fast"
		for (i = 1; i in kinds; i++)
			printf "%-14s %12.2f %14.2f %14.2f\n", kinds[i], of(kinds[i], "e2fsck"),
				of(kinds[i], "fsck.extant"), ratio(kinds[i])
	}' "$raw"
