/*
 * fsck/claims.h - the inode that pass 1 has in hand, and the claim to a block.
 *
 * Purpose     What the checks of types, blocks and attributes share.
 * Leaves      Claims in f->found, second claims in f->dup.
 */
#ifndef FSCK_CLAIMS_H
#define FSCK_CLAIMS_H

#include "context.h"

/* What pass 1 has in hand. */
struct inode_check {
	struct fsck *f;
	inr_t ino;
	union inode_buf buf;
	bool is_dirty; /* buf is to be written */
	bool is_cleared; /* nothing more is to be checked */
};

/* A second claim to the same block is what pass 1B looks into. */
void claim_block(struct fsck *f, fsblk_t block);
/* For the list of bad blocks: a file that claims it too moves away. */
void claim_bad_block(struct fsck *f, fsblk_t block);
/* Does the file system itself lie there? Bad blocks do not count: what lies in them may be readable. */
bool block_is_metadata(const struct fsck *f, fsblk_t block);

#endif
