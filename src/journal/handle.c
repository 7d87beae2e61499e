/*
 * Handles on a file system without a journal.
 *
 * There is no log here to protect a half-made change, so a handle only keeps the order of calls
 * and hands each changed buffer to write-back. The image is marked as not clean while it is
 * mounted, and a crash costs a full check, as with any ext2.
 */
#include "journal/handle.h"

#include "base/assert.h"

#include <errno.h>

int handle_start(struct journal *journal, uint32_t credits, struct handle *h)
{
	*h = (struct handle){.journal = journal, .credits = credits};
	return 0;
}

int handle_stop(struct handle *h)
{
	return h->error;
}

int handle_extend(struct handle *h, uint32_t credits)
{
	h->credits += credits;
	return 0;
}

int handle_restart(struct handle *h, uint32_t credits)
{
	h->credits = credits;
	return h->error;
}

int handle_get_write_access(struct handle *h, struct buffer *b)
{
	must(page_test(&b->page, PAGE_UPTODATE));
	return h->error;
}

int handle_get_create_access(struct handle *h, struct buffer *b)
{
	must(buffer_block(b) != 0);
	return h->error;
}

void handle_dirty_metadata(struct handle *h, struct buffer *b)
{
	(void)h;
	buffer_mark_dirty(b);
}

int handle_forget(struct handle *h, struct buffer_cache *bc, fsblk_t block)
{
	buffer_forget(bc, block);
	return h->error;
}
