/*
 * The disk in memory. What must hold: memory is taken for what is written and given back for what is
 * discarded; a TiB costs nothing; what was never written or was discarded is zeros; a write that
 * finds no memory fails, and the disk goes on.
 */
#include "drivers/ramdisk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "harness/runner.h"
#include "unit/drivers/openers.h"

#define TIB (1ull << 40)

OPENER(ram)
{
	*ret_state = NULL;
	return new_ram(size_bytes);
}

OPENER(ram_of_4k_blocks)
{
	struct ramdisk_config ram = {.size_bytes = size_bytes, .block_bytes = 4096};
	struct disk *disk;

	*ret_state = NULL;
	ck_assert_int_eq(ramdisk_open(&ram, &(struct disk_config){.name = "ram"}, NULL, &disk), 0);
	return disk;
}

static struct disk *open_with(uint64_t size_bytes, struct ramdisk **ret_ram)
{
	struct ramdisk_config ram = {.size_bytes = size_bytes};
	struct disk *disk;

	ck_assert_int_eq(ramdisk_open(&ram, &(struct disk_config){.name = "ram"}, ret_ram, &disk), 0);
	return disk;
}

START_TEST(a_tib_costs_nothing_until_written)
{
	struct ramdisk *ram;
	struct disk *disk = open_with(TIB, &ram);

	ck_assert_uint_eq(ramdisk_used_bytes(ram), 0);
	check_zeros(disk, TIB - 65536, 65536);
	ck_assert_uint_eq(ramdisk_used_bytes(ram), 0);
	put_pattern(disk, TIB - 4096, 4096, 1);
	put_pattern(disk, TIB / 2 + 512, 512, 1);
	ck_assert_uint_eq(ramdisk_used_bytes(ram), 8192);
	check_pattern(disk, TIB - 4096, 4096, 1);
	check_pattern(disk, TIB / 2 + 512, 512, 1);
	check_zeros(disk, TIB / 2, 512);
	check_zeros(disk, TIB / 2 + 1024, 4096);
	disk_close(disk);
}
END_TEST

START_TEST(discard_gives_back_and_leaves_zeros)
{
	struct ramdisk *ram;
	struct disk *disk = open_with(1 << 20, &ram);

	put_pattern(disk, 0, 1 << 20, 1);
	ck_assert_uint_eq(ramdisk_used_bytes(ram), 1 << 20);
	ck_assert_int_eq(discard(disk, 512, 65536), 0);
	ck_assert_uint_eq(ramdisk_used_bytes(ram), (1 << 20) - 15 * 4096);	/* two pages are cut */
	check_pattern(disk, 0, 512, 1);
	check_zeros(disk, 512, 65536);
	check_pattern(disk, 512 + 65536, (1 << 20) - 512 - 65536, 1);
	ck_assert_int_eq(discard(disk, 0, 1 << 20), 0);
	ck_assert_uint_eq(ramdisk_used_bytes(ram), 0);
	check_zeros(disk, 0, 1 << 20);
	disk_close(disk);
}
END_TEST

START_TEST(nothing_stays_allocated_after_close)
{
	uint64_t nr_before = mem_live_count();
	struct disk *disk = new_ram(TIB);

	for (uint64_t i = 0; i < 300; i++)
		put_pattern(disk, i * (TIB / 300) / 512 * 512, 1024, 1);
	ck_assert_uint_gt(mem_live_count(), nr_before + 300);
	disk_close(disk);
	ck_assert_uint_eq(mem_live_count(), nr_before);
}
END_TEST

static unsigned nr_lines;

static void count_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	ck_assert_ptr_nonnull(strstr(line, "no memory"));
	nr_lines++;
}

START_TEST(without_memory_a_write_fails_and_the_disk_goes_on)
{
	struct disk *disk = new_ram(1 << 20);
	unsigned char bytes[65536];

	log_set_sink(count_line, NULL);
	memset(bytes, 1, sizeof(bytes));
	for (uint64_t n = 1; n <= 18; n++) {
		mem_fail_nth(n, true);
		ck_assert_int_eq(disk_write(disk, 0, bytes, sizeof(bytes), 0), -EIO);
		mem_fail_nth(0, false);
		ck_assert_int_eq(discard(disk, 0, 1 << 20), 0);
	}
	ck_assert_uint_eq(nr_lines, 1);
	put_pattern(disk, 0, 65536, 2);
	check_pattern(disk, 0, 65536, 2);
	disk_close(disk);
}
END_TEST

START_TEST(limits_are_kept)
{
	struct ramdisk_config odd = {.size_bytes = 4096 + 512, .block_bytes = 4096};
	struct ramdisk_config ro = {.size_bytes = 4096, .is_read_only = true};
	struct disk_config config = {.name = "ram"};
	unsigned char bytes[4096] = {0};
	struct disk *disk;

	ck_assert_int_eq(ramdisk_open(&odd, &config, NULL, &disk), -EINVAL);
	ck_assert_int_eq(ramdisk_open(&ro, &config, NULL, &disk), 0);
	ck_assert_int_eq(disk_write(disk, 0, bytes, 4096, 0), -EROFS);
	ck_assert_int_eq(discard(disk, 0, 4096), -EROFS);
	check_zeros(disk, 0, 4096);
	disk_close(disk);
}
END_TEST

TEST_SUITE(drivers_ramdisk)
{
	tcase_add_test(tc, a_tib_costs_nothing_until_written);
	tcase_add_test(tc, discard_gives_back_and_leaves_zeros);
	tcase_add_test(tc, nothing_stays_allocated_after_close);
	tcase_add_test(tc, without_memory_a_write_fails_and_the_disk_goes_on);
	tcase_add_test(tc, limits_are_kept);
}
