/* The rig itself: what is written through it lies on its disk. */
#include "unit/cache/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

/* The disk. */

/* Returns how many blocks the request has. */
static uint64_t move_head(struct rig *rig, const struct request *rq)
{
	uint64_t block = (rq->sector << SECTOR_SHIFT) / rig->block_bytes, nr = rq->size_bytes / rig->block_bytes;

	rig->nr_seeks += block != rig->head;
	rig->travel += block > rig->head ? block - rig->head : rig->head - block;
	rig->head = block + nr;
	return nr;
}

static int do_read(struct rig *rig, struct request *rq)
{
	uint64_t at = rq->sector << SECTOR_SHIFT;
	struct iovec iov[256];
	size_t n, done = 0;

	rig->nr_reads++;
	rig->blocks_read += move_head(rig, rq);
	rig->nr_stuck++;
	cond_broadcast(&rig->unstuck);
	while (rig->reads_stick)
		cond_wait(&rig->unstuck, &rig->lock);
	rig->nr_stuck--;
	if (rig->fail_reads > 0) {
		rig->fail_reads--;
		return -EIO;
	}
	while ((n = request_fill_iov(rq, done, iov, array_size(iov))) > 0) {
		for (size_t i = 0; i < n; i++) {
			memcpy(iov[i].iov_base, rig->bytes + at + done, iov[i].iov_len);
			done += iov[i].iov_len;
		}
		if (done == rq->size_bytes)
			break;
	}
	return 0;
}

static int do_write(struct rig *rig, struct request *rq)
{
	uint64_t at = rq->sector << SECTOR_SHIFT;
	struct iovec iov[256];
	size_t n, done = 0;

	if (rig->nr_writes < RIG_WRITES_LOGGED)
		rig->writes[rig->nr_writes] = (struct rig_write){at / rig->block_bytes,
								 rq->size_bytes / rig->block_bytes};
	rig->nr_writes++;
	rig->blocks_written += move_head(rig, rq);
	rig->nr_stuck++;
	cond_broadcast(&rig->unstuck);
	while (rig->writes_stick || (rig->is_metered && rig->nr_let_through == 0))
		cond_wait(&rig->unstuck, &rig->lock);
	rig->nr_let_through -= rig->nr_let_through > 0;
	rig->nr_stuck--;
	if (rig->fail_writes > 0) {
		rig->fail_writes--;
		return -EIO;
	}
	while ((n = request_fill_iov(rq, done, iov, array_size(iov))) > 0) {
		for (size_t i = 0; i < n; i++) {
			memcpy(rig->bytes + at + done, iov[i].iov_base, iov[i].iov_len);
			done += iov[i].iov_len;
		}
		if (done == rq->size_bytes)
			break;
	}
	return 0;
}

static int execute(void *driver, struct request *rq)
{
	struct rig *rig = driver;
	int status = 0;

	if (rq->op == BIO_WRITE && rig->write_delay_us > 0)
		usleep(rig->write_delay_us);
	if (rq->op == BIO_READ && rig->read_delay_us > 0)
		usleep(rig->read_delay_us);
	mutex_lock(&rig->lock);
	if (rq->op == BIO_READ)
		status = do_read(rig, rq);
	else if (rq->op == BIO_WRITE)
		status = do_write(rig, rq);
	mutex_unlock(&rig->lock);
	return status;
}

static void close_nothing(void *driver)
{
	(void)driver;
}

static const struct disk_ops rig_disk_ops = {.name = "rig", .execute = execute, .close = close_nothing};

/* The rig. */

static void keep_line(void *arg, enum log_level level, const char *line)
{
	struct rig *rig = arg;

	(void)level;
	rig->nr_lines++;
	snprintf(rig->line, sizeof(rig->line), "%s", line);
}

void rig_defaults(struct rig *rig)
{
	*rig = (struct rig){
		.block_bytes = 4096,
		.disk_bytes = 64 << 20,
		.cache_bytes = PAGE_CACHE_BYTES_MIN,
		.is_inline = true,
		.expire_ms = 5000,
		.interval_ms = 1000,
		.request_bytes_max = 1 << 20,
		.next_block = 16,
		.blocks_left = UINT64_MAX,
	};
}

static void open_disk(struct rig *rig)
{
	struct disk_limits limits = {
		.size_bytes = rig->disk_bytes,
		.block_bytes = 512,
		.request_bytes_max = rig->request_bytes_max,
		.vecs_max = 256,
		.depth = 4,
	};
	struct disk_config config = {.name = "rig", .clock = rig->clock, .is_inline = rig->is_inline};

	ck_assert_int_eq(disk_open_with(&rig_disk_ops, rig, &limits, &config, &rig->disk), 0);
}

