/*
 * ext/cred.h - who may use the blocks kept for root.
 */
#ifndef EXT_CRED_H
#define EXT_CRED_H

#include "ext.h"

static inline bool ext_may_use_reserved(const struct ext *fs, const struct cred *cred)
{
	return cred && (cred->uid == 0 || cred->uid == fs->resuid || (fs->resgid != 0 && cred->gid == fs->resgid));
}

#endif
