/*
 * Traces of requests as files of fio, version 3.
 *
 * A line stands where its request ended, so whoever goes by the order alone finds nothing before what it may
 * rest on. Its time is that of the request's arrival, so that a replay by time offers the same load,
 * however slow this disk was; a request that was overtaken gets the time of the one before it, for times
 * that run backwards mean nothing to fio.
 */
#include "drivers/iolog.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/lock.h"
#include "base/mem.h"

#define WORD_MAX 256
#define NO_TIME UINT64_MAX

struct iolog {
	struct mutex lock;
	FILE *to;		/* [lock] NULL: off */
	char *image;		/* [lock] as the file names it */
	uint64_t began_ns;	/* [lock] the disk's time at our time 0; NO_TIME: before the first request */
	uint64_t last_us;	/* [lock] the time of the last line */
	_Atomic bool is_on;	/* a hint for those who do not want the lock */
};

int iolog_create(struct iolog **ret_log)
{
	struct iolog *log = mem_zalloc(sizeof(*log));

	if (!log)
		return -ENOMEM;
	mutex_init(&log->lock, RANK_LEAF, "iolog");
	*ret_log = log;
	return 0;
}

void iolog_destroy(struct iolog *log)
{
	if (!log)
		return;
	ignore(iolog_stop(log), "who wants to know stopped it himself");
	mutex_done(&log->lock);
	mem_free(log);
}

int iolog_start(struct iolog *log, const char *path, const char *image, char *why, size_t why_size)
{
	int err = 0;

	if (strpbrk(image, " \t\n")) {
		snprintf(why, why_size, "the image's name has blanks, which an iolog cannot say");
		return -EINVAL;
	}
	mutex_lock(&log->lock);
	if (log->to)
		err = -EBUSY;
	else if (!(log->image = mem_strdup(image)))
		err = -ENOMEM;
	else if (!(log->to = fopen(path, "wxe")))
		err = -errno;
	if (!err) {
		log->began_ns = NO_TIME;
		log->last_us = 0;
		fprintf(log->to, "fio version 3 iolog\n0 %s add\n0 %s open\n", image, image);
		atomic_store(&log->is_on, true);
	} else if (err != -EBUSY) {
		mem_free(log->image);
		log->image = NULL;
	}
	mutex_unlock(&log->lock);
	if (err)
		snprintf(why, why_size, err == -EBUSY ? "%s: an iolog is being written already%s" : "cannot write %s: %s",
			 path, err == -EBUSY ? "" : strerror(-err));
	return err;
}

int iolog_stop(struct iolog *log)
{
	int err = 0;

	mutex_lock(&log->lock);
	if (log->to) {
		atomic_store(&log->is_on, false);
		fprintf(log->to, "%" PRIu64 " %s close\n", log->last_us, log->image);
		err = ferror(log->to) ? -EIO : 0;
		if (fclose(log->to) && !err)
			err = -errno;
		mem_free(log->image);
		log->to = NULL;
		log->image = NULL;
	}
	mutex_unlock(&log->lock);
	return err;
}

/*
 * Microseconds since the log's begin. It begins 1 us before its first request: nobody wants to sit through
 * the idle time before that again, and fio takes no notice of what follows time 0.
 */
static uint64_t time_of(struct iolog *log, const struct request *rq) needs(log->lock)
{
	uint64_t us;

	if (log->began_ns == NO_TIME)
		log->began_ns = rq->queued_ns - min(rq->queued_ns, (uint64_t)1000);
	us = rq->queued_ns > log->began_ns ? (rq->queued_ns - log->began_ns) / 1000 : 0;
	log->last_us = max(log->last_us, us);
	return log->last_us;
}

void iolog_note(void *arg, const struct request *rq, int status)
{
	static const char *const verbs[BIO_NR_OPS] = {"read", "write", "datasync", "trim"};
	struct iolog *log = arg;
	uint64_t us;

	if (status || !atomic_load_explicit(&log->is_on, memory_order_relaxed))
		return;
	mutex_lock(&log->lock);
	if (log->to) {
		us = time_of(log, rq);
		fprintf(log->to, "%" PRIu64 " %s %s %" PRIu64 " %" PRIu32 "\n", us, log->image, verbs[rq->op],
			rq->op == BIO_FLUSH ? 0 : (uint64_t)rq->sector << SECTOR_SHIFT, rq->size_bytes);
		/* Durable by itself: fio has no word for that but a sync behind it. */
		if (rq->op == BIO_WRITE && (rq->flags & BIO_FUA))
			fprintf(log->to, "%" PRIu64 " %s datasync 0 0\n", us, log->image);
	}
	mutex_unlock(&log->lock);
}

/* Reading. */

unsigned iolog_version(const char *line)
{
	unsigned version;

	if (sscanf(line, "fio version %u iolog", &version) != 1 || version < 2 || version > 3)
		return 0;
	return version;
}

static enum iolog_verb verb_of(const char *word, enum bio_op *ret_op)
{
	static const struct {
		const char *word;
		enum iolog_verb verb;
		enum bio_op op;
	} words[] = {
		{"read", IOLOG_IO, BIO_READ}, {"write", IOLOG_IO, BIO_WRITE}, {"trim", IOLOG_IO, BIO_DISCARD},
		{"sync", IOLOG_IO, BIO_FLUSH}, {"datasync", IOLOG_IO, BIO_FLUSH},
		{"add", IOLOG_NOTHING, 0}, {"open", IOLOG_NOTHING, 0}, {"close", IOLOG_NOTHING, 0},
		{"wait", IOLOG_NOTHING, 0},
	};

	for (size_t i = 0; i < array_size(words); i++) {
		if (strcmp(words[i].word, word) == 0) {
			*ret_op = words[i].op;
			return words[i].verb;
		}
	}
	return IOLOG_BAD;
}

enum iolog_verb iolog_parse(unsigned version, const char *line, struct iolog_action *ret_action)
{
	struct iolog_action action = {0};
	enum iolog_verb verb;
	char word[WORD_MAX];
	int nr;

	if (version == 3)
		nr = sscanf(line, "%" SCNu64 " %*s %255s %" SCNu64 " %" SCNu64, &action.at_us, word,
			    &action.offset_bytes, &action.len_bytes) - 1;
	else
		nr = sscanf(line, "%*s %255s %" SCNu64 " %" SCNu64, word, &action.offset_bytes, &action.len_bytes);
	if (nr < 1)
		return line[strspn(line, " \t\n")] ? IOLOG_BAD : IOLOG_NOTHING;
	verb = verb_of(word, &action.op);
	if (verb != IOLOG_IO)
		return verb;
	if (action.op == BIO_FLUSH)
		action.offset_bytes = action.len_bytes = 0;
	else if (nr != 3)
		return IOLOG_BAD;
	*ret_action = action;
	return IOLOG_IO;
}
