/*
 * Parts of a disk. What must hold: partitions of GPT and MBR, logical ones included, are found by
 * number, name and PARTUUID and lie where the table says; no byte outside is reached; a damaged
 * GPT is replaced by its backup or refused; a wrong choice is answered with a list; a table of
 * random bytes never does more than be refused; and nothing hangs on a lower disk with no room.
 */
#include "drivers/partdisk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/lock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "harness/runner.h"
#include "unit/drivers/openers.h"

#define MIB (1ull << 20)

static const struct disk_config plain = {.name = "part"};
static char why[1000];

static struct disk *part_at(struct disk *lower, uint64_t offset_bytes, uint64_t size_bytes)
{
	struct partdisk_config config = {
		.offset_bytes = offset_bytes, .size_bytes = size_bytes, .owns_lower = true,
	};
	struct disk *disk;

	ck_assert_msg(partdisk_open(lower, &config, &plain, &disk, why, sizeof(why)) == 0, "%s", why);
	return disk;
}

OPENER(part_of_ram)
{
	*ret_state = NULL;
	return part_at(new_ram(size_bytes + 3 * 512), 512, size_bytes);
}

OPENER(part_of_narrow_file)
{
	*ret_state = NULL;
	return part_at(new_file(size_bytes + MIB, FILE_NARROW), MIB, 0);
}

OPENER(part_of_part)
{
	*ret_state = NULL;
	return part_at(part_at(new_file(size_bytes + MIB, FILE_PLAIN), 4096, 0), 8192, size_bytes);
}

/* Tables, made here byte by byte. */

static void put16(unsigned char *p, uint32_t v)
{
	p[0] = (unsigned char)v;
	p[1] = (unsigned char)(v >> 8);
}

static void put32(unsigned char *p, uint32_t v)
{
	put16(p, v);
	put16(p + 2, v >> 16);
}

static void put64(unsigned char *p, uint64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)(v >> 32));
}

struct gpt_part {
	uint32_t number;
	uint64_t first, last;
	const char *name;
};

static const struct gpt_part gpt_parts[] = {
	{1, 64, 127, "boot"}, {2, 128, 1023, "root"}, {5, 1024, 1151, "root"}, {7, 1152, 1160, "2"},
};

static const unsigned char linux_guid[16] = {0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47,
					     0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4};

static void make_entries(unsigned char *entries)
{
	for (size_t i = 0; i < array_size(gpt_parts); i++) {
		const struct gpt_part *p = &gpt_parts[i];
		unsigned char *e = entries + (p->number - 1) * 128;

		memcpy(e, linux_guid, 16);
		for (unsigned n = 0; n < 16; n++)
			e[16 + n] = (unsigned char)(16 * p->number + n);
		put64(e + 32, p->first);
		put64(e + 40, p->last);
		for (size_t n = 0; p->name[n]; n++)
			put16(e + 56 + 2 * n, (unsigned char)p->name[n]);
	}
}

static void make_header(unsigned char *h, uint64_t my_lba, uint64_t entries_lba, const unsigned char *entries)
{
	memcpy(h, "EFI PART", 8);
	put32(h + 8, 0x10000);
	put32(h + 12, 92);
	put64(h + 24, my_lba);
	put64(h + 72, entries_lba);
	put32(h + 80, 128);
	put32(h + 84, 128);
	put32(h + 88, (uint32_t)crc32(0, entries, 128 * 128));
	put32(h + 16, (uint32_t)crc32(0, h, 92));
}

static void put_mbr_entry(unsigned char *sector, unsigned i, unsigned type, uint32_t first, uint32_t nr)
{
	unsigned char *e = sector + 446 + 16 * i;

	e[4] = (unsigned char)type;
	put32(e + 8, first);
	put32(e + 12, nr);
	sector[510] = 0x55;
	sector[511] = 0xaa;
}

static void write_at(struct disk *disk, uint64_t offset, const void *bytes, uint32_t len)
{
	ck_assert_int_eq(disk_write(disk, offset, bytes, len, 0), 0);
}

#define DISK_LBAS 2048ull

/* A disk of 2,048 LBAs with the partitions above. */
static struct disk *gpt_disk(uint32_t lba)
{
	struct disk *disk = new_ram(DISK_LBAS * lba);
	unsigned char *sector = calloc(1, lba), *entries = calloc(128, 128);
	uint64_t back = DISK_LBAS - 1, nr_lbas = 128 * 128 / lba;

