/*
 * The image's blocks, with the changes held back.
 *
 * Held blocks hang in a table for reads and in a list for order. A flush has four steps with a
 * barrier between each two: new blocks that nothing points to (written when they were made), the
 * undo record, the held blocks, the end.
 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "block/disk.h"
#include "undo.h"

#define HELD_BYTES_MAX \
	(8u << 20) /* then they are written: memory stays bounded however much is repaired */
#define HELD_BUCKETS 256
#define EXTENTS_MAX  8u /* of a range that is asked about; in more it is read */
#define EXTENT_FLAGS (FIEMAP_EXTENT_UNWRITTEN | FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC)
#define GAP_BYTES    (32u << 10) /* what lies between two blocks is read with them up to this */

struct held {
	struct hash_node node;
	struct list link;
	fsblk_t block;
	uint8_t bytes[];
};

static int find_size(struct store *s)
{
	struct stat st;

	if (fstat(s->fd, &st) != 0)
		return -errno;
	if (S_ISREG(st.st_mode)) {
		s->size_bytes = (uint64_t)st.st_size;
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return -ENODEV;
	s->is_device = true;
	return ioctl(s->fd, BLKGETSIZE64, &s->size_bytes) != 0 ? -errno : 0;
}

int store_open(struct store *s, const char *path, bool is_writable)
{
	int err;

	memset(s, 0, sizeof(*s));
	list_init(&s->order);
	s->path = path;
	s->is_writable = is_writable;
	s->fd = open(path, (is_writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (s->fd < 0)
		return -errno;
	store_set_block_size(s, 1024);
	err = find_size(s);
	if (!err)
		err = hash_init(&s->held, HELD_BUCKETS);
	if (err) {
		close(s->fd);
		s->fd = -1;
		return err;
	}
	/* Passes know what they will read; the kernel's guesses behind each piece cost more than they give. */
	ignore(posix_fadvise(s->fd, 0, 0, POSIX_FADV_RANDOM), "a hint");
	return 0;
}

static void drop_held(struct store *s)
{
	struct held *h, *next;

	list_for_each_safe(h, next, &s->order, link)
	{
		hash_remove(&s->held, &h->node);
		list_del(&h->link);
		mem_free(h);
	}
	s->nr_held = 0;
}

void store_close(struct store *s)
{
	if (s->fd < 0)
		return;
	drop_held(s);
	hash_done(&s->held);
	close(s->fd);
	s->fd = -1;
}

void store_set_block_size(struct store *s, unsigned block_size)
{
	must(s->nr_held == 0);
	s->block_size = block_size;
	s->block_bits = log2_floor(block_size);
}

/* ---- bytes in and out ---- */

static int read_all(const struct store *s, uint64_t offset, uint8_t *buf, size_t len)
{
	if (s->over)
		return disk_read(s->over, offset, buf, (uint32_t)len);
	while (len > 0) {
		ssize_t n = pread(s->fd, buf, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		buf += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_all(const struct store *s, uint64_t offset, const uint8_t *buf, size_t len)
{
	if (s->over)
		return disk_write(s->over, offset, buf, (uint32_t)len, 0);
	while (len > 0) {
		ssize_t n = pwrite(s->fd, buf, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int sync_image(const struct store *s)
{
	return !s->over && fdatasync(s->fd) != 0 ? -errno : 0;
}

/* ---- held blocks ---- */

static struct held *find_held(const struct store *s, fsblk_t block)
{
	struct hash_node *n = hash_first(&s->held, hash_u64(block));

	for (; n; n = hash_next_same(n)) {
		struct held *h = container_of(n, struct held, node);

		if (h->block == block)
			return h;
	}
	return NULL;
}

bool store_holds(const struct store *s, fsblk_t block, uint64_t count)
{
	uint64_t i;

	for (i = 0; i < count && s->nr_held; i++)
		if (find_held(s, block + i))
			return true;
	return false;
}

int store_read(struct store *s, fsblk_t block, unsigned count, void *buf)
{
	uint8_t *to = buf;
	unsigned i;
	int err;

	err = read_all(s, block << s->block_bits, to, (size_t)count << s->block_bits);
	if (err)
		return err;
	s->bytes_read += (uint64_t)count << s->block_bits;
	for (i = 0; i < count && s->nr_held; i++) {
		struct held *h = find_held(s, block + i);

		if (h)
			memcpy(to + ((size_t)i << s->block_bits), h->bytes, s->block_size);
	}
	return 0;
}

int store_read_bytes(struct store *s, uint64_t offset, void *buf, size_t len)
{
	uint8_t block[4096];
	uint8_t *to = buf;

	while (len > 0) {
		size_t in_block = offset & (s->block_size - 1);
		size_t count = min(len, s->block_size - in_block);
		int err = store_read(s, offset >> s->block_bits, 1, block);

		if (err)
			return err;
		memcpy(to, block + in_block, count);
		to += count;
		offset += count;
		len -= count;
	}
	return 0;
}

int store_write(struct store *s, fsblk_t block, const void *buf)
{
	struct held *h = find_held(s, block);

	must(s->is_writable); /* S2 */
	s->nr_changes++;
	if (h) {
		memcpy(h->bytes, buf, s->block_size);
		return 0;
	}
	h = mem_alloc(sizeof(*h) + s->block_size);
	if (!h)
		return -ENOMEM;
	h->block = block;
	memcpy(h->bytes, buf, s->block_size);
	hash_insert(&s->held, &h->node, hash_u64(block));
	list_add_tail(&s->order, &h->link);
	s->nr_held++;
	return s->nr_held << s->block_bits > HELD_BYTES_MAX ? store_flush(s) : 0;
}

int store_write_bytes(struct store *s, uint64_t offset, const void *buf, size_t len)
{
	uint8_t block[4096];
	const uint8_t *from = buf;

	while (len > 0) {
		size_t in_block = offset & (s->block_size - 1);
		size_t count = min(len, s->block_size - in_block);
		int err = store_read(s, offset >> s->block_bits, 1, block);

		if (!err) {
			memcpy(block + in_block, from, count);
			err = store_write(s, offset >> s->block_bits, block);
		}
		if (err)
			return err;
		from += count;
		offset += count;
		len -= count;
	}
	return 0;
}

/* S3 for one block. */
static int record_undo(struct store *s, fsblk_t block)
{
	uint8_t old[4096];
	int err;

	if (!s->undo)
		return 0;
	err = read_all(s, block << s->block_bits, old, s->block_size);
	return err ? err : undo_record(s->undo, block << s->block_bits, old, s->block_size);
}

int store_write_new(struct store *s, fsblk_t block, const void *buf)
{
	struct held *h = find_held(s, block);
	int err;

	must(s->is_writable); /* S2 */
	s->nr_changes++;
	if (h)
		memcpy(h->bytes, buf, s->block_size);
	err = record_undo(s, block);
	if (!err && s->undo)
		err = undo_sync(s->undo);
	if (!err)
		err = write_all(s, block << s->block_bits, buf, s->block_size);
	s->has_new = true;
	s->bytes_written += s->block_size;
	return err;
}

static int write_held(struct store *s)
{
	struct held *h;
	int err = 0;

	list_for_each (h, &s->order, link) {
		if (err)
			break;
		err = write_all(s, h->block << s->block_bits, h->bytes, s->block_size);
		s->bytes_written += s->block_size;
	}
	return err;
}

int store_flush(struct store *s)
{
	struct held *h;
	int err = 0;

	if (!s->is_writable || (s->nr_held == 0 && !s->has_new))
		return 0;
	if (s->has_new)
		err = sync_image(s); /* what the held blocks may point to is durable */
	list_for_each (h, &s->order, link) {
		if (err)
			break;
		err = record_undo(s, h->block);
	}
	if (!err && s->undo)
		err = undo_sync(s->undo); /* S3 */
	if (!err)
		err = write_held(s);
	if (!err)
		err = sync_image(s);
	if (err)
		return err;
	drop_held(s);
	s->has_new = false;
	return 0;
}

/* ---- reading well ---- */

uint64_t store_next_data(const struct store *s, uint64_t offset, uint64_t end)
{
	off_t at;

	if (s->is_device || s->over)
		return offset;
	at = lseek(s->fd, (off_t)offset, SEEK_DATA);
	if (at < 0)
		return errno == ENXIO ? end : offset;
	return min((uint64_t)at, end);
}

uint64_t store_next_hole(const struct store *s, uint64_t offset, uint64_t end)
{
	off_t at;

	if (s->is_device || s->over)
		return end;
	at = lseek(s->fd, (off_t)offset, SEEK_HOLE);
	return at <= (off_t)offset ? end : min((uint64_t)at, end);
}

/*
 * What was allocated and never written is said to be data when somebody has read it, and its zeros lie
 * in the host's memory. The map of the file tells it apart, once what is dirty has gone home.
 */
static bool is_unwritten(const struct store *s, uint64_t offset, uint64_t len)
{
	union {
		struct fiemap map;
		uint8_t room[sizeof(struct fiemap) + EXTENTS_MAX * sizeof(struct fiemap_extent)];
	} q = {.map = {.fm_start = offset,
		       .fm_length = len,
		       .fm_flags = FIEMAP_FLAG_SYNC,
		       .fm_extent_count = EXTENTS_MAX}};
	uint32_t i, count;

	if (ioctl(s->fd, FS_IOC_FIEMAP, &q.map) != 0)
		return false;
	count = q.map.fm_mapped_extents;
	for (i = 0; i < count; i++)
		if ((q.map.fm_extents[i].fe_flags & EXTENT_FLAGS) != FIEMAP_EXTENT_UNWRITTEN)
			return false;
	return count > 0 && count < EXTENTS_MAX;
}

bool store_is_zero(const struct store *s, uint64_t offset, uint64_t len)
{
	if (s->is_device || s->over)
		return false;
	return store_next_data(s, offset, offset + len) == offset + len || is_unwritten(s, offset, len);
}

void store_discard(struct store *s, fsblk_t block, uint64_t count)
{
	must(s->is_writable); /* S2 */
	ignore(fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)(block << s->block_bits), (off_t)(count << s->block_bits)),
	       "it only saves room");
}

int store_peek(const struct store *s, uint64_t offset, uint8_t *buf, size_t len)
{
	return read_all(s, offset, buf, len);
}

void store_prefetch(const struct store *s, fsblk_t block, uint64_t count)
{
	ignore(posix_fadvise(s->fd, (off_t)(block << s->block_bits), (off_t)(count << s->block_bits),
			     POSIX_FADV_WILLNEED),
	       "a hint");
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void store_prefetch_each(const struct store *s, uint32_t *blocks, size_t count)
{
	uint32_t gap = GAP_BYTES >> s->block_bits;
	size_t i = 0, first;

	qsort(blocks, count, sizeof(*blocks), by_number);
	while (i < count) {
		for (first = i++; i < count && blocks[i] - blocks[i - 1] <= gap; i++)
			;
		store_prefetch(s, blocks[first], (uint64_t)blocks[i - 1] - blocks[first] + 1);
	}
}
