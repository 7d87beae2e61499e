/*
 * drivers/iolog.h - the requests of a disk, in the words of fio(1).
 *
 * Purpose     Writes down what a disk carried out and when it was asked to, in the order in which it ended, so
 *             that fio (--read_iolog) or `extantctl replay` can do the same again; and reads such files,
 *             ours and fio's.
 * Ownership   The writer lives longer than the disk whose trace function it is.
 * Locking     One leaf lock; any thread.
 * Errors      -errno of the file; a file that could not be written to its end is told by iolog_stop().
 * Sources     fio(1), TRACE FILE FORMAT: versions 2 and 3.
 */
#ifndef DRIVERS_IOLOG_H
#define DRIVERS_IOLOG_H

#include "block/disk.h"

struct iolog;

int iolog_create(struct iolog **ret_log) must_check;
void iolog_destroy(struct iolog *log);		/* stops it first; NULL is harmless */
/*
 * From now on requests go to the new file `path` as ones of `image` (whose name may hold no blanks: the
 * format has no way to say them). On failure `why` holds a sentence. -EBUSY: it is on already.
 */
int iolog_start(struct iolog *log, const char *path, const char *image, char *why, size_t why_size) must_check;
/* Completes the file. 0 also when it was off. */
int iolog_stop(struct iolog *log) must_check;
/* The trace function of a disk_config; log is its argument. Failed requests are left out. */
void iolog_note(void *log, const struct request *rq, int status);

/* One line of a file, of either version. */
enum iolog_verb { IOLOG_NOTHING, IOLOG_IO, IOLOG_BAD };
struct iolog_action {
	enum bio_op op;
	uint64_t offset_bytes, len_bytes;
	uint64_t at_us;		/* since the log's begin; 0 in version 2, which has no times */
};
/* A file's first line: its version, or 0. */
unsigned iolog_version(const char *line);
/* IOLOG_NOTHING: a line that moves no data (add, open, close, wait). */
enum iolog_verb iolog_parse(unsigned version, const char *line, struct iolog_action *ret_action);

#endif