	put_mbr_entry(sector, 0, 0xee, 1, (uint32_t)DISK_LBAS - 1);
	write_at(disk, 0, sector, lba);
	make_entries(entries);
	write_at(disk, 2 * lba, entries, 128 * 128);
	write_at(disk, (back - nr_lbas) * lba, entries, 128 * 128);
	memset(sector, 0, lba);
	make_header(sector, 1, 2, entries);
	write_at(disk, lba, sector, lba);
	memset(sector, 0, lba);
	make_header(sector, back, back - nr_lbas, entries);
	write_at(disk, back * lba, sector, lba);
	free(sector);
	free(entries);
	return disk;
}

static int open_choice(struct disk *lower, const char *choice, struct disk **ret_disk)
{
	struct partdisk_config config = {.part = choice};

	memset(why, 0, sizeof(why));
	return partdisk_open(lower, &config, &plain, ret_disk, why, sizeof(why));
}

static void check_is_at(struct disk *lower, const char *choice, uint64_t offset_bytes, uint64_t size_bytes)
{
	static uint32_t version;
	struct disk *disk;

	ck_assert_msg(open_choice(lower, choice, &disk) == 0, "%s: %s", choice, why);
	ck_assert_uint_eq(disk_limits(disk)->size_bytes, size_bytes);
	put_pattern(lower, offset_bytes, 512, ++version);
	check_pattern(lower, offset_bytes, 512, version);
	disk_close(disk);
}

static void check_all_parts(struct disk *lower, uint32_t lba)
{
	check_is_at(lower, "1", 64ull * lba, 64ull * lba);
	check_is_at(lower, "boot", 64ull * lba, 64ull * lba);
	check_is_at(lower, "name:boot", 64ull * lba, 64ull * lba);
	check_is_at(lower, "2", 128ull * lba, 896ull * lba);
	check_is_at(lower, "name:2", 1152ull * lba, 9ull * lba);
	check_is_at(lower, "5", 1024ull * lba, 128ull * lba);
	check_is_at(lower, "53525150-5554-5756-5859-5a5b5c5d5e5f", 1024ull * lba, 128ull * lba);
	check_is_at(lower, "uuid:53525150-5554-5756-5859-5A5B5C5D5E5F", 1024ull * lba, 128ull * lba);
}

START_TEST(gpt_partitions_are_found_by_number_name_and_uuid)
{
	uint32_t lba = _i ? 4096 : 512;
	struct disk *lower = gpt_disk(lba);

	check_all_parts(lower, lba);
	disk_close(lower);
}
END_TEST

static void spoil(struct disk *disk, uint64_t offset)
{
	unsigned char sector[512];

	ck_assert_int_eq(disk_read(disk, offset / 512 * 512, sector, 512), 0);
	sector[offset % 512] ^= 1;
	write_at(disk, offset / 512 * 512, sector, 512);
}

START_TEST(a_damaged_gpt_is_replaced_by_its_backup)
{
	static const uint64_t damage[] = {512, 512 + 16, 512 + 24, 512 + 72, 512 + 88, 1024 + 32, 1024 + 127 * 128};
	struct partition_table *table = malloc(sizeof(*table));
	struct disk *lower = gpt_disk(512);

	spoil(lower, damage[_i]);
	check_all_parts(lower, 512);
	ck_assert_int_eq(partition_table_read(lower, table, why, sizeof(why)), 0);
	ck_assert(table->is_backup);
	ck_assert_uint_eq(table->nr, array_size(gpt_parts));
	disk_close(lower);
	free(table);
}
END_TEST

START_TEST(two_damaged_gpts_are_refused)
{
	struct disk *lower = gpt_disk(512), *disk;

	spoil(lower, 512 + 16);
	spoil(lower, (DISK_LBAS - 1) * 512 + 16);
	ck_assert_int_eq(open_choice(lower, "1", &disk), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(why, "damaged"));
	disk_close(lower);
}
END_TEST

