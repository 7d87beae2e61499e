/*
 * ext/file.h - the file_ops of regular files and of directories.
 *
 * Purpose     Bytes, positions of data and holes, fsync.
 * Locking     As vfs/inode.h says.
 */
#ifndef EXT_FILE_H
#define EXT_FILE_H

#include "ext.h"

extern const struct file_ops ext_file_ops;
extern const struct file_ops ext_dir_ops;

#endif
