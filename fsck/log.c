/*
 * Where the log lies.
 *
 * Its inode stands in the table of group 0 and a copy of what matters of it in the superblock. Either may be
 * damaged, and so may the descriptor that says where the table is, which has copies: a log is what begins with a
 * log's superblock.
 */
#include "log.h"

#include <string.h>
#include <sys/stat.h>

#include "base/crc.h"
#include "descs.h"
#include "dirs.h"
#include "journal/format.h"
#include "tree.h"

/* ---- the inode ---- */

static enum tree_verdict count_log_block(struct tree_walk *w, uint32_t *pointer, unsigned level,
					 lblk_t lblk)
{
	uint32_t *next = w->arg;

	if (!pointer_is_possible(w->f, *pointer))
		return TREE_STOP;
	if (level == 0 && lblk != (*next)++)
		return TREE_STOP;
	return TREE_GO;
}

/* Counts blocks of the log from its start; a hole or an impossible block ends it. */
static uint32_t log_blocks(struct fsck *f, const struct ext_inode *raw)
{
	struct ext_inode copy = *raw;
	uint32_t next = 0;
	struct tree_walk w = {.f = f, .ino = EXT_JOURNAL_INO, .visit = count_log_block, .arg = &next};

	tree_walk(&w, &copy);
	return w.stopped && next ? next - 1 : next;
}

uint32_t log_claimed_blocks(const struct fsck *f, const struct ext_inode *raw)
{
	uint64_t size = le32_get(raw->size) | (uint64_t)le32_get(raw->size_high) << 32;

	return (uint32_t)min(size >> f->geo.block_bits, f->geo.blocks_count);
}

/* Why the inode cannot hold a journal; NULL: it can. */
const char *log_inode_fault(struct fsck *f, const struct ext_inode *raw)
{
	uint32_t claimed = log_claimed_blocks(f, raw);

	if (!le16_get(raw->links_count))
		return "it is not in use";
	if (!S_ISREG(le16_get(raw->mode)))
		return "it is not a regular file";
	if (claimed < JOURNAL_BLOCKS_MIN)
		return "it is too short";
	if (log_blocks(f, raw) < claimed)
		return "it has holes or impossible blocks";
	return NULL;
}

/* The copy of the journal inode's blocks and size in the superblock. */
bool log_copy_of_inode(struct fsck *f, union inode_buf *buf)
{
	union inode_buf copy = *buf;
	unsigned i;

	if (f->super.jnl_backup_type != 1)
		return false;
	for (i = 0; i < EXT_N_BLOCKS; i++)
		copy.raw.block[i] = f->super.jnl_blocks[i];
	copy.raw.size_high = f->super.jnl_blocks[15];
	copy.raw.size = f->super.jnl_blocks[16];
	copy.raw.mode = le16_make(S_IFREG | 0600);
	copy.raw.links_count = le16_make(1);
	copy.raw.dtime = le32_make(0);
	copy.raw.flags = le32_make(0);
	if (log_inode_fault(f, &copy.raw))
		return false;
	*buf = copy;
	return true;
}

/* Fewer blocks besides the fast commits at its end make no log. */
#define LOG_BLOCKS_MIN     1024u
#define FAST_COMMIT_BLOCKS 256u /* where the field is 0 */

static bool checksum_is_right(const struct journal_super *js)
{
	struct journal_super copy = *js;

	copy.checksum = be32_make(0);
	return crc32c(~0u, &copy, sizeof(copy)) == be32_get(js->checksum);
}

/* What a version and the features say of each other. Features that are not known are another question. */
static const char *version_fault(const struct journal_super *js, uint32_t blocks)
{
	const uint32_t csum = JOURNAL_INCOMPAT_CSUM_V2 | JOURNAL_INCOMPAT_CSUM_V3;
	uint32_t incompat = be32_get(js->feature_incompat), fast = be32_get(js->num_fc_blocks);

	if (be32_get(js->header.blocktype) == JOURNAL_SUPERBLOCK_V1)
		return incompat || be32_get(js->feature_compat) || be32_get(js->feature_ro_compat) ||
				       be32_get(js->nr_users)
			       ? "fields of a later version"
			       : NULL;
	if (be32_get(js->nr_users) > 1)
		return "more than one user";
	if (be32_get(js->feature_ro_compat))
		return "unknown features";
	if ((incompat & csum) == csum ||
	    (incompat & csum && (js->checksum_type != JOURNAL_CHKSUM_CRC32C || !checksum_is_right(js))))
		return "its checksum";
	fast = fast ? fast : FAST_COMMIT_BLOCKS;
	if (incompat & JOURNAL_INCOMPAT_FAST_COMMIT && (fast > blocks || blocks - fast < LOG_BLOCKS_MIN))
		return "its fast commit area";
	return NULL;
}

