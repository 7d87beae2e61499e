/*
 * ext/dir.h - directories: names over directory blocks.
 *
 * Purpose     Find, add, remove and list the entries of a directory that is read block by block.
 *             A directory with an htree is read the same way, and loses its index flag when a name
 *             is added: its blocks are then an ordinary directory again.
 * Ownership   A dir_slot holds a buffer until dir_slot_put().
 * Locking     The directory's inode lock: shared to find and list, exclusive to change.
 * Invariants  D1  an entry that stays never moves, so positions are valid for ever.
 * Errors      -ENOENT, -EUCLEAN (told), -ENOSPC, -EIO.
 */
#ifndef EXT_DIR_H
#define EXT_DIR_H

#include "ext.h"

/* Where an entry lies. */
struct dir_slot {
	struct buffer *buffer;
	lblk_t lblk;
	unsigned offset;
	inr_t ino;
};

int dir_find(struct inode *dir, const struct name *name, struct dir_slot *ret_slot) must_check;
void dir_slot_put(struct dir_slot *slot);	/* harmless on a zeroed one */
/* The name must not be there. Moves the directory's times; writes its inode. */
int dir_add(struct handle *h, struct inode *dir, const struct name *name, const struct inode *inode,
	    bool may_use_reserved) must_check;
int dir_remove(struct handle *h, struct inode *dir, const struct dir_slot *slot) must_check;
/* The entry names another inode from now on. */
int dir_replace(struct handle *h, struct inode *dir, const struct dir_slot *slot, const struct inode *inode) must_check;
int dir_is_empty(struct inode *dir, bool *ret_is_empty) must_check;
/* The first block of a new directory. */
int dir_make(struct handle *h, struct inode *dir, inr_t parent, bool may_use_reserved) must_check;
int dir_parent(struct inode *dir, inr_t *ret_ino) must_check;
int dir_set_parent(struct handle *h, struct inode *dir, const struct inode *parent) must_check;
int dir_list(struct inode *dir, uint64_t pos, dir_emit_fn emit, void *arg) must_check;

#endif
