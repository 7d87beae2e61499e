#!/bin/sh
# A directory of 4,000 names with a hash tree, as the kernel and e2fsck -D leave it: "htree", and beside
# it "small", too small for a tree. Blocks of 1 KiB, so that the tree has inner nodes.
set -eu
image=$1
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir "$tree/htree" "$tree/small"
seq 1 4000 | while read -r i; do
	: >"$tree/htree/a-name-that-takes-some-room-in-its-block-$i"
done
touch "$tree/small/one" "$tree/small/two"
: >"$image"
mke2fs -q -F -t ext3 -b 1024 -N 8192 -d "$tree" "$image" 32M
# -D rebuilds the indexes; 1 says that something was changed.
e2fsck -fyD "$image" >/dev/null || [ $? -le 1 ]