START_TEST(a_wrong_choice_is_answered_with_a_list)
{
	static const char *const wrong[] = {"3", "", "nobody", "root", "uuid:0", "name:", "-1", "99999999999"};
	struct disk *lower = gpt_disk(512), *disk;

	for (size_t i = 0; i < array_size(wrong); i++) {
		ck_assert_int_eq(open_choice(lower, wrong[i], &disk), -ENXIO);
		ck_assert_msg(strstr(why, "1 (Linux, 32 KiB, name boot), 2 (Linux, 448 KiB, name root)") != NULL,
			      "%s", why);
		ck_assert_ptr_nonnull(strstr(why, "7 (Linux, 4.5 KiB, name 2)"));
	}
	disk_close(lower);
}
END_TEST

START_TEST(a_list_that_is_too_long_ends_in_dots_at_any_length)
{
	struct partition_table *table = malloc(sizeof(*table));
	struct disk *lower = gpt_disk(512);
	char text[200];

	ck_assert_int_eq(partition_table_read(lower, table, why, sizeof(why)), 0);
	for (size_t size = 1; size <= sizeof(text); size++) {
		memset(text, 'x', sizeof(text));
		partition_table_describe(table, text, size);
		ck_assert_uint_lt(strlen(text), size);
		if (size > 10 && !strstr(text, "name 2)"))
			ck_assert_str_eq(text + strlen(text) - 3, "...");
	}
	disk_close(lower);
	free(table);
}
END_TEST

/* Primary 1 and 3, an extended 2 with logicals 5, 6, 7. */
static struct disk *mbr_disk(void)
{
	struct disk *disk = new_ram(4 * MIB);
	unsigned char sector[512] = {0};

	put32(sector + 440, 0xc0ffee01);
	put_mbr_entry(sector, 0, 0x83, 64, 64);
	put_mbr_entry(sector, 1, 0x05, 1024, 3072);
	put_mbr_entry(sector, 2, 0x82, 128, 100);
	write_at(disk, 0, sector, 512);
	for (uint32_t i = 0; i < 3; i++) {
		memset(sector, 0, sizeof(sector));
		put_mbr_entry(sector, 0, 0x83, 32, 200 + i);
		if (i < 2)
			put_mbr_entry(sector, 1, 0x05, 512 * (i + 1), 512);
		write_at(disk, (1024 + 512 * i) * 512, sector, 512);
	}
	return disk;
}

START_TEST(mbr_partitions_are_found_logical_ones_too)
{
	struct disk *lower = mbr_disk(), *disk;

	check_is_at(lower, "1", 64 * 512, 64 * 512);
	check_is_at(lower, "3", 128 * 512, 100 * 512);
	check_is_at(lower, "5", (1024 + 32) * 512, 200 * 512);
	check_is_at(lower, "6", (1536 + 32) * 512, 201 * 512);
	check_is_at(lower, "7", (2048 + 32) * 512, 202 * 512);
	check_is_at(lower, "c0ffee01-06", (1536 + 32) * 512, 201 * 512);
	ck_assert_int_eq(open_choice(lower, "2", &disk), -ENXIO);	/* holds others, and is none */
	ck_assert_ptr_nonnull(strstr(why, "1 (Linux, 32 KiB), 3 (Linux swap, 50 KiB), 5 ("));
	ck_assert_int_eq(open_choice(lower, "8", &disk), -ENXIO);
	disk_close(lower);
}
END_TEST

START_TEST(a_chain_of_logical_partitions_that_bites_its_tail_ends)
{
	struct partition_table *table = malloc(sizeof(*table));
	struct disk *lower = mbr_disk();
	unsigned char sector[512] = {0};

	put_mbr_entry(sector, 0, 0x83, 32, 200);
	put_mbr_entry(sector, 1, 0x05, 512, 512);	/* the second points to itself */
	write_at(lower, 1536 * 512, sector, 512);
	ck_assert_int_eq(partition_table_read(lower, table, why, sizeof(why)), 0);
	ck_assert_uint_le(table->nr, PARTITIONS_MAX);
	check_is_at(lower, "5", (1024 + 32) * 512, 200 * 512);
	disk_close(lower);
	free(table);
}
END_TEST

START_TEST(a_boot_sector_with_code_is_no_table)
{
	struct disk *lower = new_ram(MIB), *disk;
	unsigned char sector[512];

	memset(sector, 0x90, sizeof(sector));
	sector[510] = 0x55;
	sector[511] = 0xaa;
	write_at(lower, 0, sector, 512);
	ck_assert_int_eq(open_choice(lower, "1", &disk), -ENXIO);
	ck_assert_ptr_nonnull(strstr(why, "no partition table"));
	memset(sector, 0, 510);
	write_at(lower, 0, sector, 512);
	ck_assert_int_eq(open_choice(lower, "1", &disk), -ENXIO);
	ck_assert_ptr_nonnull(strstr(why, "no partition table"));
	disk_close(lower);
}
END_TEST

