/*
 * Partition tables: which kind, the MBR's partitions, and how people name them.
 *
 * An MBR has four entries. An extended partition among them holds a chain of boot records, each with
 * one logical partition and the place of the next record:
 *
 *	extended: | EBR, logical 5 | EBR, logical 6 | ...
 *	            |    ^            ^
 *	            |    '- its start, counted from this EBR
 *	            '------ the next EBR, counted from the start of the extended partition
 *
 * The signature 55 AA stands at the end of many boot sectors that hold code and no table (a boot loader
 * in a file system). So a table must also look like one: each entry's first byte is 00 or 80, and
 * one entry at least names a range of this disk.
 */
#include "parttable.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define LBA_BYTES 512u		/* an MBR that counts in others cannot be told apart */
#define AT_DISK_ID 440u
#define AT_ENTRIES 446u
#define NR_PRIMARY 4u
#define FIRST_LOGICAL 5u
#define TYPE_PROTECTIVE 0xeeu

/* Pure parts of the MBR. */

static bool has_signature(const unsigned char *sector)
{
	return sector[510] == 0x55 && sector[511] == 0xaa;
}

static struct mbr_entry entry_at(const unsigned char *sector, uint32_t i)
{
	struct mbr_entry entry;

	memcpy(&entry, sector + AT_ENTRIES + i * sizeof(entry), sizeof(entry));
	return entry;
}

static uint32_t disk_id_of(const unsigned char *sector)
{
	le32_t id;

	memcpy(&id, sector + AT_DISK_ID, sizeof(id));
	return le32_get(id);
}

static bool is_used(struct mbr_entry e)
{
	return e.type && le32_get(e.nr_lbas);
}

static bool is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

static bool is_protective(const unsigned char *sector)
{
	for (uint32_t i = 0; i < NR_PRIMARY; i++)
		if (entry_at(sector, i).type == TYPE_PROTECTIVE)
			return has_signature(sector);
	return false;
}

static bool looks_like_mbr(const unsigned char *sector, uint64_t disk_bytes)
{
	bool names_some = false;

	for (uint32_t i = 0; i < NR_PRIMARY; i++) {
		struct mbr_entry e = entry_at(sector, i);

		if (e.flag & 0x7f)
			return false;
		if (is_used(e) && le32_get(e.first_lba) && le32_get(e.first_lba) < disk_bytes / LBA_BYTES)
			names_some = true;
	}
	return has_signature(sector) && names_some;
}

static const char *mbr_type_word(uint8_t type)
{
	switch (type) {
	case 0x83: return "Linux";
	case 0x82: return "Linux swap";
	case 0x8e: return "Linux LVM";
	case 0x07: return "NTFS or exFAT";
	case 0x01: case 0x04: case 0x06: case 0x0b: case 0x0c: case 0x0e: return "FAT";
	case 0xef: return "EFI System";
	default: return "?";
	}
}

/* Reading. */

static void add_mbr(struct partition_table *table, uint32_t disk_id, uint32_t number,
		    struct mbr_entry e, uint64_t base_lba)
{
	struct partition *p = partition_add(table);

	if (!p)
		return;
	p->number = number;
	p->mbr_type = e.type;
	p->offset_bytes = (base_lba + le32_get(e.first_lba)) * LBA_BYTES;
	p->size_bytes = (uint64_t)le32_get(e.nr_lbas) * LBA_BYTES;
	snprintf(p->uuid, sizeof(p->uuid), "%08x-%02x", disk_id, number);
}

/* A chain that is cut or leads outside ends there: what came before can be used. */
static int add_logicals(struct disk *disk, struct partition_table *table, uint32_t disk_id,
			uint64_t extended_lba)
{
	uint64_t at = extended_lba;

	/* A chain that bites its tail is ended by the table's bound. */
	for (uint32_t number = FIRST_LOGICAL; table->nr < PARTITIONS_MAX; number++) {
		struct mbr_entry logical, next;
		unsigned char *sector;
		bool is_sound;
		int err = read_piece(disk, at * LBA_BYTES, LBA_BYTES, &sector);

		if (err)
			return err == -EINVAL ? 0 : err;
		is_sound = has_signature(sector);
		logical = entry_at(sector, 0);
		next = entry_at(sector, 1);
		mem_free(sector);
		if (!is_sound)
			return 0;
		if (is_used(logical))
			add_mbr(table, disk_id, number, logical, at);
		if (!is_extended(next.type) || le32_get(next.first_lba) == 0 || number >= PARTITIONS_MAX)
			return 0;
		at = extended_lba + le32_get(next.first_lba);
	}
	return 0;
}

