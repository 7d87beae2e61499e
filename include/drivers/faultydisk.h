/*
 * drivers/faultydisk.h - passes everything on to another disk, and fails as told.
 *
 * Purpose     What disks do to file systems: errors, once or for good; writes that arrive in part,
 *             or never, though the disk says yes; sectors that cannot be read; I/O that takes
 *             long and so ends in another order. Chosen by number, or by chance from a seed.
 * Ownership   The lower disk stays the caller's, unless owns_lower. The handle lives as long as
 *             the disk.
 * Locking     Any thread, also changes of the settings while I/O runs. One lock (RANK_DRIVER).
 * Invariants  f1  requests are numbered from 1, by kind and over all, as the driver gets them,
 *                 since the last faultydisk_set(). With is_inline disks below and one submitter
 *                 the same workload meets the same faults every time.
 *             f2  a request that fails by a rule does not reach the lower disk at all; a torn
 *                 one does up to where it is torn.
 * Units       Requests, sectors, milliseconds of real time.
 */
#ifndef DRIVERS_FAULTYDISK_H
#define DRIVERS_FAULTYDISK_H

#include "block/disk.h"

struct faultydisk;

/* What a rule watches: one kind of request by enum bio_op, or all. */
#define FAULTY_ANY BIO_NR_OPS
#define FAULTY_NR_KINDS (BIO_NR_OPS + 1)

/*
 * When a rule acts: at the nth request of its kind (1 is the next; 0: never), and by chance at one
 * in one_in (0: never).
 */
struct fault_when {
	uint64_t nth;
	uint32_t one_in;
	bool is_sticky;		/* once it acted, at every request of its kind from there on */
};

#define FAULTY_RANDOM_SECTORS UINT32_MAX

struct faultydisk_config {
	uint64_t seed;
	struct fault_when fails[FAULTY_NR_KINDS];
	int error;			/* what they fail with; 0: -EIO */
	/* Of writes: */
	struct fault_when tears;
	uint32_t torn_sectors;		/* that arrive, fewer than there are; FAULTY_RANDOM_SECTORS: by chance */
	int torn_status;		/* what the submitter hears: 0, or an error */
	struct fault_when loses;	/* never arrives, and the submitter hears 0 */
	/* Reads that touch a sector of [bad_from, bad_to) fail, until it was written. */
	sector_t bad_from, bad_to;
	/* One request in delay_one_in (0: none) ends late, by 1 to delay_ms_max milliseconds. */
	uint32_t delay_one_in, delay_ms_max;
};

struct faultydisk_stats {
	uint64_t seen[FAULTY_NR_KINDS];	/* requests since the last faultydisk_set(), by kind */
	uint64_t failed, torn, lost, delayed;	/* what was done to them */
};

/* config NULL or zeros: no faults. */
int faultydisk_open(struct disk *lower, bool owns_lower, const struct faultydisk_config *faults,
		    const struct disk_config *config, struct faultydisk **ret_faulty,
		    struct disk **ret_disk) must_check;
/* From the next request on. Counts begin anew; what is delayed stays so. */
void faultydisk_set(struct faultydisk *faulty, const struct faultydisk_config *faults);
struct faultydisk_stats faultydisk_stats(struct faultydisk *faulty);

#endif
