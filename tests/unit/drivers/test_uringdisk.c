/*
 * io_uring. What must hold besides what test_files.c asks of every driver over a file: results that
 * the kernel gives once in a blue moon (EAGAIN, EINTR, short, no RWF_DSYNC, a failed flush) lead to the
 * right next step; a batch costs few system calls; what the host has cached wakes nobody; memory
 * that O_DIRECT cannot take is replaced; registered memory is used; a kernel that refuses io_uring
 * is told as such.
 */
#include "drivers/uringdisk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "block/plug.h"
#include "drivers/uring.h"
#include "harness/runner.h"
#include "unit/drivers/openers.h"

static char why[300];

static struct disk *uring_over(int fd, const struct uringdisk_config *uring, const struct disk_config *config,
			       struct uringdisk **ret_uring)
{
	struct disk *disk;
	int err = uringdisk_open_fd(fd, uring, config, ret_uring, &disk, why, sizeof(why));

	if (err == -ENOSYS)
		test_skip(why);
	ck_assert_msg(err == 0, "%s", why);
	return disk;
}

static int memfd_of(uint64_t size_bytes)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size_bytes), 0);
	return fd;
}

/* A file on a real file system, without a name. */
static int file_of(uint64_t size_bytes)
{
	char path[300];
	int fd = open(new_path(path, sizeof(path)), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size_bytes), 0);
	remove_path(path);
	return fd;
}

OPENER(uring)
{
	*ret_state = NULL;
	return uring_over(file_of(size_bytes), &(struct uringdisk_config){.depth = 0},
			  &(struct disk_config){.name = "image"}, NULL);
}

OPENER(uring_narrow)
{
	*ret_state = NULL;
	return uring_over(memfd_of(size_bytes), &(struct uringdisk_config){.depth = 1},
			  &(struct disk_config){.name = "image", .queue_depth_max = 2}, NULL);
}

static struct disk *new_direct(uint64_t size_bytes, struct uringdisk **ret_uring)
{
	struct uringdisk_config uring = {.is_direct = true};
	struct disk *disk;
	int err = uringdisk_open_fd(file_of(size_bytes), &uring, &(struct disk_config){.name = "image"}, ret_uring,
				    &disk, why, sizeof(why));

	if (err == -ENOSYS || (err == -EINVAL && strstr(why, "direct")))
		test_skip(why);
	ck_assert_msg(err == 0, "%s", why);
	return disk;
}

OPENER(uring_direct)
{
	*ret_state = NULL;
	return new_direct(size_bytes, NULL);
}

OPENER(uring_sqpoll)
{
	*ret_state = NULL;
	return uring_over(memfd_of(size_bytes), &(struct uringdisk_config){.has_sqpoll = true, .sqpoll_idle_ms = 1},
			  &(struct disk_config){.name = "image"}, NULL);
}

/* Results, as if from the kernel. */

struct made {
	struct uringdisk u;
	struct uring_io io;
	struct iovec iov[URING_VECS_MAX];
	struct bio *bio;
	struct request rq;
	unsigned char memory[8192];
};

static struct made *made_of(enum bio_op op, uint32_t flags)
{
	struct made *m = calloc(1, sizeof(*m));
	char name[] = "image";

	m->u.image = (struct image){.fd = -1, .name = strdup(name), .size_bytes = 1 << 20, .block_bytes = 512};
	m->io.iov = m->iov;
	m->bio = bio_alloc(NULL, op, flags, 8, 2);
	if (op == BIO_READ || op == BIO_WRITE)
		ck_assert(bio_add(m->bio, m->memory, sizeof(m->memory)));
	m->rq = (struct request){.op = op, .flags = flags, .sector = 8, .size_bytes = m->bio->size_bytes};
	list_init(&m->rq.bios);
	list_add_tail(&m->rq.bios, &m->bio->link);
	ck_assert_int_eq(uring_io_begin(&m->u, &m->io, &m->rq), 0);
	return m;
}

static void made_free(struct made *m)
{
	bio_free(m->bio);
	free(m->u.image.name);
	free(m);
}

