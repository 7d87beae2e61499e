#!/bin/sh
# Nearly full: of the free blocks all but a few are reserved for root.
set -eu
image=$1
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
head -c 5000000 /dev/zero | tr '\0' x >"$tree/filler"
: >"$image"
mke2fs -q -F -t ext2 -b 1024 -m 35 -d "$tree" "$image" 8M
