/*
 * The simulated disk for the conformance suite: over a ram disk, in each mode in virtual time, where
 * whoever submits runs the device, and in real time with its threads; each with another scheduler.
 */
#include "base/clock.h"
#include "drivers/simdisk.h"
#include "sched/sched.h"
#include "unit/drivers/openers.h"

static struct disk *open_sim(uint64_t size_bytes, enum sim_mode mode, enum sim_drive drive,
			     void **ret_state)
{
	const struct sim_config sim_config = {
		.profile = sim_profile_find("nvme"), .mode = mode, .drive = drive, .owns_media = true,
	};
	struct disk_config config = {.name = "sim", .queue_depth_max = 64};
	struct disk *disk;
	char why[200];

	config.elevator = sched_at((size_t)mode % 5);
	config.clock = drive == SIM_REAL ? NULL : clock_create_virtual((struct timespec){0});
	*ret_state = config.clock;
	ck_assert_msg(simdisk_open(new_ram(size_bytes), &sim_config, &config, &disk, NULL, why,
				   sizeof(why)) == 0,
		      "%s", why);
	return disk;
}

#define SIM_OPENER(name, mode, drive)                                                 \
	struct disk *open_##name(uint64_t size_bytes, void **ret_state)               \
	{                                                                             \
		return open_sim(size_bytes, mode, drive, ret_state);                  \
	}

SIM_OPENER(sim_pio_poll, SIM_PIO_POLL, SIM_INLINE)
SIM_OPENER(sim_pio_irq, SIM_PIO_IRQ, SIM_INLINE)
SIM_OPENER(sim_dma_irq, SIM_DMA_IRQ, SIM_INLINE)
SIM_OPENER(sim_ring_irq, SIM_RING_IRQ, SIM_INLINE)
SIM_OPENER(sim_ring_poll, SIM_RING_POLL, SIM_INLINE)
SIM_OPENER(sim_ring_hybrid, SIM_RING_HYBRID, SIM_INLINE)
SIM_OPENER(sim_real_dma, SIM_DMA_IRQ, SIM_REAL)
SIM_OPENER(sim_real_hybrid, SIM_RING_HYBRID, SIM_REAL)

void close_sim(void *state)
{
	clock_destroy(state);
}
