/* Requests go on to the lower disk piece by piece; of writes the old bytes are recorded first. */
#include "tapdisk.h"

#include <errno.h>

#include "base/mem.h"
#include "undo.h"

#define VECS_MAX 64u
#define OLD_BYTES 4096u

struct tapdisk {
	struct disk *lower;
	struct undo *undo;
};

static int record_old(struct tapdisk *tap, uint64_t offset, uint32_t len)
{
	uint8_t old[OLD_BYTES];

	while (len > 0) {
		uint32_t count = min(len, OLD_BYTES);
		int err = disk_read(tap->lower, offset, old, count);

		if (!err)
			err = undo_record(tap->undo, offset, old, count);
		if (err)
			return err;
		offset += count;
		len -= count;
	}
	return 0;
}

static int pass_on(struct tapdisk *tap, enum bio_op op, uint64_t offset, const struct iovec *piece)
{
	uint32_t len = (uint32_t)piece->iov_len;
	int err;

	if (op == BIO_READ)
		return disk_read(tap->lower, offset, piece->iov_base, len);
	err = record_old(tap, offset, len);
	return err ? err : disk_write(tap->lower, offset, piece->iov_base, len, 0);
}

static int execute(void *driver, struct request *rq)
{
	struct tapdisk *tap = driver;
	struct iovec pieces[VECS_MAX];
	uint64_t offset = rq->sector << SECTOR_SHIFT;
	size_t nr, i;
	int err = 0;

	if (rq->op == BIO_FLUSH)
		return 0; /* nothing of a rehearsal has to last */
	if (rq->op == BIO_DISCARD)
		return -EOPNOTSUPP;
	nr = request_fill_iov(rq, 0, pieces, VECS_MAX);
	for (i = 0; i < nr && !err; i++) {
		err = pass_on(tap, rq->op, offset, &pieces[i]);
		offset += pieces[i].iov_len;
	}
	return err;
}

static void close_tap(void *driver)
{
	mem_free(driver);
}

static const struct disk_ops tap_ops = {
	.name = "tap",
	.execute = execute,
	.close = close_tap,
};

int tapdisk_open(struct disk *lower, struct undo *undo, struct disk **ret_disk)
{
	struct disk_limits limits = *disk_limits(lower);
	struct disk_config config = {.name = disk_name(lower), .is_inline = true};
	struct tapdisk *tap = mem_zalloc(sizeof(*tap));
	int err;

	if (!tap)
		return -ENOMEM;
	tap->lower = lower;
	tap->undo = undo;
	limits.vecs_max = VECS_MAX;
	limits.has_fua = true;
	limits.has_discard = false;
	err = disk_open_with(&tap_ops, tap, &limits, &config, ret_disk);
	if (err)
		mem_free(tap);
	return err;
}