static struct io_uring_sqe prepared(struct made *m)
{
	struct io_uring_sqe sqe = {.opcode = 0};

	mutex_init(&m->u.sq_lock, RANK_DRIVER, "test");
	mutex_lock(&m->u.sq_lock);
	uring_io_prepare(&m->u, &m->io, &sqe);
	mutex_unlock(&m->u.sq_lock);
	mutex_done(&m->u.sq_lock);
	return sqe;
}

#define GOES_ON 1000
static int ended(struct made *m, int res)
{
	int status = 4711;

	return uring_io_ended(&m->u, &m->io, res, &status) ? status : GOES_ON;
}

static unsigned nr_lines;
static char line[300];

static void keep_line(void *arg, enum log_level level, const char *text)
{
	(void)arg;
	(void)level;
	if (nr_lines++ == 0)
		snprintf(line, sizeof(line), "%s", text);
}

START_TEST(a_short_transfer_goes_on_where_it_stopped)
{
	enum bio_op op = _i ? BIO_WRITE : BIO_READ;
	struct made *m = made_of(op, 0);
	struct io_uring_sqe sqe = prepared(m);

	ck_assert_int_eq(sqe.opcode, _i ? IORING_OP_WRITE : IORING_OP_READ);
	ck_assert(sqe.off == 4096 && sqe.len == 8192 && sqe.addr == (uintptr_t)m->memory);
	ck_assert_int_eq(ended(m, 1000), GOES_ON);
	sqe = prepared(m);
	ck_assert(sqe.off == 5096 && sqe.len == 7192 && sqe.addr == (uintptr_t)m->memory + 1000);
	ck_assert_int_eq(sqe.flags & IOSQE_ASYNC, 0);
	ck_assert_int_eq(ended(m, 7191), GOES_ON);
	ck_assert_int_eq(ended(m, 1), 0);
	made_free(m);
}
END_TEST

START_TEST(eagain_and_its_like_are_tried_again_by_a_thread_that_may_wait)
{
	enum bio_op op = (enum bio_op)_i;
	struct made *m = made_of(op, 0);

	prepared(m);
	ck_assert_int_eq(ended(m, -EAGAIN), GOES_ON);
	ck_assert_int_ne(prepared(m).flags & IOSQE_ASYNC, 0);
	ck_assert_int_eq(ended(m, -EINTR), GOES_ON);
	ck_assert_int_ne(prepared(m).flags & IOSQE_ASYNC, 0);
	ck_assert_int_eq(ended(m, -ECANCELED), GOES_ON);
	prepared(m);
	ck_assert_int_eq(ended(m, op == BIO_READ || op == BIO_WRITE ? 8192 : 0), 0);
	ck_assert_uint_eq(counter_get(&m->u.stats.retries), 3);
	made_free(m);
}
END_TEST

START_TEST(a_kernel_that_only_ever_says_eagain_is_an_error_in_the_end)
{
	struct made *m = made_of(BIO_READ, 0);
	int nr = 0;

	log_set_sink(keep_line, NULL);
	while (ended(m, -EAGAIN) == GOES_ON)
		ck_assert_int_lt(++nr, 100000);
	ck_assert_int_gt(nr, 10);
	ck_assert_uint_eq(nr_lines, 1);
	made_free(m);
}
END_TEST

START_TEST(without_dsync_an_fdatasync_follows_the_write)
{
	struct made *m = made_of(BIO_WRITE, BIO_FUA);

	ck_assert_int_eq(prepared(m).rw_flags, RWF_DSYNC);
	ck_assert_int_eq(ended(m, 512), GOES_ON);
	ck_assert_int_eq(prepared(m).rw_flags, RWF_DSYNC);
	ck_assert_int_eq(ended(m, -EOPNOTSUPP), GOES_ON);
	ck_assert_int_eq(prepared(m).rw_flags, 0);
	ck_assert_uint_eq(prepared(m).len, 8192);	/* all of it anew */
	ck_assert_int_eq(ended(m, 8192), GOES_ON);
	ck_assert_int_eq(prepared(m).opcode, IORING_OP_FSYNC);
	ck_assert_uint_eq(prepared(m).fsync_flags, IORING_FSYNC_DATASYNC);
	ck_assert_int_eq(ended(m, 0), 0);
	made_free(m);
	m = made_of(BIO_WRITE, BIO_FUA);
	prepared(m);
	ck_assert_int_eq(ended(m, 8192), 0);	/* with RWF_DSYNC nothing follows */
	made_free(m);
}
END_TEST