static bool has_magic(const struct journal_super *js)
{
	uint32_t type = be32_get(js->header.blocktype);

	return be32_get(js->header.magic) == JOURNAL_MAGIC &&
	       (type == JOURNAL_SUPERBLOCK_V1 || type == JOURNAL_SUPERBLOCK_V2);
}

const char log_first_fault[] = "its first block";

/* Why the block cannot be the log's superblock; NULL: it can. */
static const char *super_fault(const struct fsck *f, const struct journal_super *js, uint32_t blocks)
{
	if (!has_magic(js))
		return "it has no magic";
	if (be32_get(js->blocksize) != f->geo.block_size)
		return "its block size";
	if (be32_get(js->maxlen) > blocks)
		return "its length";
	if (be32_get(js->first) == 0 || be32_get(js->first) >= be32_get(js->maxlen))
		return log_first_fault;
	return version_fault(js, be32_get(js->maxlen));
}

static bool read_super(struct fsck *f, const struct ext_inode *raw, uint8_t *bytes)
{
	fsblk_t block = dirs_block_at(f, raw, 0);

	return block && !store_read(&f->store, block, 1, bytes);
}

const char *log_fault(struct fsck *f, const struct ext_inode *raw)
{
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];

	if (!read_super(f, raw, bytes))
		return "it cannot be read";
	return super_fault(f, (const void *)bytes, log_claimed_blocks(f, raw));
}

/* ---- finding it ---- */

/* Whatever else is wrong with it, it begins as a log does. */
static bool is_log(struct fsck *f, const struct ext_inode *raw)
{
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];

	return !log_inode_fault(f, raw) && read_super(f, raw, bytes) && has_magic((const void *)bytes);
}

bool log_lies_elsewhere(struct fsck *f, union inode_buf *buf)
{
	union inode_buf copy = *buf;

	if (is_log(f, &buf->raw) || !log_copy_of_inode(f, &copy) || !is_log(f, &copy.raw))
		return false;
	*buf = copy;
	return true;
}

bool log_is_in_usual_inode(struct fsck *f)
{
	union inode_buf buf;

	return fsck_read_inode(f, EXT_JOURNAL_INO, &buf) && is_log(f, &buf.raw);
}

bool log_find(struct fsck *f, union inode_buf *ret)
{
	inr_t ino = le32_get(f->super.journal_inum);
	bool is_valid = inode_nr_is_valid(&f->geo, ino), is_read;

	memset(ret, 0, sizeof(*ret));
	is_read = is_valid && fsck_read_inode(f, ino, ret);
	if (is_read && is_log(f, &ret->raw))
		return true;
	if (is_valid && descs_read_inode(f, ino, ret) && is_log(f, &ret->raw))
		return true;
	return log_copy_of_inode(f, ret) || is_read;
}

void log_mend_first(struct fsck *f, struct disk *disk, const struct ext_inode *raw)
{
	fsblk_t block = dirs_block_at(f, raw, 0);
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	struct journal_super *js = (void *)bytes;

	if (!block || store_read(&f->store, block, 1, bytes) ||
	    super_fault(f, js, log_claimed_blocks(f, raw)) != log_first_fault)
		return;
	js->first = be32_make(1);
	ignore(disk_write(disk, block << f->geo.block_bits, bytes, f->geo.block_size, 0),
	       "the replay will tell");
}

bool log_has_data(struct fsck *f)
{
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	const struct journal_super *js = (const void *)bytes;
	union inode_buf buf;

	return log_find(f, &buf) && is_log(f, &buf.raw) && read_super(f, &buf.raw, bytes) &&
	       be32_get(js->start) != 0;
}
