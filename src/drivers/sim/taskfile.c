/*
 * Commands in registers, one at a time, as the ATA task file has them.
 *
 * The registers are loaded, the command register last, and that begins it. With programmed I/O the
 * CPU then carries each word over the data register, a block at a time, whenever STATUS_DRQ says
 * so; with DMA it goes away until the end.
 *
 *	read    COMMAND .. BUSY .. DRQ, block, DRQ, block, READY
 *	write   COMMAND DRQ, block, DRQ, block, BUSY .. READY
 *	dma     COMMAND .. BUSY .. READY
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "driver.h"

#define PIECES_AT_ONCE 16u	/* on the stack */

/* A word through memory in pieces of any length: most words lie in one piece. */
struct cursor {
	const struct request *rq;
	uint32_t at;
	struct iovec iov[PIECES_AT_ONCE];
	size_t nr, i;
};

static void cursor_init(struct cursor *c, const struct request *rq, uint32_t at)
{
	c->rq = rq;
	c->at = at;
	c->i = 0;
	c->nr = request_fill_iov(rq, at, c->iov, PIECES_AT_ONCE);
}

/* Up to len bytes in one piece; goes on by what is returned. */
static char *cursor_take(struct cursor *c, uint32_t len, uint32_t *ret_len)
{
	struct iovec *v;
	char *memory;

	if (c->i == c->nr)
		cursor_init(c, c->rq, c->at);
	must(c->nr);
	v = &c->iov[c->i];
	*ret_len = (uint32_t)min(v->iov_len, (size_t)len);
	memory = v->iov_base;
	v->iov_base = memory + *ret_len;
	v->iov_len -= *ret_len;
	c->at += *ret_len;
	if (v->iov_len == 0)
		c->i++;
	return memory;
}

static void read_word(struct simdisk *sim, struct cursor *c)
{
	uint32_t word = bus_read(&sim->bus, REG_DATA), len;

	for (uint32_t done = 0; done < sizeof(word); done += len) {
		char *to = cursor_take(c, sizeof(word) - done, &len);

		memcpy(to, (char *)&word + done, len);
	}
}

static void write_word(struct simdisk *sim, struct cursor *c)
{
	uint32_t word = 0, len;

	for (uint32_t done = 0; done < sizeof(word); done += len) {
		char *from = cursor_take(c, sizeof(word) - done, &len);

		memcpy((char *)&word + done, from, len);
	}
	bus_write(&sim->bus, REG_DATA, word);
}

/* The device wants a block moved. */
static void move_block(struct simdisk *sim, struct slot *slot) needs(sim->lock)
{
	const struct request *rq = slot->rq;
	uint32_t len = min(rq->size_bytes - sim->moved_bytes, PIO_BLOCK_BYTES);
	struct cursor c;

	cursor_init(&c, rq, sim->moved_bytes);
	for (uint32_t done = 0; done < len; done += sizeof(uint32_t)) {
		if (rq->op == BIO_READ)
			read_word(sim, &c);
		else
			write_word(sim, &c);
	}
	sim->moved_bytes += len;
	slot->deadline_ns = sim_now(sim) + sim->timeout_ns; /* it goes on: for the next block anew */
	counter_add(&sim->bus.stats.copied_bytes, len);
	bus_charge(&sim->bus, len * sim->bus.costs.copy_ps_per_byte / 1000);
}

void taskfile_start(struct simdisk *sim, struct slot *slot)
{
	const struct request *rq = slot->rq;
	bool is_dma = sim->mode == SIM_DMA_IRQ;
	struct bus *bus = &sim->bus;

	sim->moved_bytes = 0;
	bus_write64(bus, REG_LBA_LOW, rq->sector);
	bus_write(bus, REG_COUNT, rq->size_bytes);
	if (is_dma) {
		bus_write64(bus, REG_DMA_LOW, sim->descriptors_at + slot_tag(sim, slot) * SIM_VECS_MAX *
							sizeof(struct sim_descriptor));
		bus_write(bus, REG_DMA_COUNT, slot->nr_descriptors);
	}
	bus_write(bus, REG_COMMAND, opcode_of(rq, is_dma));
	if (!is_dma && rq->op == BIO_WRITE && bus_read(bus, REG_STATUS) & STATUS_DRQ)
		move_block(sim, slot);	/* the first block is wanted at once */
}

bool taskfile_step(struct simdisk *sim)
{
	struct slot *slot = &sim->slots[0];
	uint32_t status = bus_read(&sim->bus, REG_STATUS);

	if (!slot->rq)
		return false;
	if (status & STATUS_DRQ) {
		move_block(sim, slot);
		if (slot->rq->op == BIO_READ && sim->moved_bytes == slot->rq->size_bytes)
			slot_done(sim, slot, ERROR_NONE);
		return true;
	}
	if (status & STATUS_BUSY)
		return false;
	slot_done(sim, slot, status & STATUS_ERR ? bus_read(&sim->bus, REG_ERROR) : ERROR_NONE);
	return true;
}
