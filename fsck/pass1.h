/*
 * fsck/pass1.h - every inode and its blocks.
 *
 * Relies on   f->desc (super.h), f->meta and f->found with the metadata's blocks (tables.h).
 * Leaves      ino_used, ino_dir, ino_reg and links for every inode; found, dup, xattr, dirs, dir_blocks.
 *             After it alloc.h works. With f->restart set what it counted does not hold any more.
 * Frees       Nothing.
 */
#ifndef FSCK_PASS1_H
#define FSCK_PASS1_H

#include "context.h"

void pass1(struct fsck *f);

#endif
