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

#endif
