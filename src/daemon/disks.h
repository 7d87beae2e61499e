/*
 * daemon/disks.h - the disks under a mount, one upon the other.
 *
 * Purpose     From an image's path and the options to the disk that the file system sees:
 *
 *                 record    keeps a log of what reaches the disks below
 *                 cow       keeps writes to itself
 *                 part      a partition, or from an offset on
 *                 sim       a simulated disk, instead of the image's own speed
 *                 file, uring, mmap: the image, locked
 * Ownership   Each disk owns the one below it: closing the uppermost closes all.
 * Locking     One thread builds.
 * Errors      As the drivers say; `why` is a sentence that names the image.
 */
#ifndef DAEMON_DISKS_H
#define DAEMON_DISKS_H

#include "base/clock.h"
#include "config.h"

struct disk;
struct recordlog;
struct iolog;

struct disks {
	struct disk *top;
	struct disk *image;		/* the lowest: its queue has the scheduler */
	struct iolog *iolog;		/* what the image's requests are told to */
	struct recordlog *log;		/* -o record=; NULL: none */
};

/* On failure nothing stays open. */
int disks_open(const char *image, const struct mount_options *options, struct clock *clock, struct disks *ret_disks,
	       char *why, size_t why_size) must_check;
/* Puts a cow in memory on top: what is written from now on is forgotten at the end. */
int disks_add_scratch(struct disks *disks, const char *image, struct clock *clock, char *why, size_t why_size) must_check;
/* -EINVAL: there is none of this name; why lists those there are. */
int disks_set_scheduler(struct disks *disks, const char *name, char *why, size_t why_size) must_check;
/* Begins to write the image's requests to a new file, for fio; path empty: ends it. */
int disks_set_iolog(struct disks *disks, const char *path, char *why, size_t why_size) must_check;
void disks_close(struct disks *disks);
/* Names the partitions, when the disk has any, for a message; else text is empty. */
void disks_describe_partitions(struct disk *disk, char *text, size_t size);

#endif
