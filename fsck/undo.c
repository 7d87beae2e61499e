/*
 * The undo file: a header, then records one after another.
 *
 *	| header | record bytes.. | record bytes.. | ...
 */
#include "undo.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/endian.h"
#include "base/mem.h"
#include "layout/format.h"

static const char magic[16] = "extant undo 2\n";

struct undo_header {
	char magic[16];
	le64_t image_bytes;
	le64_t durable_bytes; /* of this file; the records up to here were durable once */
	uint8_t uuid_before[16]; /* the image's, and what a repair has made of it */
	uint8_t uuid_after[16];
};

struct undo_entry {
	le64_t offset;
	le32_t len;
	le32_t sum; /* CRC32 of offset, len and the bytes */
};

#define ENTRY_BYTES_MAX 65536u

struct undo {
	int fd;
	uint64_t size_bytes;
	bool is_dirty, has_failed;
	struct undo_header header;
};

static uint32_t entry_sum(const struct undo_entry *e, const void *bytes)
{
	uint32_t sum = crc32_be(CRC32_BE_SEED, &e->offset, sizeof(e->offset));

	sum = crc32_be(sum, &e->len, sizeof(e->len));
	return crc32_be(sum, bytes, le32_get(e->len));
}

static int fail(struct undo *u, int err)
{
	u->has_failed |= err != 0;
	return err;
}

static int append(struct undo *u, const void *bytes, size_t len)
{
	const char *from = bytes;

	while (len > 0) {
		ssize_t n = write(u->fd, from, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(u, -errno);
		from += n;
		len -= (size_t)n;
		u->size_bytes += (uint64_t)n;
	}
	u->is_dirty = true;
	return 0;
}

/* Becomes durable with the next record, or with the end. */
static int write_header(struct undo *u)
{
	ssize_t n = pwrite(u->fd, &u->header, sizeof(u->header), 0);

	return fail(u, n == (ssize_t)sizeof(u->header) ? 0 : n < 0 ? -errno : -EIO);
}

static int begin(struct undo *u, uint64_t image_bytes, const uint8_t uuid[16])
{
	memcpy(u->header.magic, magic, sizeof(magic));
	u->header.image_bytes = le64_make(image_bytes);
	u->header.durable_bytes = le64_make(sizeof(u->header));
	memcpy(u->header.uuid_before, uuid, 16);
	memcpy(u->header.uuid_after, uuid, 16);
	return append(u, &u->header, sizeof(u->header));
}

int undo_create(const char *path, uint64_t image_bytes, const uint8_t uuid[16], struct undo **ret)
{
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
	err = begin(u, image_bytes, uuid);
	if (err) {
		undo_close(u);
		return err;
	}
	*ret = u;
	return 0;
}

int undo_identify(struct undo *u, const uint8_t uuid[16])
{
	if (memcmp(u->header.uuid_after, uuid, 16) == 0)
		return 0;
	memcpy(u->header.uuid_after, uuid, 16);
	u->is_dirty = true;
	return write_header(u);
}

bool undo_has_failed(const struct undo *u)
{
	return u->has_failed;
}

void undo_close(struct undo *u)
{
	if (!u)
		return;
	if (!u->has_failed && undo_sync(u) == 0)
		ignore(fsync(u->fd), "then the header says less than there is");
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
		return fail(u, -errno);
	u->is_dirty = false;
	u->header.durable_bytes = le64_make(u->size_bytes);
	return write_header(u);
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

struct applying {
	int fd, image_fd;
	uint8_t *bytes; /* ENTRY_BYTES_MAX */
	struct index index;
	char *why;
	size_t why_size;
};

static int refuse(struct applying *a, const char *why)
{
	snprintf(a->why, a->why_size, "%s", why);
	return -EUCLEAN;
}

/* Is it a record of this image? */
static int check_header(struct applying *a, const struct undo_header *header, uint64_t image_bytes)
{
	uint8_t uuid[16];

	if (memcmp(header->magic, magic, sizeof(magic)) != 0)
		return refuse(a, "it is no undo file");
	if (le64_get(header->image_bytes) != image_bytes)
		return refuse(a, "it belongs to an image of another size");
	if (!read_at(a->image_fd, EXT_SUPER_OFFSET + offsetof(struct ext_super, uuid), uuid, sizeof(uuid)))
		return -EIO;
	if (memcmp(uuid, header->uuid_before, 16) != 0 && memcmp(uuid, header->uuid_after, 16) != 0)
		return refuse(a, "it belongs to another file system");
	return 0;
}

/* All records, before anything is written back (U2). */
static int find_records(struct applying *a, const struct undo_header *header)
{
	uint64_t at = sizeof(*header);
	struct undo_entry e;

	while (read_entry(a->fd, at, &e, a->bytes)) {
		int err = index_add(&a->index, at);

		if (err)
			return err;
		at += sizeof(e) + le32_get(e.len);
	}
	if (at >= le64_get(header->durable_bytes))
		return 0;
	snprintf(a->why, a->why_size, "it is damaged or cut off at byte %" PRIu64, at);
	return -EUCLEAN;
}

static int apply(struct applying *a, uint64_t image_bytes)
{
	struct undo_header header;
	struct undo_entry e;
	size_t i;
	int err;

	if (!read_at(a->fd, 0, &header, sizeof(header)))
		return refuse(a, "it is no undo file");
	err = check_header(a, &header, image_bytes);
	if (!err)
		err = find_records(a, &header);
	for (i = a->index.count; i-- > 0 && !err;)
		err = read_entry(a->fd, a->index.at[i], &e, a->bytes) ? write_back(a->image_fd, &e, a->bytes)
								      : -EIO;
	if (!err && fdatasync(a->image_fd) != 0)
		err = -errno;
	return err;
}

int undo_apply(const char *path, int image_fd, uint64_t image_bytes, uint64_t *ret_records, char *why,
	       size_t why_size)
{
	struct applying a = {.image_fd = image_fd, .why = why, .why_size = why_size};
	int err;

	a.bytes = mem_alloc(ENTRY_BYTES_MAX);
	if (!a.bytes)
		return -ENOMEM;
	*why = '\0';
	a.fd = open(path, O_RDONLY | O_CLOEXEC);
	err = a.fd < 0 ? -errno : apply(&a, image_bytes);
	if (err && !*why)
		snprintf(why, why_size, "%s", strerror(-err));
	*ret_records = a.index.count;
	if (a.fd >= 0)
		close(a.fd);
	mem_free(a.index.at);
	mem_free(a.bytes);
	return err;
}
