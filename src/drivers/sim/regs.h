/*
 * drivers/sim/regs.h - the controller's registers, and what lies in memory between both sides.
 *
 * Purpose     All that driver and device know of each other. Neither calls the other nor shares a
 *             struct with it, but for these words, the windows (window.h) and the interrupt line.
 * Locking     Registers are single words. A load orders what follows it behind it, a store what
 *             went before it before it: what a driver wrote to memory is there when the device
 *             sees the doorbell, and what the device wrote is there when the driver sees its
 *             phase. That is what readl(), writel() and their barriers do on real machines.
 * Units       Sizes in bytes, places in sectors.
 * Sources     SIM.md, "The register map". Modelled on the ATA task file and on NVMe's rings.
 */
#ifndef SIM_REGS_H
#define SIM_REGS_H

#include <assert.h>
#include <stdatomic.h>

#include "base/types.h"

enum sim_reg {			/* offset / 4 */
	REG_ID,			/* ro  SIM_ID */
	REG_DEPTH,		/* ro  commands that rings may hold */
	REG_SIZE_LOW,		/* ro  the disk, in sectors */
	REG_SIZE_HIGH,
	REG_STATUS,		/* ro  STATUS_ bits */
	REG_ERROR,		/* ro  of the last command: enum sim_error */
	REG_COMMAND,		/* wo  begins: enum sim_opcode, OPCODE_FUA */
	REG_LBA_LOW,		/* rw */
	REG_LBA_HIGH,
	REG_COUNT,		/* rw  bytes */
	REG_DATA,		/* rw  the next word, while STATUS_DRQ */
	REG_DMA_LOW,		/* rw  bus address of the descriptors */
	REG_DMA_HIGH,
	REG_DMA_COUNT,		/* rw  how many */
	REG_IRQ_STATUS,		/* rw  IRQ_ bits; a 1 that is written clears */
	REG_IRQ_MASK,		/* rw  which of them raise the line */
	REG_COALESCE_COUNT,	/* rw  completions an interrupt */
	REG_COALESCE_US,	/* rw  at most so late */
	REG_SQ_LOW,		/* rw  bus address of the submission ring */
	REG_SQ_HIGH,
	REG_CQ_LOW,		/* rw  bus address of the completion ring */
	REG_CQ_HIGH,
	REG_RING_SIZE,		/* rw  entries in each; a power of two; 0: no rings */
	REG_SQ_TAIL,		/* wo  doorbell: entries written so far, modulo 2^32 */
	REG_CQ_HEAD,		/* wo  doorbell: entries read so far, modulo 2^32 */
	REG_FAULT_LOW,		/* ro  bus address of the last transfer outside a window */
	REG_FAULT_HIGH,
	SIM_NR_REGS,
};

#define SIM_ID 0x4d495358u	/* "XSIM" */

#define STATUS_READY 1u		/* takes a command */
#define STATUS_BUSY 2u		/* works on one */
#define STATUS_DRQ 4u		/* wants REG_DATA read or written */
#define STATUS_ERR 8u		/* the last command failed: REG_ERROR */

#define IRQ_DONE 1u		/* the command of the registers is over */
#define IRQ_DRQ 2u		/* STATUS_DRQ rose */
#define IRQ_RING 4u		/* completions lie in the ring */

enum sim_opcode {
	OPCODE_READ_PIO = 1,
	OPCODE_WRITE_PIO,
	OPCODE_READ_DMA,
	OPCODE_WRITE_DMA,
	OPCODE_FLUSH,
	OPCODE_DISCARD,
	OPCODE_RESET
};
#define OPCODE_MASK 0xffu
#define OPCODE_FUA 0x100u	/* writes: durable when done */

enum sim_error { ERROR_NONE, ERROR_MEDIA, ERROR_RANGE, ERROR_OPCODE, ERROR_WINDOW };

#define PIO_BLOCK_BYTES 4096u	/* between two rises of STATUS_DRQ */

typedef _Atomic uint32_t reg32_t;

/* Volatile: each call is one access, however often it stands in a loop. */
static inline uint32_t reg_load(const volatile reg32_t *reg)
{
	return atomic_load_explicit(reg, memory_order_acquire);
}

static inline void reg_store(volatile reg32_t *reg, uint32_t value)
{
	atomic_store_explicit(reg, value, memory_order_release);
}

/* In memory, read by the device through windows. */
struct sim_descriptor {
	uint64_t address;	/* bus address */
	uint32_t len_bytes;
	uint32_t pad;
};

struct sim_submission {
	uint32_t opcode;	/* as in REG_COMMAND */
	uint32_t id;		/* comes back in the completion */
	uint64_t lba;
	uint32_t size_bytes;
	uint32_t nr_descriptors;
	uint64_t descriptors;	/* bus address */
	uint64_t pad[4];
};
static_assert(sizeof(struct sim_submission) == 64, "SIM.md, rings");
static_assert(REG_FAULT_HIGH * sizeof(uint32_t) == 0x68, "SIM.md, register map");

/* In memory, written by the device: the phase last, when the rest is there. */
enum completion_word { COMPLETION_ID, COMPLETION_ERROR, COMPLETION_PAD, COMPLETION_PHASE,
		       COMPLETION_WORDS };
struct sim_completion {
	reg32_t words[COMPLETION_WORDS];
};

/* The phase of the n-th entry: other in each round, and never 0, which is empty memory. */
static inline uint32_t completion_phase(uint32_t index, uint32_t ring_size)
{
	return 1 + (index / ring_size & 1);
}

#endif
