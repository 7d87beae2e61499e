/*
 * A new list of bad blocks.
 *
 * Blocks are tested by reading them past the host's cache, a piece at a time and a failed piece block by
 * block; holes of an image cannot be bad. With a second -c each block is written back as it was read and
 * read again: nothing is lost when that is interrupted, which cannot be said of test patterns.
 *
 * Inode 1 has mode 0 and no links. Its tree names bad blocks as if they were data.
 */
#include "badlist.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bitmap.h"
#include "base/mem.h"
#include "maketree.h"
#include "maps.h"
#include "tree.h"

#define PIECE_BYTES (1u << 20)
/* A disk with more is no disk to keep; and the list lies in memory. */
#define BAD_BLOCKS_MAX 262144u

struct bad_list {
	struct block_list blocks; /* in order, each once */
	struct block_list before; /* all that inode 1 had, with the blocks of its tree */
};

static void add(struct fsck *f, fsblk_t block)
{
	if (f->bad->blocks.count == BAD_BLOCKS_MAX)
		fsck_stop(f, FSCK_ERROR, "there are too many bad blocks");
	block_list_add(f, &f->bad->blocks, block);
}

/* ---- from the list that there is ---- */

static enum tree_verdict take_old(struct tree_walk *w, uint32_t *pointer, unsigned level, lblk_t lblk)
{
	(void)lblk;
	if (!pointer_is_possible(w->f, *pointer))
		return TREE_SKIP;
	if (level == 0)
		add(w->f, *pointer);
	return TREE_GO;
}

static void gather_old(struct fsck *f, bool stays)
{
	struct tree_walk w = {.f = f, .ino = EXT_BAD_INO, .visit = take_old};
	union inode_buf buf;

	if (!fsck_read_inode(f, EXT_BAD_INO, &buf))
		return;
	maketree_collect(f, EXT_BAD_INO, &buf.raw, &f->bad->before);
	if (stays)
		tree_walk(&w, &buf.raw);
}

/* ---- from a file ---- */

/* A number a line, as badblocks(8) writes them; other lines are passed over. */
static void gather_file(struct fsck *f, const char *path)
{
	FILE *in = fopen(path, "re");
	char line[256], *end;

	if (!in)
		fsck_fail(f, path, -errno);
	while (fgets(line, sizeof(line), in)) {
		unsigned long long block = strtoull(line, &end, 10);

		if (end == line)
			continue;
		if (block < UINT32_MAX && pointer_is_possible(f, block)) {
			add(f, block);
			continue;
		}
		fprintf(stderr, "fsck.extant: %s: block %llu is not in the file system; passed over\n",
			path, block);
	}
	fclose(in);
}

/* ---- from a test ---- */

struct scan {
	struct fsck *f;
	int fd;
	uint8_t *bytes, *again; /* PIECE_BYTES each */
	uint64_t end; /* bytes */
};

/* What the host has in memory says nothing about the disk. */
static int open_past_cache(struct fsck *f)
{
	int flags = (f->opt.scan > 1 ? O_RDWR : O_RDONLY) | O_CLOEXEC;
	int fd = open(f->store.path, flags | O_DIRECT);

	if (fd < 0)
		fd = open(f->store.path, flags);
	if (fd < 0)
		fsck_fail(f, "opening the image again", -errno);
	ignore(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), "where there is no O_DIRECT");
	return fd;
}

static bool try_read(const struct scan *s, uint64_t offset, uint8_t *buf, size_t len)
{
	ssize_t n = pread(s->fd, buf, len, (off_t)offset);

	if (n < 0 && errno == EINVAL) { /* not aligned enough for this host */
		ignore(fcntl(s->fd, F_SETFL, 0), "without O_DIRECT");
		n = pread(s->fd, buf, len, (off_t)offset);
	}
	return n == (ssize_t)len;
}

static bool is_good(const struct scan *s, uint64_t offset, size_t len)
{
	if (!try_read(s, offset, s->bytes, len))
		return false;
	if (s->f->opt.scan < 2)
		return true;
	return pwrite(s->fd, s->bytes, len, (off_t)offset) == (ssize_t)len && fdatasync(s->fd) == 0 &&
	       try_read(s, offset, s->again, len) && memcmp(s->bytes, s->again, len) == 0;
}

static void scan_piece(const struct scan *s, uint64_t offset, size_t len)
{
	unsigned bits = s->f->geo.block_bits;
	uint64_t at;

	if (is_good(s, offset, len))
		return;
	for (at = offset; at < offset + len; at += s->f->geo.block_size)
		if (!is_good(s, at, s->f->geo.block_size))
			add(s->f, at >> bits);
}

