/*
 * ext/trim.h - the disk is told of all free blocks at once, as fstrim(8) asks for it.
 *
 * Purpose     super_ops.trim.
 * Locking     Any thread; files are written and removed meanwhile.
 * Errors      vfs/super.h; -EIO.
 */
#ifndef EXT_TRIM_H
#define EXT_TRIM_H

#include "ext.h"

int ext_trim(struct super *sb, struct trim_range *range) must_check;

#endif
