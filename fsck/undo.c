/*
 * The undo file: a header, then records one after another.
 *
 *	| header | record bytes.. | record bytes.. | ...
 */
#include "undo.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/endian.h"
#include "base/mem.h"

static const char magic[16] = "extant undo 1\n";

struct undo_header {
	char magic[16];
	le64_t image_bytes;
};

struct undo_entry {
	le64_t offset;
	le32_t len;
	le32_t sum; /* CRC32 of offset, len and the bytes */
};

#define ENTRY_BYTES_MAX 65536u

struct undo {
	int fd;
	bool is_dirty;
};

static uint32_t entry_sum(const struct undo_entry *e, const void *bytes)
{
	uint32_t sum = crc32_be(CRC32_BE_SEED, &e->offset, sizeof(e->offset));

	sum = crc32_be(sum, &e->len, sizeof(e->len));
	return crc32_be(sum, bytes, le32_get(e->len));
}

static int append(struct undo *u, const void *bytes, size_t len)
{
	const char *from = bytes;

	while (len > 0) {
		ssize_t n = write(u->fd, from, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		len -= (size_t)n;
	}
	u->is_dirty = true;
	return 0;
}

int undo_create(const char *path, uint64_t image_bytes, struct undo **ret)
{
	struct undo_header header = {.image_bytes = le64_make(image_bytes)};
	struct undo *u = mem_zalloc(sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	u->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (u->fd < 0) {
		err = -errno;
		mem_free(u);
		return err;
	}
	memcpy(header.magic, magic, sizeof(magic));
	err = append(u, &header, sizeof(header));
	if (err) {
		undo_close(u);
		return err;
	}
	*ret = u;
	return 0;
}

void undo_close(struct undo *u)
{
	if (!u)
		return;
	close(u->fd);
	mem_free(u);
}

int undo_record(struct undo *u, uint64_t offset, const void *old, uint32_t len)
{
	struct undo_entry e = {.offset = le64_make(offset), .len = le32_make(len)};
	int err;

	e.sum = le32_make(entry_sum(&e, old));
	err = append(u, &e, sizeof(e));
	return err ? err : append(u, old, len);
}

int undo_sync(struct undo *u)
{
	if (!u->is_dirty)
		return 0;
	if (fdatasync(u->fd) != 0)
		return -errno;
	u->is_dirty = false;
	return 0;
}

/* ---- applying ---- */

static bool read_at(int fd, uint64_t offset, void *buf, size_t len)
{
	return pread(fd, buf, len, (off_t)offset) == (ssize_t)len;
}

/* Reads the record at offset and its bytes; false where there is none, or a torn one (U1). */
static bool read_entry(int fd, uint64_t at, struct undo_entry *e, uint8_t *bytes)
{
	return read_at(fd, at, e, sizeof(*e)) && le32_get(e->len) <= ENTRY_BYTES_MAX &&
	       read_at(fd, at + sizeof(*e), bytes, le32_get(e->len)) &&
	       entry_sum(e, bytes) == le32_get(e->sum);
}

/* Where each record begins, for going backwards. */
struct index {
	uint64_t *at;
	size_t count, room;
};

static int index_add(struct index *x, uint64_t at)
{
	uint64_t *grown;

	if (x->count == x->room) {
		grown = mem_realloc(x->at, (x->room * 2 + 64) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		x->at = grown;
		x->room = x->room * 2 + 64;
	}
	x->at[x->count++] = at;
	return 0;
}

static int write_back(int image_fd, const struct undo_entry *e, const uint8_t *bytes)
{
	ssize_t n = pwrite(image_fd, bytes, le32_get(e->len), (off_t)le64_get(e->offset));

	return n == (ssize_t)le32_get(e->len) ? 0 : n < 0 ? -errno : -EIO;
}

static int apply(int fd, int image_fd, uint64_t image_bytes, uint8_t *bytes, uint64_t *ret_records)
{
	struct undo_header header;
	struct undo_entry e;
	struct index x = {0};
	uint64_t at = sizeof(header);
	size_t i;
	int err = 0;

	if (!read_at(fd, 0, &header, sizeof(header)) ||
	    memcmp(header.magic, magic, sizeof(magic)) != 0 ||
	    le64_get(header.image_bytes) != image_bytes)
		return -EUCLEAN;
	while (!err && read_entry(fd, at, &e, bytes)) {
		err = index_add(&x, at);
		at += sizeof(e) + le32_get(e.len);
	}
	for (i = x.count; i-- > 0 && !err;)
		err = read_entry(fd, x.at[i], &e, bytes) ? write_back(image_fd, &e, bytes) : -EIO;
	if (!err && fdatasync(image_fd) != 0)
		err = -errno;
	*ret_records = x.count;
	mem_free(x.at);
	return err;
}

int undo_apply(const char *path, int image_fd, uint64_t image_bytes, uint64_t *ret_records)
{
	uint8_t *bytes = mem_alloc(ENTRY_BYTES_MAX);
	int fd, err;

	if (!bytes)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
	} else {
		err = apply(fd, image_fd, image_bytes, bytes, ret_records);
		close(fd);
	}
	mem_free(bytes);
	return err;
}