/* Which failures end all promises: those of a flush, a durable write, and the fdatasync behind one. */
START_TEST(after_a_failed_flush_nothing_is_called_durable)
{
	struct made *m = made_of(_i == 0 ? BIO_FLUSH : BIO_WRITE, _i ? BIO_FUA : 0);

	log_set_sink(keep_line, NULL);
	if (_i == 2)
		m->u.image.lacks_dsync = true;
	prepared(m);
	if (_i == 2)
		ck_assert_int_eq(ended(m, 8192), GOES_ON);
	ck_assert_int_eq(ended(m, -EDQUOT), -EIO);
	ck_assert(m->u.image.has_lost_data);
	ck_assert_uint_eq(nr_lines, 1);
	ck_assert_ptr_nonnull(strstr(line, strerror(EDQUOT)));
	m->rq.op = BIO_FLUSH;
	ck_assert_int_eq(uring_io_begin(&m->u, &m->io, &m->rq), -EIO);
	m->rq.op = BIO_WRITE;
	m->rq.flags = BIO_FUA;
	ck_assert_int_eq(uring_io_begin(&m->u, &m->io, &m->rq), -EIO);
	m->rq.flags = 0;
	ck_assert_int_eq(uring_io_begin(&m->u, &m->io, &m->rq), 0);
	made_free(m);
}
END_TEST

START_TEST(a_failed_plain_write_is_an_error_and_no_more)
{
	struct made *m = made_of(BIO_WRITE, 0);

	log_set_sink(keep_line, NULL);
	prepared(m);
	ck_assert_int_eq(ended(m, 512), GOES_ON);
	ck_assert_int_eq(ended(m, -ENOSPC), -EIO);
	ck_assert(!m->u.image.has_lost_data);
	ck_assert_str_eq(line, "image: write at byte 4608 failed: No space left on device");
	made_free(m);
}
END_TEST

START_TEST(a_discard_that_the_host_cannot_do_says_so)
{
	struct made *m = made_of(BIO_DISCARD, 0);

	log_set_sink(keep_line, NULL);
	ck_assert_int_eq(ended(m, -EOPNOTSUPP), -EOPNOTSUPP);
	ck_assert_uint_eq(nr_lines, 0);
	made_free(m);
}
END_TEST

/* Through the kernel. */

static void wait_ended(struct bio *bio)
{
	_Atomic uint32_t *nr_left = bio->private;

	ck_assert_int_eq(bio->status, 0);
	bio_free(bio);
	atomic_fetch_sub(nr_left, 1);
}

/* 64 reads that do not touch, in one plug. */
static void read_64(struct disk *disk, unsigned char *memory)
{
	_Atomic uint32_t nr_left = 64;
	struct plug plug;

	plug_start(&plug);
	for (uint32_t i = 0; i < 64; i++) {
		struct bio *bio = bio_alloc(disk, BIO_READ, 0, 16 * i, 1);

		ck_assert(bio_add(bio, memory + i * 4096, 4096));
		bio->end_io = wait_ended;
		bio->private = &nr_left;
		plug_submit(&plug, bio);
	}
	plug_finish(&plug);
	while (atomic_load(&nr_left))
		sched_yield();
}

START_TEST(a_batch_costs_few_system_calls)
{
	struct uringdisk *u = NULL;
	struct disk *disk = new_direct(1 << 20, &u);
	unsigned char *memory;
	uint64_t nr_enters;

	put_pattern(disk, 0, 1 << 20, 1);
	ck_assert_int_eq(posix_memalign((void **)&memory, 4096, 64 * 4096), 0);
	nr_enters = counter_get(&uringdisk_stats(u)->enters);
	read_64(disk, memory);
	disk_drain(disk);
	nr_enters = counter_get(&uringdisk_stats(u)->enters) - nr_enters;
	/* 2 to submit, and one a completion if each comes alone and finds the ring's thread waiting. */
	ck_assert_uint_le(nr_enters, 2 + 64);
	disk_close(disk);
	free(memory);
}
END_TEST

