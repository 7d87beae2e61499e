/*
 * unit/drivers/openers.h - disks that the conformance suite opens, and what driver tests share.
 *
 * Purpose     Each driver's test file defines the ways to open its driver; the table in
 *             test_conformance.c names them.
 * Ownership   As conformance.h says.
 */
#ifndef UNIT_DRIVERS_OPENERS_H
#define UNIT_DRIVERS_OPENERS_H

#include <check.h>

#include "block/disk.h"

#define OPENER(name) struct disk *open_##name(uint64_t size_bytes, void **ret_state)

OPENER(ram);			/* test_ramdisk.c */
OPENER(ram_of_4k_blocks);
OPENER(cow_on_ram);		/* test_cowdisk.c */
OPENER(cow_on_file);		/* with a scratch file */
OPENER(part_of_ram);		/* test_partdisk.c */
OPENER(part_of_narrow_file);
OPENER(part_of_part);
OPENER(record_on_file);		/* test_recorddisk.c */
void close_record(void *state);
OPENER(faulty_on_file);		/* test_faultydisk.c */
OPENER(faulty_and_late);
OPENER(four_in_a_stack);
OPENER(file_direct);		/* test_files.c */
OPENER(uring);			/* test_uringdisk.c */
OPENER(uring_narrow);
OPENER(uring_direct);
OPENER(uring_sqpoll);
OPENER(mmap);			/* test_mmapdisk.c */
OPENER(sim_pio_poll);		/* test_simopeners.c */
OPENER(sim_pio_irq);
OPENER(sim_dma_irq);
OPENER(sim_ring_irq);
OPENER(sim_ring_poll);
OPENER(sim_ring_hybrid);
OPENER(sim_real_dma);
OPENER(sim_real_hybrid);
void close_sim(void *state);

/* A ram disk that belongs to the test. */
struct disk *new_ram(uint64_t size_bytes);
/* A file disk over a memfd; a queue of two and one worker when narrow, inline when inline_. */
enum file_style { FILE_PLAIN, FILE_NARROW, FILE_INLINE };
struct disk *new_file(uint64_t size_bytes, enum file_style style);
/* A path in a fresh directory below TMPDIR, where nothing is yet; removed with remove_path(). */
const char *new_path(char *path, size_t size);
void remove_path(const char *path);

/* I/O that must work, with bytes that tell place and version apart. */
void put_pattern(struct disk *disk, uint64_t offset, uint32_t len, uint32_t version);
void check_pattern(struct disk *disk, uint64_t offset, uint32_t len, uint32_t version);
void check_zeros(struct disk *disk, uint64_t offset, uint32_t len);
int discard(struct disk *disk, uint64_t offset, uint32_t len);
/* Submits without waiting; wait_all() returns the number of errors. */
struct batch {
	_Atomic uint32_t nr_left, nr_errors;
	_Atomic uint32_t nr_ended;
};
void batch_submit(struct batch *batch, struct disk *disk, enum bio_op op, uint32_t flags,
		  uint64_t offset, void *memory, uint32_t len);
uint32_t batch_wait(struct batch *batch);

#endif
