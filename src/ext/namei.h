/*
 * ext/namei.h - operations on names, each in one handle.
 *
 * Purpose     The inode_ops of the file system.
 * Locking     As vfs/inode.h says; each operation starts and stops its own handle inside.
 */
#ifndef EXT_NAMEI_H
#define EXT_NAMEI_H

#include "ext.h"

extern const struct inode_ops ext_inode_ops;

#endif