START_TEST(what_the_host_has_cached_wakes_nobody)
{
	struct uringdisk *u = NULL;
	struct disk *disk = uring_over(file_of(1 << 20), &(struct uringdisk_config){.depth = 64},
				       &(struct disk_config){.name = "image"}, &u);
	unsigned char *memory = malloc(64 * 4096);
	uint64_t nr_enters, nr_here;

	put_pattern(disk, 0, 1 << 20, 1);
	disk_drain(disk);
	check_pattern(disk, 0, 1 << 20, 1);
	usleep(20000);	/* the ring's thread falls idle */
	nr_enters = counter_get(&uringdisk_stats(u)->enters);
	nr_here = counter_get(&uringdisk_stats(u)->reaped_here);
	read_64(disk, memory);
	ck_assert_uint_eq(counter_get(&uringdisk_stats(u)->reaped_here) - nr_here, 64);
	ck_assert_uint_le(counter_get(&uringdisk_stats(u)->enters) - nr_enters, 2);	/* batches of 32 */
	disk_close(disk);
	free(memory);
}
END_TEST

struct leaver {
	struct disk *disk;
	struct batch *batch;
	unsigned char *memory;
};

static void submit_and_leave(void *arg)
{
	struct leaver *l = arg;

	for (uint32_t i = 0; i < 8; i++)
		batch_submit(l->batch, l->disk, BIO_READ, 0, i << 20, l->memory + (i << 20), 1 << 20);
}

/* The kernel cancels what a thread submitted when that thread exits. */
START_TEST(requests_outlive_the_thread_that_submitted_them)
{
	struct disk *disk = uring_over(file_of(8 << 20), &(struct uringdisk_config){.depth = 64},
				       &(struct disk_config){.name = "image"}, NULL);
	struct leaver leavers[4];
	struct batch batch = {0};

	for (int round = 0; round < 20; round++) {
		struct thread *threads[4];

		for (int i = 0; i < 4; i++) {
			if (round == 0)
				leavers[i] = (struct leaver){disk, &batch, malloc(8 << 20)};
			threads[i] = thread_create("leaver", submit_and_leave, &leavers[i]);
			ck_assert_ptr_nonnull(threads[i]);
		}
		for (int i = 0; i < 4; i++)
			thread_join(threads[i]);
		ck_assert_uint_eq(batch_wait(&batch), 0);
	}
	ck_assert_uint_eq(batch.nr_ended, 20 * 4 * 8);
	for (int i = 0; i < 4; i++)
		free(leavers[i].memory);
	disk_close(disk);
}
END_TEST

START_TEST(memory_that_direct_io_cannot_take_is_replaced)
{
	struct uringdisk *u = NULL;
	struct disk *disk = new_direct(1 << 20, &u);
	unsigned char *memory, *out;
	uint64_t nr;

	ck_assert_int_eq(posix_memalign((void **)&memory, 4096, 16384), 0);
	out = memory + 8192;
	for (uint32_t i = 0; i < 8192; i++)
		out[i] = (unsigned char)(i * 7 + i / 256);
	nr = counter_get(&uringdisk_stats(u)->bounced);
	ck_assert_int_eq(disk_write(disk, 4096, out, 4096, 0), 0);
	ck_assert_uint_eq(counter_get(&uringdisk_stats(u)->bounced), nr);
	ck_assert_int_eq(disk_write(disk, 8192, out + 1, 4096, BIO_FUA), 0);
	ck_assert_uint_eq(counter_get(&uringdisk_stats(u)->bounced), nr + 1);
	ck_assert_int_eq(disk_read(disk, 4096, memory + 3, 4096), 0);
	ck_assert_uint_eq(counter_get(&uringdisk_stats(u)->bounced), nr + 2);
	ck_assert_mem_eq(memory + 3, out, 4096);
	ck_assert_int_eq(disk_read(disk, 8192, memory, 4096), 0);
	ck_assert_uint_eq(counter_get(&uringdisk_stats(u)->bounced), nr + 2);
	ck_assert_mem_eq(memory, out + 1, 4096);
	disk_close(disk);
	free(memory);
}
END_TEST