void rig_start(struct rig *rig)
{
	struct page_cache_config config;

	mutex_init(&rig->lock, RANK_DRIVER, "rig");
	cond_init(&rig->unstuck);
	log_set_sink(keep_line, rig);
	rig->bytes = calloc(1, rig->disk_bytes);
	ck_assert_ptr_nonnull(rig->bytes);
	rig->clock = rig->is_inline ? clock_create_virtual((struct timespec){.tv_sec = 1000}) : clock_create_real();
	rig->work = workqueue_create("rig", rig->is_inline ? 0 : 1, rig->clock, test_seed());
	open_disk(rig);
	config = (struct page_cache_config){
		.block_bytes = rig->block_bytes,
		.size_bytes = rig->cache_bytes,
		.dirty_percent = rig->dirty_percent,
		.background_percent = rig->background_percent,
		.dirty_expire_ms = rig->expire_ms,
		.flush_interval_ms = rig->interval_ms,
		.readahead_bytes_max = rig->readahead_bytes,
		.clock = rig->clock,
		.work = rig->work,
	};
	ck_assert_int_eq(page_cache_create(&config, &rig->cache), 0);
	ck_assert_int_eq(buffer_cache_init(&rig->buffers, rig->cache, rig->disk), 0);
}

void rig_stop(struct rig *rig)
{
	buffer_cache_done(&rig->buffers);
	page_cache_destroy(rig->cache);
	workqueue_destroy(rig->work);
	disk_close(rig->disk);
	clock_destroy(rig->clock);
	log_set_sink(NULL, NULL);
	cond_done(&rig->unstuck);
	mutex_done(&rig->lock);
	free(rig->bytes);
}

void rig_stick_reads(struct rig *rig)
{
	mutex_lock(&rig->lock);
	rig->reads_stick = true;
	mutex_unlock(&rig->lock);
}

void rig_stick_writes(struct rig *rig)
{
	mutex_lock(&rig->lock);
	rig->writes_stick = true;
	mutex_unlock(&rig->lock);
}

void rig_unstick(struct rig *rig)
{
	mutex_lock(&rig->lock);
	rig->writes_stick = rig->reads_stick = false;
	cond_broadcast(&rig->unstuck);
	mutex_unlock(&rig->lock);
}

void rig_meter_writes(struct rig *rig, bool is_metered)
{
	mutex_lock(&rig->lock);
	rig->is_metered = is_metered;
	cond_broadcast(&rig->unstuck);
	mutex_unlock(&rig->lock);
}

void rig_let_write_through(struct rig *rig)
{
	mutex_lock(&rig->lock);
	rig->nr_let_through++;
	cond_broadcast(&rig->unstuck);
	mutex_unlock(&rig->lock);
}

void rig_wait_stuck(struct rig *rig, uint32_t nr)
{
	mutex_lock(&rig->lock);
	while (rig->nr_stuck < nr)
		cond_wait(&rig->unstuck, &rig->lock);
	mutex_unlock(&rig->lock);
}

void rig_forget_writes(struct rig *rig)
{
	mutex_lock(&rig->lock);
	rig->nr_writes = 0;
	mutex_unlock(&rig->lock);
}

const uint8_t *rig_block(const struct rig *rig, uint64_t block)
{
	return rig->bytes + block * rig->block_bytes;
}

uint32_t rig_pages_max(const struct rig *rig)
{
	return (uint32_t)(rig->cache_bytes / rig->block_bytes);
}

/* Files. */

static int fake_map_read(struct mapping *m, struct page **pages, uint32_t nr)
{
	struct fakefile *f = m->owner;

	if (f->fail_map_read)
		return f->fail_map_read;
	mutex_lock(&f->rig->lock);
	for (uint32_t i = 0; i < nr; i++)
		pages[i]->block = pages[i]->index < f->nr_blocks ? f->map[pages[i]->index] : 0;
	mutex_unlock(&f->rig->lock);
	return 0;
}

static int fake_write_begin(struct mapping *m, struct mapping_write *w)
{
	struct fakefile *f = m->owner;

	if (f->fail_begin)
		return f->fail_begin;
	f->nr_begun++;
	w->owner = f;
	return 0;
}

static bool give_block(struct fakefile *f, struct page *page) needs(f->rig->lock)
{
	fsblk_t *place = &f->map[page->index];

	if (*place == 0) {
		if (f->rig->blocks_left == 0)
			return false;
		f->rig->blocks_left--;
		*place = f->rig->next_block++;
		page_set(page, PAGE_NEW);
	}
	page->block = *place;
	return true;
}