static int mbr_read(struct disk *disk, const unsigned char *sector, struct partition_table *table)
{
	uint32_t disk_id = disk_id_of(sector);
	int err = 0;

	table->scheme = PARTITIONS_MBR;
	table->lba_bytes = LBA_BYTES;
	for (uint32_t i = 0; i < NR_PRIMARY; i++) {
		struct mbr_entry e = entry_at(sector, i);

		if (is_used(e) && !is_extended(e.type))
			add_mbr(table, disk_id, i + 1, e, 0);
	}
	for (uint32_t i = 0; i < NR_PRIMARY && !err; i++) {
		struct mbr_entry e = entry_at(sector, i);

		if (is_used(e) && is_extended(e.type))
			err = add_logicals(disk, table, disk_id, le32_get(e.first_lba));
	}
	return err;
}

int partition_table_read(struct disk *disk, struct partition_table *ret_table, char *why,
			 size_t why_size)
{
	uint64_t disk_bytes = disk_limits(disk)->size_bytes;
	unsigned char *sector;
	int err;

	*ret_table = (struct partition_table){.scheme = PARTITIONS_NONE};
	if (disk_bytes < LBA_BYTES)
		return 0;
	err = read_piece(disk, 0, LBA_BYTES, &sector);
	if (err)
		goto out;
	if (is_protective(sector) || gpt_is_there(disk))
		err = gpt_read(disk, ret_table);
	else if (looks_like_mbr(sector, disk_bytes))
		err = mbr_read(disk, sector, ret_table);
	mem_free(sector);
out:
	if (err == -EUCLEAN)
		snprintf(why, why_size, "the partition table (GPT) and its backup are damaged");
	else if (err)
		snprintf(why, why_size, "cannot read the partition table: %s", strerror(-err));
	return err;
}

/* For people. */

static void size_to_text(uint64_t bytes, char *text, size_t size)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	uint64_t rest = 0;
	size_t unit = 0;

	while (bytes >= 1024) {
		rest = bytes % 1024;
		bytes /= 1024;
		unit++;
	}
	if (rest >= 103)	/* a tenth */
		snprintf(text, size, "%llu.%u %s", (unsigned long long)bytes, (unsigned)(rest * 10 / 1024),
			 units[unit]);
	else
		snprintf(text, size, "%llu %s", (unsigned long long)bytes, units[unit]);
}

static const char *type_word(const struct partition_table *table, const struct partition *p)
{
	return table->scheme == PARTITIONS_GPT ? gpt_type_word(p->type_guid)
					       : mbr_type_word(p->mbr_type);
}

const char *partition_table_describe(const struct partition_table *table, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < table->nr; i++) {
		const struct partition *p = &table->list[i];
		char extent[32], one[PARTITION_NAME_BYTES_MAX + 100];
		int nr;

		size_to_text(p->size_bytes, extent, sizeof(extent));
		nr = snprintf(one, sizeof(one), "%s%u (%s, %s%s%s)", i ? ", " : "", p->number,
			      type_word(table, p), extent, p->name[0] ? ", name " : "", p->name);
		if (len + (size_t)nr + sizeof(", ...") > size) {
			snprintf(text + len, size - len, "%s", i ? ", ..." : "...");
			break;
		}
		memcpy(text + len, one, (size_t)nr + 1);
		len += (size_t)nr;
	}
	return text;
}

static const struct partition *find_number(const struct partition_table *table, const char *digits)
{
	unsigned long number = strtoul(digits, NULL, 10);

	for (uint32_t i = 0; i < table->nr; i++)
		if (table->list[i].number == number)
			return &table->list[i];
	return NULL;
}

static const struct partition *find_uuid(const struct partition_table *table, const char *uuid)
{
	for (uint32_t i = 0; i < table->nr; i++)
		if (strcasecmp(table->list[i].uuid, uuid) == 0)
			return &table->list[i];
	return NULL;
}

static const struct partition *find_name(const struct partition_table *table, const char *name)
{
	const struct partition *found = NULL;

	for (uint32_t i = 0; i < table->nr; i++) {
		if (!table->list[i].name[0] || strcmp(table->list[i].name, name) != 0)
			continue;
		if (found)
			return NULL;	/* which of the two? */
		found = &table->list[i];
	}
	return found;
}

static bool is_number(const char *s)
{
	return *s && strlen(s) <= 9 && strspn(s, "0123456789") == strlen(s);
}

const struct partition *partition_find(const struct partition_table *table, const char *choice)
{
	const struct partition *p;

	if (strncmp(choice, "name:", 5) == 0)
		return find_name(table, choice + 5);
	if (strncmp(choice, "uuid:", 5) == 0)
		return find_uuid(table, choice + 5);
	if (is_number(choice))
		return find_number(table, choice);
	p = find_uuid(table, choice);
	return p ? p : find_name(table, choice);
}