static void scan_all(const struct scan *s)
{
	const struct store *store = &s->f->store;
	uint64_t at = (uint64_t)s->f->geo.first_data_block << s->f->geo.block_bits;

	while (at < s->end) {
		uint64_t data = round_down(store_next_data(store, at, s->end), s->f->geo.block_size);
		uint64_t len;

		if (data > at) {
			at = data;
			continue;
		}
		len = min(s->end - at, PIECE_BYTES - at % PIECE_BYTES);
		scan_piece(s, at, (size_t)len);
		at += len;
		if (s->f->cancelled)
			fsck_cancel(s->f);
	}
}

static void gather_test(struct fsck *f)
{
	struct scan s = {.f = f, .end = f->geo.blocks_count << f->geo.block_bits};
	size_t before = f->bad->blocks.count;

	fsck_flush(f);
	s.fd = open_past_cache(f);
	s.bytes = mem_alloc_aligned(PIECE_BYTES, 4096);
	s.again = mem_alloc_aligned(PIECE_BYTES, 4096);
	f->piece = s.bytes;
	f->piece2 = s.again; /* freed with the others when the check ends in the middle */
	if (!s.bytes || !s.again)
		fsck_fail(f, "memory", -ENOMEM);
	scan_all(&s);
	close(s.fd);
	fsck_release_pieces(f);
	if (!f->opt.json)
		printf("%s: %zu blocks cannot be read%s\n", f->store.path, f->bad->blocks.count - before,
		       f->opt.scan > 1 ? " or written" : "");
}

/* ---- the new list ---- */

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void sort_out(struct block_list *list)
{
	size_t i, kept = 0;

	if (!list->count)
		return;
	qsort(list->blocks, list->count, sizeof(*list->blocks), by_number);
	for (i = 0; i < list->count; i++)
		if (!kept || list->blocks[kept - 1] != list->blocks[i])
			list->blocks[kept++] = list->blocks[i];
	list->count = kept;
}

void badlist_gather(struct fsck *f)
{
	bool has_file = f->opt.bad_list_path;

	if (!has_file && !f->opt.scan)
		return;
	f->bad = fsck_alloc(f, sizeof(*f->bad));
	gather_old(f, has_file ? !f->opt.bad_list_replaces : f->opt.bad_list_stays);
	if (has_file)
		gather_file(f, f->opt.bad_list_path);
	else
		gather_test(f);
	sort_out(&f->bad->blocks);
}

void badlist_forget(struct fsck *f)
{
	if (!f->bad)
		return;
	block_list_done(&f->bad->blocks);
	block_list_done(&f->bad->before);
	mem_free(f->bad);
	f->bad = NULL;
}

bool badlist_claim(struct inode_check *c)
{
	struct fsck *f = c->f;
	struct block_list *list;
	size_t i, kept = 0;

	if (!f->bad)
		return false;
	list = &f->bad->blocks;
	memset(c->buf.bytes, 0, f->geo.inode_size);
	c->is_dirty = true;
	for (i = 0; i < list->count; i++) {
		struct where w = {.ino = c->ino, .block = list->blocks[i]};

		/* Metadata does not move away; nobody has to clear it from the list. */
		if (bitmap_test(f->found, block_bit(f, w.block)) && problem(f, BAD_INODE_METADATA, w))
			continue;
		claim_bad_block(f, w.block);
		list->blocks[kept++] = list->blocks[i];
	}
	list->count = kept;
	return true;
}

/* Inode 1 with the list as its tree. Returns the blocks of the tree in made. */
static void write_inode(struct fsck *f, const struct block_list *list, struct block_list *made)
{
	union inode_buf buf;

	memset(&buf, 0, sizeof(buf));
	if (!maketree(f, list, 0, buf.raw.block, made))
		fsck_stop(f, FSCK_UNCORRECTED | FSCK_ERROR, "there is no room for the list of bad blocks");
	if (list->count) {
		buf.raw.size = le32_make((uint32_t)(list->count << f->geo.block_bits));
		buf.raw.blocks = le32_make((uint32_t)(list->count + made->count)
					   << (f->geo.block_bits - SECTOR_SHIFT));
		buf.raw.atime = buf.raw.ctime = buf.raw.mtime = le32_make(f->now);
	}
	fsck_write_inode(f, EXT_BAD_INO, &buf);
}

static void follow_all(struct fsck *f, const struct block_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		maps_follow(f, list->blocks[i]);
}

void badlist_write(struct fsck *f)
{
	struct block_list made = {0};

	if (!f->bad || !fsck_may_write(f))
		return;
	write_inode(f, &f->bad->blocks, &made);
	follow_all(f, &f->bad->before);
	follow_all(f, &f->bad->blocks);
	follow_all(f, &made);
	block_list_done(&made);
	f->was_modified = true;
	if (!f->opt.json)
		printf("%s: the list of bad blocks has %zu\n", f->store.path, f->bad->blocks.count);
	badlist_forget(f);
}
