/*
 * drivers/recordfile.h - the log of a disk's writes as a file.
 *
 * Purpose     Writes and reads the format that drivers/recordlog.h describes.
 * Ownership   Descriptors are the caller's. Data in a loaded event is the receiver's, when he took
 *             the event; else freed here.
 * Locking     The caller's: events of one file one after another.
 * Errors      -errno of the system calls; -EUCLEAN for what is not such a file.
 */
#ifndef DRIVERS_RECORDFILE_H
#define DRIVERS_RECORDFILE_H

#include "drivers/recordlog.h"

struct recordfile_event {
	bool is_completion;
	uint64_t number;
	int status;		/* of a completion */
	struct record record;	/* of all others, with its data */
};

int recordfile_create(const char *path, int *ret_fd, char *why, size_t why_size) must_check;
int recordfile_put_header(int fd, uint64_t disk_bytes, uint32_t block_bytes) must_check;
int recordfile_put_record(int fd, uint64_t number, const struct record *record, uint32_t payload_bytes) must_check;
int recordfile_put_complete(int fd, uint64_t number, int status) must_check;

/* -EUCLEAN from `take` ends the reading as a damaged event does, any other error fails it. */
int recordfile_load(const char *path, uint64_t *ret_disk_bytes,
		    int (*take)(void *arg, const struct recordfile_event *event), void *arg,
		    bool *ret_is_cut, char *why, size_t why_size) must_check;

#endif