START_TEST(a_partition_behind_the_end_of_a_cut_image_is_refused)
{
	struct disk *whole = gpt_disk(512), *cut = new_ram(1000 * 512), *disk;
	unsigned char *bytes = malloc(1000 * 512);

	ck_assert_int_eq(disk_read(whole, 0, bytes, 1000 * 512), 0);
	write_at(cut, 0, bytes, 1000 * 512);
	ck_assert_int_eq(open_choice(cut, "1", &disk), 0);	/* the backup is gone, this one is there */
	disk_close(disk);
	ck_assert_int_eq(open_choice(cut, "2", &disk), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "cut"));
	ck_assert_int_eq(open_choice(cut, "5", &disk), -EINVAL);
	disk_close(whole);
	disk_close(cut);
	free(bytes);
}
END_TEST

START_TEST(ranges_are_checked)
{
	static const struct {
		uint64_t offset_bytes, size_bytes;
		int err;
	} cases[] = {
		{0, 0, 0}, {512, 0, 0}, {MIB - 512, 512, 0}, {MIB, 0, -EINVAL}, {UINT64_MAX - 511, 512, -EINVAL},
		{512, MIB, -EINVAL}, {100, 0, -EINVAL}, {0, 100, -EINVAL}, {512, UINT64_MAX - 511, -EINVAL},
	};
	struct disk *lower = new_ram(MIB), *disk;

	for (size_t i = 0; i < array_size(cases); i++) {
		struct partdisk_config config = {
			.offset_bytes = cases[i].offset_bytes, .size_bytes = cases[i].size_bytes,
		};

		ck_assert_int_eq(partdisk_open(lower, &config, &plain, &disk, why, sizeof(why)), cases[i].err);
		if (!cases[i].err)
			disk_close(disk);
	}
	disk_close(lower);
}
END_TEST

START_TEST(no_byte_outside_is_reached)
{
	struct disk *lower = new_ram(MIB), *disk;
	struct partdisk_config config = {.offset_bytes = 65536, .size_bytes = 65536};
	unsigned char bytes[1024] = {0};

	put_pattern(lower, 0, MIB, 1);
	ck_assert_int_eq(partdisk_open(lower, &config, &plain, &disk, why, sizeof(why)), 0);
	put_pattern(disk, 0, 65536, 2);
	ck_assert_int_eq(disk_write(disk, 65536, bytes, 512, 0), -EINVAL);
	ck_assert_int_eq(disk_write(disk, 65536 - 512, bytes, 1024, 0), -EINVAL);
	ck_assert_int_eq(discard(disk, 65536 - 512, 1024), -EINVAL);
	ck_assert_int_eq(discard(disk, 0, 65536), 0);
	disk_close(disk);
	check_pattern(lower, 0, 65536, 1);
	check_zeros(lower, 65536, 65536);
	check_pattern(lower, 131072, MIB - 131072, 1);
	disk_close(lower);
}
END_TEST

START_TEST(random_tables_are_refused_or_harmless)
{
	struct partition_table *table = malloc(sizeof(*table));
	struct rand r;

	rand_init(&r, test_seed());
	for (int i = 0; i < 600; i++) {
		struct disk *lower = rand_one_in(&r, 2) ? gpt_disk(512) : mbr_disk(), *disk;
		int nr = 1 + (int)rand_below(&r, 30), err;
		unsigned char sector[512];

		while (nr--) {
			uint64_t at = rand_below(&r, rand_one_in(&r, 3) ? 2100 : 40) * 512;

			if (at >= disk_limits(lower)->size_bytes)
				continue;
			ck_assert_int_eq(disk_read(lower, at, sector, 512), 0);
			sector[rand_below(&r, 512)] = (unsigned char)rand_u64(&r);
			if (rand_one_in(&r, 10))
				rand_fill(&r, sector + 440, 70);
			write_at(lower, at, sector, 512);
		}
		err = partition_table_read(lower, table, why, sizeof(why));
		ck_assert(err == 0 || err == -EUCLEAN);
		for (uint32_t n = 0; !err && n < table->nr; n++) {
			char choice[20];

			snprintf(choice, sizeof(choice), "%u", table->list[n].number);
			if (open_choice(lower, choice, &disk))
				continue;
			ck_assert_uint_le(disk_limits(disk)->size_bytes, disk_limits(lower)->size_bytes);
			disk_close(disk);
		}
		disk_close(lower);
	}
	free(table);
}
END_TEST

