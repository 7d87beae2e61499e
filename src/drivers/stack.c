/*
 * From an upper disk's request to a lower disk's bio and back.
 *
 *	upper queue --start--> stack_submit --bio_submit--> lower queue --> lower driver
 *	                            ^                                            |
 *	                            | not from here (k1):                        v
 *	                       [sender thread] <--to_send-- upper queue <-- ended <-- end_io
 *
 * The awkward meeting is at the right: when the upper queue had more than its tags, or a flush
 * sequence has a next step, then the completion of one request starts the next on the lower
 * disk's own thread, inside end_io. Submitting there could wait for ever, so it goes to the sender.
 * In the plain case a bio goes down on its submitter's thread and comes up on the lower driver's, and
 * no thread is added.
 *
 * Whether this thread is inside an end_io of ours is known to the thread alone, hence the
 * thread-local counter: stacks lie on stacks, and each level's end_io runs inside the one below.
 */
#include "stack.h"

#include <errno.h>
#include <sched.h>

#include "base/assert.h"
#include "base/mem.h"
#include "reqmem.h"

#define DEPTH 64u
#define VECS_MAX BIO_VECS_MAX
#define BIO_ROOM_BYTES round_up(sizeof(struct bio) + VECS_MAX * sizeof(struct bio_vec), (size_t)64)

struct stack_io {
	struct stack *stack;
	struct request *rq;
	struct bio *bio;
	struct list link;
};

/* How many end_ios of stacks this thread is inside. */
static _Thread_local unsigned nr_end_ios;

static void bio_add_from(struct bio *bio, const struct request *rq, uint64_t skip, uint32_t len_bytes)
{
	struct iovec iov[VECS_MAX];
	size_t nr = request_fill_iov_part(rq, skip, len_bytes, iov, VECS_MAX);

	for (size_t i = 0; i < nr; i++)
		must(bio_add(bio, iov[i].iov_base, (uint32_t)iov[i].iov_len));
	must(bio->size_bytes == len_bytes);	/* the upper disk's limits see to it */
}

int lower_transfer(struct disk *lower, const struct request *rq, uint64_t skip, uint32_t len_bytes,
		   uint64_t offset_bytes)
{
	_Alignas(struct bio) char space[BIO_ROOM_BYTES];
	struct bio *bio = (struct bio *)space;

	bio_init(bio, lower, rq->op, rq->flags | BIO_SYNC, offset_bytes >> SECTOR_SHIFT, VECS_MAX);
	if (rq->op == BIO_DISCARD)
		bio->size_bytes = len_bytes;
	else
		bio_add_from(bio, rq, skip, len_bytes);
	return bio_submit_wait(bio);
}

/* The way up. */

static void lower_end_io(struct bio *bio)
{
	struct stack_io *io = bio->private;
	struct stack *s = io->stack;
	struct request *rq = io->rq;
	int status = bio->status;

	/* Once rq has ended the upper disk may be closed: it then waits for the count (k2). */
	atomic_fetch_add(&s->nr_ending, 1);
	nr_end_ios++;
	if (s->ended)
		s->ended(s, rq, status);
	else
		disk_complete(rq, status);
	nr_end_ios--;
	atomic_fetch_sub(&s->nr_ending, 1);
}

/* The way down. */

static void send_later(struct stack *s, struct stack_io *io)
{
	mutex_lock(&s->lock);
	list_add_tail(&s->to_send, &io->link);
	cond_signal(&s->more);
	mutex_unlock(&s->lock);
}

void stack_submit(struct stack *s, struct request *rq, sector_t lower_sector, uint32_t len_bytes)
{
	struct stack_io *io = &s->ios[rq->tag];

	io->rq = rq;
	bio_init(io->bio, s->lower, rq->op, rq->flags, lower_sector, VECS_MAX);
	if (rq->op == BIO_READ || rq->op == BIO_WRITE)
		bio_add_from(io->bio, rq, 0, len_bytes);
	else if (rq->op == BIO_DISCARD)
		io->bio->size_bytes = len_bytes;
	io->bio->private = io;
	io->bio->end_io = lower_end_io;
	if (nr_end_ios)
		send_later(s, io);
	else
		bio_submit(io->bio);
}

static struct stack_io *next_to_send(struct stack *s)
{
	struct stack_io *io = NULL;

	mutex_lock(&s->lock);
	while (list_empty(&s->to_send) && !s->is_stopping)
		cond_wait(&s->more, &s->lock);
	if (!list_empty(&s->to_send)) {
		io = list_first(&s->to_send, struct stack_io, link);
		list_del(&io->link);
	}
	mutex_unlock(&s->lock);
	return io;
}

static void sender_main(void *arg)
{
	struct stack *s = arg;
	struct stack_io *io;

	while ((io = next_to_send(s)))
		bio_submit(io->bio);
}

/* Setting up and taking down. */

struct disk_limits stack_limits(const struct disk *lower)
{
	struct disk_limits limits = *disk_limits(lower);

	limits.vecs_max = min(limits.vecs_max, VECS_MAX);
	limits.depth = DEPTH;
	limits.has_fua = true;
	return limits;
}

static int make_ios(struct stack *s)
{
	s->ios = mem_zalloc(DEPTH * sizeof(*s->ios));
	s->bios = mem_alloc(DEPTH * BIO_ROOM_BYTES);
	if (!s->ios || !s->bios)
		return -ENOMEM;
	for (uint32_t i = 0; i < DEPTH; i++) {
		s->ios[i].stack = s;
		s->ios[i].bio = (struct bio *)(void *)(s->bios + i * BIO_ROOM_BYTES);
		list_init(&s->ios[i].link);
	}
	return 0;
}

static void stack_free(struct stack *s)
{
	mem_free(s->ios);
	mem_free(s->bios);
	cond_done(&s->more);
	mutex_done(&s->lock);
}

int stack_init(struct stack *s, struct disk *lower, bool owns_lower, stack_ended_fn ended)
{
	int err;

	s->lower = lower;
	s->owns_lower = owns_lower;
	s->ended = ended;
	atomic_init(&s->nr_ending, 0);
	mutex_init(&s->lock, RANK_DRIVER, "stack");
	cond_init(&s->more);
	list_init(&s->to_send);
	s->is_stopping = false;
	err = make_ios(s);
	if (err)
		goto out_free;
	s->sender = thread_create("stack-sender", sender_main, s);
	if (!s->sender) {
		err = -EAGAIN;
		goto out_free;
	}
	return 0;

out_free:
	stack_free(s);
	return err;
}

void stack_done(struct stack *s)
{
	mutex_lock(&s->lock);
	s->is_stopping = true;
	cond_signal(&s->more);
	mutex_unlock(&s->lock);
	thread_join(s->sender);
	/* The last completion may not have returned yet; it has only a few instructions to go. */
	while (atomic_load(&s->nr_ending))
		sched_yield();
	stack_free(s);
	if (s->owns_lower)
		disk_close(s->lower);
}
