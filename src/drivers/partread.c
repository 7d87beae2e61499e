/* What both kinds of partition tables need: pieces of the disk, and places in the list. */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "parttable.h"

int read_piece(struct disk *disk, uint64_t offset, uint32_t len, unsigned char **ret_bytes)
{
	const struct disk_limits *limits = disk_limits(disk);
	uint64_t from = round_down(offset, limits->block_bytes);
	uint64_t to = round_up(offset + len, limits->block_bytes);
	unsigned char *bytes;
	int err;

	if (len == 0 || offset > UINT64_MAX - 2 * (uint64_t)len - limits->block_bytes || to > limits->size_bytes)
		return -EINVAL;
	bytes = mem_alloc(to - from);
	if (!bytes)
		return -ENOMEM;
	err = disk_read(disk, from, bytes, (uint32_t)(to - from));
	if (err) {
		mem_free(bytes);
		return err;
	}
	memmove(bytes, bytes + (offset - from), len);
	*ret_bytes = bytes;
	return 0;
}

struct partition *partition_add(struct partition_table *table)
{
	struct partition *p;

	if (table->nr == PARTITIONS_MAX)
		return NULL;
	p = &table->list[table->nr++];
	*p = (struct partition){.number = 0};
	return p;
}