/* What only copies to or from the host's cache, and a lot of it, or in a way that might wait there. */
static uint32_t hand_in(struct disk *disk, enum bio_op op, uint32_t flags, uint64_t offset, void *memory,
			uint32_t len)
{
	struct batch batch = {0};

	batch_submit(&batch, disk, op, flags, offset, memory, len);
	return batch_wait(&batch);
}

/* Who waits for one request needs no ring, no other thread, and one call. */
START_TEST(a_waiting_submitter_makes_the_call_himself)
{
	struct uringdisk *u = NULL;
	struct disk *disk = uring_over(file_of(1 << 20), &(struct uringdisk_config){.depth = 8},
				       &(struct disk_config){.name = "image"}, &u);

	put_pattern(disk, 4096, 8192, 1);
	check_pattern(disk, 4096, 8192, 1);
	ck_assert_uint_eq(counter_get(&uringdisk_stats(u)->calls), 2);
	ck_assert_uint_eq(counter_get(&uringdisk_stats(u)->submitted), 0);
	ck_assert_uint_eq(counter_get(&disk_stats(disk)->direct), 2);
	disk_close(disk);
}
END_TEST

START_TEST(bulk_copies_are_made_by_calls)
{
	struct uringdisk *u = NULL;
	struct disk *disk = uring_over(file_of(1 << 20), &(struct uringdisk_config){.depth = 8},
				       &(struct disk_config){.name = "image"}, &u);
	const counter_t *calls = &uringdisk_stats(u)->calls, *submitted = &uringdisk_stats(u)->submitted;
	unsigned char *memory = calloc(1, 1 << 20);
	struct batch batch = {0};

	batch_submit(&batch, disk, BIO_WRITE, 0, 0, memory, 4096);
	batch_submit(&batch, disk, BIO_READ, 0, 65536, memory + 65536, 256 << 10);
	ck_assert_uint_eq(batch_wait(&batch), 0);
	ck_assert_uint_eq(counter_get(calls), 2);
	ck_assert_uint_eq(counter_get(submitted), 0);
	batch_submit(&batch, disk, BIO_WRITE, BIO_FUA, 0, memory, 4096);
	batch_submit(&batch, disk, BIO_READ, 0, 65536, memory + 65536, 4096);
	ck_assert_uint_eq(batch_wait(&batch), 0);
	ck_assert_uint_eq(counter_get(calls), 2);
	ck_assert_uint_eq(counter_get(submitted), 2);
	disk_close(disk);
	free(memory);
}
END_TEST