START_TEST(the_lower_disk_stays_the_callers_when_opening_fails)
{
	struct partdisk_config config = {.part = "9", .owns_lower = true};
	struct disk *lower = gpt_disk(512), *disk;
	uint64_t nr_live = mem_live_count();

	ck_assert_int_eq(partdisk_open(lower, &config, &plain, &disk, why, sizeof(why)), -ENXIO);
	config.part = "1";
	for (uint64_t n = 1;; n++) {
		int err;

		mem_fail_nth(n, true);
		err = partdisk_open(lower, &config, &plain, &disk, why, sizeof(why));
		mem_fail_nth(0, false);
		if (!err)
			break;
		ck_assert(err == -ENOMEM || err == -EAGAIN);	/* a thread that is not to be had */
		ck_assert_uint_eq(mem_live_count(), nr_live);
		check_zeros(lower, 512 * 40, 512);
	}
	disk_close(disk);
}
END_TEST

/*
 * The lower disk has room for two and one worker. Flush sequences continue inside its end_io, and must
 * not wait there for the room that they hold.
 */
#define NR_FLUSHERS 4

struct flusher {
	struct disk *disk;
	uint64_t offset;
	int error;
};

static void flush_a_lot(void *arg)
{
	struct flusher *f = arg;
	unsigned char *memory = calloc(32, 4096);
	struct batch batch = {0};

	for (uint32_t i = 0; i < 1000; i++) {
		batch_submit(&batch, f->disk, BIO_WRITE, i % 3 ? BIO_PREFLUSH | BIO_FUA : 0,
			     f->offset + i % 32 * 4096, memory + i % 32 * 4096, 4096);
		if (i % 50 == 49)
			f->error |= disk_flush(f->disk);
	}
	f->error |= (int)batch_wait(&batch);
	free(memory);
}

START_TEST(nothing_hangs_on_a_lower_disk_without_room)
{
	struct flusher flushers[NR_FLUSHERS];
	struct thread *threads[NR_FLUSHERS];
	struct disk *disk = part_at(part_at(new_file(2 * MIB, FILE_NARROW), 4096, 0), 4096, 0);

	for (int i = 0; i < NR_FLUSHERS; i++) {
		flushers[i] = (struct flusher){disk, (uint64_t)i << 17, 0};
		threads[i] = thread_create("flusher", flush_a_lot, &flushers[i]);
		ck_assert_ptr_nonnull(threads[i]);
	}
	for (int i = 0; i < NR_FLUSHERS; i++) {
		thread_join(threads[i]);
		ck_assert_int_eq(flushers[i].error, 0);
	}
	disk_close(disk);
}
END_TEST

TEST_SUITE(drivers_partdisk)
{
	tcase_add_loop_test(tc, gpt_partitions_are_found_by_number_name_and_uuid, 0, 2);
	tcase_add_loop_test(tc, a_damaged_gpt_is_replaced_by_its_backup, 0, 7);
	tcase_add_test(tc, two_damaged_gpts_are_refused);
	tcase_add_test(tc, a_wrong_choice_is_answered_with_a_list);
	tcase_add_test(tc, a_list_that_is_too_long_ends_in_dots_at_any_length);
	tcase_add_test(tc, mbr_partitions_are_found_logical_ones_too);
	tcase_add_test(tc, a_chain_of_logical_partitions_that_bites_its_tail_ends);
	tcase_add_test(tc, a_boot_sector_with_code_is_no_table);
	tcase_add_test(tc, a_partition_behind_the_end_of_a_cut_image_is_refused);
	tcase_add_test(tc, ranges_are_checked);
	tcase_add_test(tc, no_byte_outside_is_reached);
	tcase_add_test(tc, random_tables_are_refused_or_harmless);
	tcase_add_test(tc, the_lower_disk_stays_the_callers_when_opening_fails);
	tcase_add_test(tc, nothing_hangs_on_a_lower_disk_without_room);
}
