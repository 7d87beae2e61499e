/*
 * fuse/dirbuf.h - the reply to READDIR and READDIRPLUS, while it fills.
 *
 * Purpose     Receives entries from dir_read() and lays them down as the kernel wants them, with
 *             attributes and look-up counts in the plus form.
 * Ownership   The buffer, and the givings it counted: dirbuf_undo() takes them back when the
 *             kernel did not receive the reply.
 * Locking     Filled under the directory's lock (shared), so that an entry's number cannot be
 *             freed and given to another file between reading the name and getting the inode.
 * Errors      -ENOMEM.
 */
#ifndef FUSE_DIRBUF_H
#define FUSE_DIRBUF_H

#include <fuse_lowlevel.h>

#include "vfs/inode.h"

struct dirbuf {
	fuse_req_t req;
	struct super *sb;
	size_t size_bytes, used_bytes;
	char *bytes;
	fuse_ino_t *given;		/* plus only: each was remembered once */
	size_t nr_given, given_max;
};

/* The kernel asked for at most size_bytes. */
int dirbuf_init(struct dirbuf *d, fuse_req_t req, struct super *sb, size_t size_bytes,
		bool is_plus) must_check;
void dirbuf_done(struct dirbuf *d);
/* dir_emit_fn; arg is the dirbuf. */
bool dirbuf_emit(void *arg, const struct name *name, inr_t ino, unsigned d_type, uint64_t next);
void dirbuf_undo(struct dirbuf *d);

#endif
