/*
 * The data of a command, between media and memory, through the device's buffer.
 *
 * Memory is found by descriptors and reached through windows, piece by piece; the first piece that does not
 * lie in an open window ends the command (v2).
 */
#include <string.h>

#include "device_private.h"

/* Between buffer and memory, piece by piece. */
static void move_by_dma(struct device *dev, struct command *cmd)
{
	struct windows *ws = dev->bus->windows;
	uint32_t done = 0;

	for (uint32_t i = 0; i < cmd->nr_descriptors && done < cmd->size_bytes; i++) {
		uint64_t at = cmd->descriptors + i * sizeof(struct sim_descriptor);
		struct sim_descriptor d;
		int err = window_load(ws, at, &d, sizeof(d));

		if (err) {
			cmd->error = device_fault(dev, at);
			return;
		}
		d.len_bytes = min(d.len_bytes, cmd->size_bytes - done);
		err = is_read(cmd->opcode)
			      ? window_store(ws, d.address, dev->buffer + done, d.len_bytes)
			      : window_load(ws, d.address, dev->buffer + done, d.len_bytes);
		if (err) {
			cmd->error = device_fault(dev, d.address);
			return;
		}
		done += d.len_bytes;
		counter_add(&dev->bus->stats.dma_bytes, d.len_bytes);
	}
	if (done < cmd->size_bytes)
		cmd->error = device_fault(dev, 0);	/* too few descriptors: the rest has no place */
}

static int discard_media(struct device *dev, const struct command *cmd)
{
	struct bio bio;

	bio_init(&bio, dev->media, BIO_DISCARD, 0, cmd->lba, 0);
	bio.size_bytes = cmd->size_bytes;
	return bio_submit_wait(&bio);
}

static int use_media(struct device *dev, const struct command *cmd)
{
	uint64_t offset = cmd->lba << SECTOR_SHIFT;

	if (!dev->media) {
		if (is_read(cmd->opcode))
			memset(dev->buffer, 0, cmd->size_bytes);
		return 0;
	}
	if (is_read(cmd->opcode))
		return disk_read(dev->media, offset, dev->buffer, cmd->size_bytes);
	if (is_write(cmd->opcode))
		return disk_write(dev->media, offset, dev->buffer, cmd->size_bytes,
				  cmd->is_fua ? BIO_FUA : 0);
	return cmd->opcode == OPCODE_FLUSH ? disk_flush(dev->media) : discard_media(dev, cmd);
}

void device_move_data(struct device *dev, struct command *cmd)
{
	bool is_dma = cmd->opcode == OPCODE_READ_DMA || cmd->opcode == OPCODE_WRITE_DMA;

	if (is_dma && is_write(cmd->opcode))
		move_by_dma(dev, cmd);
	if (!cmd->error && use_media(dev, cmd))
		cmd->error = ERROR_MEDIA;
	if (is_dma && is_read(cmd->opcode) && !cmd->error)
		move_by_dma(dev, cmd);
}
