#!/bin/sh
# A file system as the first ext2 made them: revision 0, no feature, 128-byte inodes, directory
# entries without a file type.
set -eu
image=$1
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/dir/sub"
seq 1 3000 >"$tree/dir/numbers"
ln -s dir/numbers "$tree/link"
: >"$image"
mke2fs -q -F -r 0 -O none -b 1024 -d "$tree" "$image" 16M
