#!/bin/sh
# Two inodes on the orphan list, as a crash leaves them: 12 has no name any more (an unlinked open
# file), 13 is "cut", whose size says less than the blocks that it still has (a truncate under way).
set -eu
image=$1
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
: >"$image"
mke2fs -q -F -t ext3 -b 1024 "$image" 16M
head -c 300000 /dev/urandom >"$tree/data"
debugfs -w -f - "$image" >/dev/null 2>&1 <<EOM
write $tree/data gone
write $tree/data cut
unlink gone
set_inode_field <12> links_count 0
set_inode_field <12> dtime 13
set_inode_field <13> size 1500
set_super_value last_orphan 12
EOM
