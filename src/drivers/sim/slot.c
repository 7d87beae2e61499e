/* A request under way: its memory is opened for the device, and closed before it is completed. */
#include <errno.h>

#include "base/assert.h"
#include "base/log.h"
#include "driver.h"

uint32_t slot_tag(const struct simdisk *sim, const struct slot *slot)
{
	return (uint32_t)(slot - sim->slots);
}

uint32_t opcode_of(const struct request *rq, bool is_dma)
{
	uint32_t fua = rq->flags & BIO_FUA ? OPCODE_FUA : 0;

	switch (rq->op) {
	case BIO_READ:
		return is_dma ? OPCODE_READ_DMA : OPCODE_READ_PIO;
	case BIO_WRITE:
		return (is_dma ? OPCODE_WRITE_DMA : OPCODE_WRITE_PIO) | fua;
	case BIO_FLUSH:
		return OPCODE_FLUSH;
	case BIO_DISCARD:
		break;
	}
	return OPCODE_DISCARD;
}

void slot_map(struct simdisk *sim, struct slot *slot)
{
	struct sim_descriptor *d = &sim->descriptors[slot_tag(sim, slot) * SIM_VECS_MAX];
	uint32_t rights = slot->rq->op == BIO_READ ? WINDOW_DEVICE_WRITES : WINDOW_DEVICE_READS;
	struct iovec iov[SIM_VECS_MAX];
	size_t nr = 0;

	if (slot->rq->op == BIO_READ || slot->rq->op == BIO_WRITE)
		nr = request_fill_iov(slot->rq, 0, iov, SIM_VECS_MAX);
	for (size_t i = 0; i < nr; i++) {
		d[i].len_bytes = (uint32_t)iov[i].iov_len;
		/* There are as many windows as all slots together have pieces. */
		must(window_map(sim->bus.windows, iov[i].iov_base, d[i].len_bytes, rights,
				&d[i].address) == 0);
	}
	slot->nr_descriptors = (uint32_t)nr;
	counter_add(&sim->bus.stats.maps, nr);
}

void slot_unmap(struct simdisk *sim, struct slot *slot)
{
	const struct sim_descriptor *d = &sim->descriptors[slot_tag(sim, slot) * SIM_VECS_MAX];

	for (uint32_t i = 0; i < slot->nr_descriptors; i++)
		window_unmap(sim->bus.windows, d[i].address);
	slot->nr_descriptors = 0;
}

static void slot_end(struct simdisk *sim, struct slot *slot, int status) needs(sim->lock)
{
	bus_must_not_interrupt(&sim->bus);
	must(slot->rq);
	slot_unmap(sim, slot);		/* x1: before anybody hears that his memory is free */
	bus_charge(&sim->bus, sim->bus.costs.finish_ns);
	list_del(&slot->link);
	sim->nr_in_flight--;
	sim->done[sim->nr_done++] = (struct done){slot->rq, status};
	slot->rq = NULL;
}

static const char *error_word(enum sim_error error)
{
	switch (error) {
	case ERROR_NONE: return "no error";
	case ERROR_MEDIA: return "the media failed";
	case ERROR_RANGE: return "the device refused the range";
	case ERROR_OPCODE: return "the device does not know the command";
	case ERROR_WINDOW: return "the device touched memory outside its windows";
	}
	return "the device gave a reason that is not known";
}

void slot_done(struct simdisk *sim, struct slot *slot, enum sim_error error)
{
	if (error)
		log_error_limited("%s: sector %llu: %s", sim->name,
				  (unsigned long long)slot->rq->sector, error_word(error));
	slot_end(sim, slot, error ? -EIO : 0);
}

void slot_failed(struct simdisk *sim, struct slot *slot)
{
	log_error_limited("%s: sector %llu: no answer after %u tries", sim->name,
			  (unsigned long long)slot->rq->sector, slot->tries);
	slot_end(sim, slot, -EIO);
}
