/*
 * Which command is next, and when it will be done.
 *
 * The device's time line is its own (C1): the next command begins when the last one ended, however late
 * anybody looks.
 */
#include "base/clock.h"
#include "device_private.h"

#define PASSED_OVER_MAX 64u	/* nearest first, but nobody is passed over more often */

static enum bio_op op_of(enum sim_opcode opcode)
{
	if (is_read(opcode))
		return BIO_READ;
	if (is_write(opcode))
		return BIO_WRITE;
	return opcode == OPCODE_FLUSH ? BIO_FLUSH : BIO_DISCARD;
}

/* Which of those that wait goes next. */
static struct command *choose(struct device *dev, uint64_t at_ns) needs(dev->lock)
{
	struct command *oldest = list_first(&dev->waiting, struct command, link), *best = oldest, *cmd;
	uint64_t best_ns = UINT64_MAX;

	if (!dev->profile.picks_nearest || oldest->nr_passed_over >= PASSED_OVER_MAX)
		return oldest;
	list_for_each(cmd, &dev->waiting, link) {
		struct service s = mechanics_plan(&dev->mechanics, at_ns, op_of(cmd->opcode), cmd->lba,
						  cmd->size_bytes);

		if (s.seek_ns + s.rotation_ns < best_ns) {
			best = cmd;
			best_ns = s.seek_ns + s.rotation_ns;
		}
	}
	if (best != oldest)
		oldest->nr_passed_over++;
	return best;
}

/* When the link has brought so many bytes, that are there from ready_ns on. */
static uint64_t over_the_link(struct device *dev, uint64_t ready_ns, uint32_t size_bytes)
	needs(dev->lock)
{
	uint64_t start_ns = max(ready_ns, dev->link_free_ns);

	dev->link_free_ns = start_ns + size_bytes * NSEC_PER_MSEC / dev->profile.bytes_per_ms;
	return dev->link_free_ns;
}

static void serve(struct device *dev, struct command *cmd, uint64_t free_ns) needs(dev->lock)
{
	uint64_t start_ns = max(free_ns, cmd->arrival_ns);
	enum bio_op op = op_of(cmd->opcode);
	struct service s = mechanics_plan(&dev->mechanics, start_ns, op, cmd->lba, cmd->size_bytes);
	struct list *before = dev->serving.prev;

	mechanics_apply(&dev->mechanics, &s, op, cmd->lba + (cmd->size_bytes >> SECTOR_SHIFT));
	counter_add(&dev->bus->stats.seeks, s.travel != 0);
	counter_add(&dev->bus->stats.travel, s.travel);
	cmd->due_ns = start_ns + service_ns(&s);
	if (!mechanics_has_arm(&dev->mechanics) && (op == BIO_READ || op == BIO_WRITE))
		cmd->due_ns = over_the_link(dev, cmd->due_ns, cmd->size_bytes);
	counter_add(&dev->bus->stats.busy_ns, cmd->due_ns - start_ns);
	cmd->state = COMMAND_SERVED;
	while (before != &dev->serving &&
	       list_entry(before, struct command, link)->due_ns > cmd->due_ns)
		before = before->prev;
	list_move(before, &cmd->link);
	dev->nr_serving++;
}

/* A channel is free since free_ns (C1). */
void device_serve_waiting(struct device *dev, uint64_t free_ns)
{
	while (!list_empty(&dev->waiting) && dev->nr_serving < dev->profile.nr_channels)
		serve(dev, choose(dev, free_ns), free_ns);
}

enum sim_error device_check_command(const struct device *dev, const struct command *cmd)
{
	uint64_t nr_sectors = dev->size_bytes >> SECTOR_SHIFT;

	if (cmd->opcode < OPCODE_READ_PIO || cmd->opcode > OPCODE_DISCARD)
		return ERROR_OPCODE;
	if (cmd->opcode == OPCODE_FLUSH)
		return ERROR_NONE;
	if (cmd->size_bytes == 0 || cmd->size_bytes % SECTOR_SIZE || cmd->lba > nr_sectors ||
	    cmd->size_bytes >> SECTOR_SHIFT > nr_sectors - cmd->lba)
		return ERROR_RANGE;
	if (cmd->opcode != OPCODE_DISCARD && cmd->size_bytes > dev->transfer_bytes_max)
		return ERROR_RANGE;
	return ERROR_NONE;
}

void device_command_arrives(struct device *dev, struct command *cmd)
{
	cmd->arrival_ns = device_now(dev);
	cmd->due_ns = cmd->arrival_ns;
	cmd->nr_passed_over = 0;
	cmd->state = COMMAND_WAITS;
	list_add_tail(&dev->waiting, &cmd->link);
	device_serve_waiting(dev, cmd->arrival_ns);
	cond_signal(&dev->changed);
}
