/*
 * fsck/undo.h - what was there before a repair, so that it can be brought back.
 *
 * Purpose     Every block that a repair overwrites goes to a file first. Applying the file writes
 *             the old bytes back, last change first, and the image is as it was.
 * Ownership   undo_create() makes, undo_close() frees. The file belongs to the user.
 * Locking     One thread.
 * Invariants  U1  A record is durable after undo_sync(); a torn last record is found by its sum and
 *                 belongs to a write that never began.
 * Units       Bytes.
 *             U2  The header says up to where records are durable, and which file system this is:
 *                 what fails its sum before that is damage, and nothing is written back.
 * Errors      0 or negative errno; undo_apply() says in why what is wrong with the file.
 */
#ifndef FSCK_UNDO_H
#define FSCK_UNDO_H

#include "base/types.h"

struct undo;

/* Makes a new file; -EEXIST if there is one, because an older record must not be lost. */
int undo_create(const char *path, uint64_t image_bytes, const uint8_t uuid[16],
		struct undo **ret) must_check;
void undo_close(struct undo *u); /* NULL is harmless */
/* The UUID that the image is about to have; it had the other one when the file was made. */
int undo_identify(struct undo *u, const uint8_t uuid[16]) must_check;
int undo_record(struct undo *u, uint64_t offset, const void *old, uint32_t len) must_check;
int undo_sync(struct undo *u) must_check;
/* True: writing the file has failed once. */
bool undo_has_failed(const struct undo *u);

/*
 * Writes the old bytes back to the open image; *ret_records is how many there were. Nothing is written
 * unless the whole file is good.
 */
int undo_apply(const char *path, int image_fd, uint64_t image_bytes, uint64_t *ret_records, char *why,
	       size_t why_size) must_check;

#endif
