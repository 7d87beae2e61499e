/*
 * ext/datalog.h - file data that goes through the journal.
 *
 * Purpose     data=journal and the j attribute, and fsyncs that are cheaper with their data in the
 *             log. Decides which pages are logged, takes their bytes, and gives them back to readers
 *             while the disk has older ones.
 * Ownership   A logged page's content is in the buffer of its block from then on.
 * Locking     Page locks; a handle before them.
 * Invariants  D1  (JOURNAL.md J8) a page whose block the log may hold is not dirty: its changes are
 *                 logged.
 *             D2  in a file whose data is journaled, a page becomes dirty only when its block is new
 *                 in the running transaction, and stays that page's way until it is written.
 * Errors      -EROFS, -ENOMEM, -EAGAIN (no room in this transaction).
 * Sources     JOURNAL.md section 4.
 */
#ifndef EXT_DATALOG_H
#define EXT_DATALOG_H

#include "ext.h"

/* Whether everything that is overwritten in the file is to be logged. */
bool datalog_is_wanted(const struct inode *inode);
/*
 * Before a write to [pos, ..) under *h, no page locked: what D2 says becomes true, and *h may be
 * another handle of the same size afterwards; after an error there is none.
 */
int datalog_settle(struct handle *h, uint32_t credits, struct inode *inode, uint64_t pos) must_check;
/* The page is locked and mapped to an old block, and a write will fill it: logged if it must be. */
int datalog_begin_page(struct handle *h, struct inode *inode, struct page *page, bool *ret_is_logged) must_check;
/* Its bytes are there: the log's from here on. */
void datalog_take_page(struct handle *h, struct inode *inode, struct page *page);
/* mapping_ops.read_memory. */
bool datalog_read_page(struct mapping *m, struct page *page);

/* Blocks came into the file under h: what is dirty of it is counted from here. */
void datalog_note_new(struct handle *h, struct inode *inode);
/*
 * Before an fsync that waits for transaction tid: if what is dirty is little, and has new blocks for
 * which the commit would have to wait and flush once more, it is logged instead. Of all files that
 * the transaction waits for.
 */
void datalog_shorten_commit(struct inode *inode, tid_t tid);

/* Whether the block at byte pos may only be changed through the log, zeroing it included. */
bool datalog_has_tail(struct inode *inode, uint64_t pos);
/* The log may hold a copy of one of [first, + count): nr_max such blocks at most are wanted in a run. */
uint64_t datalog_limit_run(const struct ext *fs, fsblk_t first, uint64_t count, uint32_t nr_max);
/* The blocks are freed: those that the log may hold are forgotten. */
int datalog_forget(struct handle *h, struct ext *fs, fsblk_t first, uint64_t count) must_check;

#endif
