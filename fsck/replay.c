/* The journal's blocks are found through its inode or its copy, and the journal room replays them. */
#include "replay.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "dirs.h"
#include "journal/journal.h"
#include "log.h"

struct extents {
	struct journal_extent *list;
	uint32_t count, room;
};

/* Block log_block of the log lies at block: into the last run, or a new one. */
static int add_block(struct extents *x, uint32_t log_block, fsblk_t block)
{
	struct journal_extent *last = x->count ? &x->list[x->count - 1] : NULL;
	struct journal_extent *grown;

	if (last && last->block + last->count == block) {
		last->count++;
		return 0;
	}
	if (x->count == x->room) {
		grown = mem_realloc(x->list, (x->room * 2 + 16) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		x->list = grown;
		x->room = x->room * 2 + 16;
	}
	x->list[x->count++] =
		(struct journal_extent){.log_block = log_block, .count = 1, .block = block};
	return 0;
}

/* False: the inode's blocks cannot be a log. */
static bool find_extents(struct fsck *f, struct disk *disk, struct extents *x)
{
	union inode_buf buf;
	uint64_t n, blocks;

	if (!log_find(f, &buf))
		return false;
	blocks = (le32_get(buf.raw.size) | (uint64_t)le32_get(buf.raw.size_high) << 32) >>
		 f->geo.block_bits;
	if (!blocks || blocks > f->geo.blocks_count)
		return false;
	for (n = 0; n < blocks; n++) {
		fsblk_t block = dirs_block_at(f, &buf.raw, n);

		if (!block || add_block(x, (uint32_t)n, block))
			return false;
	}
	log_mend_first(f, disk, &buf.raw);
	return true;
}

/* A log that is damaged in its middle is replayed up to there and then dropped: what follows it depends on it. */
static bool recover(struct fsck *f, struct journal *j, enum replay_voice voice, char *why,
		    size_t why_size)
{
	struct journal_recovery r;
	int err = journal_recover(j, &r);

	if (r.is_corrupt) {
		if (voice == REPLAY_ALOUD)
			problem(f, JOURNAL_CORRUPT, (struct where){.str = r.text});
		err = journal_wipe(j);
	}
	if (err)
		snprintf(why, why_size, "the journal cannot be replayed: %s", strerror(-err));
	return !err;
}

bool replay_journal(struct fsck *f, struct disk *disk, enum replay_voice voice, char *why,
		    size_t why_size)
{
	struct journal_config config = {.disk = disk, .block_bytes = f->geo.block_size};
	struct extents x = {0};
	struct journal *j;
	bool is_done = false;

	config.clock = clock_create_real();
	if (!config.clock)
		fsck_fail(f, "memory", -ENOMEM);
	snprintf(why, why_size, "the journal's blocks are not to be found");
	if (find_extents(f, disk, &x)) {
		config.extents = x.list;
		config.nr_extents = x.count;
		if (!journal_load(&config, &j, why, why_size)) {
			is_done = recover(f, j, voice, why, why_size);
			ignore(journal_destroy(j), "it was not started");
		}
	}
	mem_free(x.list);
	clock_destroy(config.clock);
	return is_done;
}