START_TEST(registered_memory_is_used_until_it_is_unregistered)
{
	struct uringdisk *u = NULL;
	struct disk *disk = uring_over(file_of(1 << 20), &(struct uringdisk_config){.depth = 8},
				       &(struct disk_config){.name = "image"}, &u);
	unsigned char *memory, other[4096];
	const counter_t *fixed = &uringdisk_stats(u)->fixed;
	int err;

	ck_assert_int_eq(posix_memalign((void **)&memory, 4096, URINGDISK_REGIONS_MAX * 4096), 0);
	memset(memory, 'x', 65536);
	err = uringdisk_register_memory(u, memory, 65536);
	if (err)
		test_skip(strerror(-err));
	ck_assert_uint_eq(hand_in(disk, BIO_WRITE, BIO_FUA, 0, memory + 4096, 8192), 0);
	ck_assert_uint_eq(counter_get(fixed), 1);
	ck_assert_uint_eq(hand_in(disk, BIO_READ, 0, 0, memory + 65536 - 512, 512), 0);
	ck_assert_uint_eq(counter_get(fixed), 2);
	ck_assert_uint_eq(hand_in(disk, BIO_READ, 0, 4096, other, 4096), 0);
	ck_assert_uint_eq(counter_get(fixed), 2);
	ck_assert_mem_eq(other, memory, 4096);
	uringdisk_unregister_memory(u, memory);
	ck_assert_uint_eq(hand_in(disk, BIO_READ, 0, 0, memory, 4096), 0);
	ck_assert_uint_eq(counter_get(fixed), 2);
	for (unsigned i = 0; i < URINGDISK_REGIONS_MAX; i++) {
		/* In no order: each is found all the same. */
		unsigned at = (i * 389) % URINGDISK_REGIONS_MAX;

		ck_assert_int_eq(uringdisk_register_memory(u, memory + at * 4096, 4096), 0);
	}
	ck_assert_int_eq(uringdisk_register_memory(u, other, 4096), -ENOSPC);
	for (unsigned i = 0; i < URINGDISK_REGIONS_MAX; i += 97)
		ck_assert_uint_eq(hand_in(disk, BIO_READ, 0, 0, memory + i * 4096, 4096), 0);
	ck_assert_uint_eq(counter_get(fixed), 2 + (URINGDISK_REGIONS_MAX + 96) / 97);
	uringdisk_unregister_memory(u, memory + 97 * 4096);
	ck_assert_uint_eq(hand_in(disk, BIO_READ, 0, 0, memory + 97 * 4096, 4096), 0);
	ck_assert_uint_eq(hand_in(disk, BIO_READ, 0, 0, memory + 95 * 4096, 12288), 0);
	ck_assert_uint_eq(counter_get(fixed), 2 + (URINGDISK_REGIONS_MAX + 96) / 97);
	ck_assert_int_eq(uringdisk_register_memory(u, other, 0), -EINVAL);
	disk_close(disk);
	free(memory);
}
END_TEST

/* io_uring_setup answers EPERM from here on, as in many containers. */
static void refuse_uring(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = array_size(code), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		test_skip("no seccomp");
}

START_TEST(a_refusal_of_io_uring_is_told_as_such)
{
	struct disk *disk;
	int fd;

	refuse_uring();
	fd = memfd_of(1 << 20);
	ck_assert_int_eq(uringdisk_open_fd(fd, &(struct uringdisk_config){.depth = 8},
					   &(struct disk_config){.name = "image"}, NULL, &disk, why, sizeof(why)),
			 -ENOSYS);
	ck_assert_str_eq(why, "io_uring is not to be had: Operation not permitted");
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);	/* closed, as on any failure */
}
END_TEST

TEST_SUITE(drivers_uringdisk)
{
	tcase_add_loop_test(tc, a_short_transfer_goes_on_where_it_stopped, 0, 2);
	tcase_add_loop_test(tc, eagain_and_its_like_are_tried_again_by_a_thread_that_may_wait, 0, BIO_NR_OPS);
	tcase_add_test(tc, a_kernel_that_only_ever_says_eagain_is_an_error_in_the_end);
	tcase_add_test(tc, without_dsync_an_fdatasync_follows_the_write);
	tcase_add_loop_test(tc, after_a_failed_flush_nothing_is_called_durable, 0, 3);
	tcase_add_test(tc, a_failed_plain_write_is_an_error_and_no_more);
	tcase_add_test(tc, a_discard_that_the_host_cannot_do_says_so);
	tcase_add_test(tc, a_batch_costs_few_system_calls);
	tcase_add_test(tc, what_the_host_has_cached_wakes_nobody);
	tcase_add_test(tc, requests_outlive_the_thread_that_submitted_them);
	tcase_add_test(tc, memory_that_direct_io_cannot_take_is_replaced);
	tcase_add_test(tc, bulk_copies_are_made_by_calls);
	tcase_add_test(tc, a_waiting_submitter_makes_the_call_himself);
	tcase_add_test(tc, registered_memory_is_used_until_it_is_unregistered);
	tcase_add_test(tc, a_refusal_of_io_uring_is_told_as_such);
}
