#!/bin/sh
# Sparse files: "borders" has data at the last and first block of each level of the indirect tree,
# "empty" is one hole of 200 MiB, "end" a hole with data at its end.
set -eu
image=$1
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
truncate -s 200M "$tree/empty"
truncate -s 100M "$tree/borders"
# Blocks of 1 KiB: direct to 12, single to 268, double to 65804.
for block in 0 11 12 267 268 523 524 65803 65804 66059 66060; do
	printf 'block %6d' $block | dd of="$tree/borders" bs=1024 seek=$block conv=notrunc status=none
done
truncate -s 90M "$tree/end"
printf end >>"$tree/end"
: >"$image"
mke2fs -q -F -t ext3 -b 1024 -d "$tree" "$image" 32M