static int fake_write_map(struct mapping *m, struct mapping_write *w, struct page **pages, uint32_t nr)
{
	struct fakefile *f = m->owner;
	uint32_t done = 0;

	ck_assert_ptr_eq(w->owner, f);
	f->nr_maps++;
	mutex_lock(&f->rig->lock);
	while (done < nr && pages[done]->index < f->nr_blocks && give_block(f, pages[done]))
		done++;
	mutex_unlock(&f->rig->lock);
	return done > 0 ? (int)done : -ENOSPC;
}

static int fake_write_end(struct mapping *m, struct mapping_write *w, uint64_t written)
{
	struct fakefile *f = m->owner;

	f->nr_ended++;
	if (f->fail_end)
		return f->fail_end;
	if (written > 0)
		f->size_bytes = max(f->size_bytes, w->pos + written);
	return 0;
}

static const struct mapping_ops fake_ops = {
	.map_read = fake_map_read,
	.write_begin = fake_write_begin,
	.write_map = fake_write_map,
	.write_end = fake_write_end,
};

void file_init(struct fakefile *f, struct rig *rig, uint64_t nr_blocks)
{
	*f = (struct fakefile){.rig = rig, .nr_blocks = nr_blocks};
	f->map = calloc(nr_blocks, sizeof(f->map[0]));
	ck_assert_ptr_nonnull(f->map);
	mapping_init(&f->mapping, rig->cache, rig->disk, &fake_ops, f, 12);
}

void file_done(struct fakefile *f)
{
	mapping_truncate(&f->mapping, 0);
	mapping_done(&f->mapping);
	free(f->map);
}

void file_put_on_disk(struct fakefile *f, uint64_t first, uint64_t nr, uint8_t byte)
{
	uint32_t bytes = f->rig->block_bytes;

	mutex_lock(&f->rig->lock);
	for (uint64_t i = first; i < first + nr; i++) {
		f->map[i] = f->rig->next_block++;
		memset(f->rig->bytes + f->map[i] * bytes, byte, bytes);
	}
	mutex_unlock(&f->rig->lock);
	f->size_bytes = max(f->size_bytes, (first + nr) * bytes);
}

ssize_t file_write(struct fakefile *f, uint64_t pos, const void *from, size_t len)
{
	return filemap_write(&f->mapping, pos, from, len, f->size_bytes, false);
}

ssize_t file_fill(struct fakefile *f, uint64_t pos, uint8_t byte, size_t len)
{
	uint8_t *from = malloc(len);
	ssize_t done;

	ck_assert_ptr_nonnull(from);
	memset(from, byte, len);
	done = file_write(f, pos, from, len);
	free(from);
	return done;
}

ssize_t file_read(struct fakefile *f, uint64_t pos, void *to, size_t len)
{
	return filemap_read_copy(&f->mapping, pos, to, len, f->size_bytes);
}

/* As an owner does it: zero the border, drop the pages, free the blocks. */
void file_cut(struct fakefile *f, uint64_t size_bytes)
{
	uint32_t bytes = f->rig->block_bytes;

	ck_assert_int_eq(mapping_zero_tail(&f->mapping, size_bytes, f->size_bytes), 0);
	mapping_truncate(&f->mapping, size_bytes);
	mutex_lock(&f->rig->lock);
	for (uint64_t i = div_round_up(size_bytes, bytes); i < f->nr_blocks; i++)
		f->map[i] = 0;
	mutex_unlock(&f->rig->lock);
	f->size_bytes = size_bytes;
}

int file_sync(struct fakefile *f)
{
	return mapping_write_range(&f->mapping, 0, UINT64_MAX, WRITEBACK_WAIT);
}

/* Of the rig. */

START_TEST(what_is_written_and_synced_lies_on_the_disk)
{
	struct rig rig;
	struct fakefile f;

	rig_defaults(&rig);
	rig_start(&rig);
	file_init(&f, &rig, 8);
	ck_assert_int_eq(file_fill(&f, 0, 'a', 5000), 5000);
	ck_assert_int_eq(file_sync(&f), 0);
	ck_assert_int_eq(rig_block(&rig, 16)[0], 'a');
	ck_assert_int_eq(rig_block(&rig, 17)[5000 - 4096 - 1], 'a');
	ck_assert_int_eq(rig_block(&rig, 17)[5000 - 4096], 0);
	file_done(&f);
	rig_stop(&rig);
}
END_TEST

TEST_SUITE(cache_fixture)
{
	tcase_add_test(tc, what_is_written_and_synced_lies_on_the_disk);
}
