/* Logs by hand. Checksums are computed the slow way, apart from the code that is tested. */
#include "logmaker.h"

#include <check.h>
#include <string.h>

#include "drivers/ramdisk.h"

static void put32(uint8_t *at, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Most significant bit first, 0x04c11db7. */
static uint32_t slow_crc32_be(uint32_t sum, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		sum ^= (uint32_t)bytes[i] << 24;
		for (unsigned bit = 0; bit < 8; bit++)
			sum = sum & 0x80000000u ? sum << 1 ^ 0x04c11db7u : sum << 1;
	}
	return sum;
}

/* Least significant bit first, 0x82f63b78, no inversion at either end. */
static uint32_t slow_crc32c(uint32_t sum, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		sum ^= bytes[i];
		for (unsigned bit = 0; bit < 8; bit++)
			sum = sum & 1 ? sum >> 1 ^ 0x82f63b78u : sum >> 1;
	}
	return sum;
}

static const uint8_t uuid[16] = "0123456789abcde";

static bool has_crc32c(const struct maker *m)
{
	return m->sums == SUMS_V2 || m->sums == SUMS_V3;
}

static void write_block(struct maker *m, uint64_t block, const uint8_t *bytes)
{
	ck_assert_int_eq(disk_write(m->disk, block * BLOCK, bytes, BLOCK, 0), 0);
}

void maker_read(struct maker *m, uint64_t block, uint8_t *to)
{
	ck_assert_int_eq(disk_read(m->disk, block * BLOCK, to, BLOCK), 0);
}

/* At the ring's end it goes on at its first block. */
static void append(struct maker *m, const uint8_t *bytes)
{
	write_block(m, LOG_AT + m->at, bytes);
	m->at = m->at + 1 < LOG_BLOCKS ? m->at + 1 : 1;
}

static void put_super(struct maker *m, uint32_t start, bool is_async)
{
	uint8_t block[BLOCK] = {0};
	uint32_t incompat = JOURNAL_INCOMPAT_REVOKE;

	incompat |= m->is_64bit ? JOURNAL_INCOMPAT_64BIT : 0;
	incompat |= is_async ? JOURNAL_INCOMPAT_ASYNC_COMMIT : 0;
	incompat |= m->sums == SUMS_V2 ? JOURNAL_INCOMPAT_CSUM_V2 : m->sums == SUMS_V3 ? JOURNAL_INCOMPAT_CSUM_V3 : 0;
	put32(block, JOURNAL_MAGIC);
	put32(block + 4, JOURNAL_SUPERBLOCK_V2);
	put32(block + 12, BLOCK);
	put32(block + 16, LOG_BLOCKS);
	put32(block + 20, 1);
	put32(block + 24, m->tid);
	put32(block + 28, start);
	put32(block + 36, m->sums == SUMS_V1 ? JOURNAL_COMPAT_CHECKSUM : 0);
	put32(block + 40, incompat);
	memcpy(block + 48, uuid, sizeof(uuid));
	put32(block + 64, 1);
	if (has_crc32c(m)) {
		block[80] = JOURNAL_CHKSUM_CRC32C;
		put32(block + 252, slow_crc32c(~0u, block, BLOCK));
	}
	write_block(m, LOG_AT, block);
}

static void begin_descriptor(struct maker *m)
{
	memset(m->descriptor, 0, BLOCK);
	put32(m->descriptor, JOURNAL_MAGIC);
	put32(m->descriptor + 4, JOURNAL_DESCRIPTOR_BLOCK);
	put32(m->descriptor + 8, m->tid);
	m->used_bytes = 12;
	m->nr_data = 0;
}

void maker_init(struct maker *m, enum sums sums, bool is_64bit, bool is_async, uint32_t start, uint32_t tid)
{
	struct ramdisk_config ram_config = {.size_bytes = DISK_BLOCKS * BLOCK};
	struct disk_config disk_config = {.name = "log by hand", .is_inline = true};
	struct timespec wall = {.tv_sec = 1700000000};

	*m = (struct maker){.sums = sums, .is_64bit = is_64bit, .at = start, .tid = tid, .seconds = 1700000000};
	ck_assert_int_eq(ramdisk_open(&ram_config, &disk_config, NULL, &m->disk), 0);
	m->clock = clock_create_virtual(wall);
	m->sum_v1 = ~0u;
	put_super(m, start, is_async);
	begin_descriptor(m);
}

void maker_done(struct maker *m)
{
	ck_assert_int_eq(journal_destroy(m->journal), 0);
	disk_close(m->disk);
	clock_destroy(m->clock);
}

static uint32_t sum_of_data(const struct maker *m, const uint8_t *data)
{
	uint8_t sequence[4];
	uint32_t sum = slow_crc32c(~0u, uuid, sizeof(uuid));

	put32(sequence, m->tid);
	return slow_crc32c(slow_crc32c(sum, sequence, 4), data, BLOCK);
}

/* Lays a tag down as the format says and returns its length. */
static uint32_t put_tag(const struct maker *m, uint8_t *tag, uint64_t home, uint32_t flags, const uint8_t *data)
{
	put32(tag, (uint32_t)home);
	if (m->sums == SUMS_V3) {
		put32(tag + 4, flags);
		put32(tag + 8, (uint32_t)(home >> 32));
		put32(tag + 12, sum_of_data(m, data));
		return 16;
	}
	if (m->sums == SUMS_V2) {
		uint32_t sum = sum_of_data(m, data);

		tag[4] = (uint8_t)(sum >> 8);
		tag[5] = (uint8_t)sum;
	}
	tag[6] = (uint8_t)(flags >> 8);
	tag[7] = (uint8_t)flags;
	if (m->is_64bit)
		put32(tag + 8, (uint32_t)(home >> 32));
	return 8 + (m->sums == SUMS_V2 ? 2 : 0) + (m->is_64bit ? 4 : 0);
}

void maker_block(struct maker *m, uint64_t home, uint8_t fill, bool is_escaped)
{
	uint32_t flags = (is_escaped ? JOURNAL_TAG_ESCAPE : 0) | (m->nr_data ? JOURNAL_TAG_SAME_UUID : 0);

	ck_assert_uint_lt(m->nr_data, 32);
	memset(m->data[m->nr_data], fill, BLOCK);
	if (is_escaped)
		memset(m->data[m->nr_data], 0, 4);
	m->used_bytes += put_tag(m, m->descriptor + m->used_bytes, home, flags, m->data[m->nr_data]);
	if (!m->nr_data) {
		memcpy(m->descriptor + m->used_bytes, uuid, sizeof(uuid));
		m->used_bytes += sizeof(uuid);
	}
	m->nr_data++;
}

/* Where the flags of the last tag lie. */
static void set_last(struct maker *m)
{
	uint32_t stride = m->sums == SUMS_V3 ? 16 : 8 + (m->sums == SUMS_V2 ? 2 : 0) + (m->is_64bit ? 4 : 0);
	uint8_t *tag = m->descriptor + m->used_bytes - stride - (m->nr_data == 1 ? sizeof(uuid) : 0);

	tag[7] |= JOURNAL_TAG_LAST;
}

static void put_tail(const struct maker *m, uint8_t *block)
{
	uint32_t sum = slow_crc32c(~0u, uuid, sizeof(uuid));

	if (has_crc32c(m))
		put32(block + BLOCK - 4, slow_crc32c(sum, block, BLOCK));
}

void maker_descriptor(struct maker *m)
{
	set_last(m);
	put_tail(m, m->descriptor);
	append(m, m->descriptor);
	m->sum_v1 = slow_crc32_be(m->sum_v1, m->descriptor, BLOCK);
	for (uint32_t i = 0; i < m->nr_data; i++) {
		append(m, m->data[i]);
		m->sum_v1 = slow_crc32_be(m->sum_v1, m->data[i], BLOCK);
	}
	begin_descriptor(m);
}

void maker_revoke(struct maker *m, const uint64_t *blocks, uint32_t nr)
{
	uint8_t block[BLOCK] = {0};
	uint32_t at = 16;

	put32(block, JOURNAL_MAGIC);
	put32(block + 4, JOURNAL_REVOKE_BLOCK);
	put32(block + 8, m->tid);
	for (uint32_t i = 0; i < nr; i++) {
		if (m->is_64bit) {
			put32(block + at, (uint32_t)(blocks[i] >> 32));
			at += 4;
		}
		put32(block + at, (uint32_t)blocks[i]);
		at += 4;
	}
	put32(block + 12, at);
	put_tail(m, block);
	append(m, block);
}

void maker_commit(struct maker *m)
{
	uint8_t block[BLOCK] = {0};

	put32(block, JOURNAL_MAGIC);
	put32(block + 4, JOURNAL_COMMIT_BLOCK);
	put32(block + 8, m->tid);
	put32(block + 52, (uint32_t)m->seconds);
	if (m->sums == SUMS_V1) {
		block[12] = JOURNAL_CHKSUM_CRC32;
		block[13] = JOURNAL_CRC32_SIZE;
		put32(block + 16, m->sum_v1);
	} else if (has_crc32c(m)) {
		uint32_t sum = slow_crc32c(~0u, uuid, sizeof(uuid));

		put32(block + 16, slow_crc32c(sum, block, BLOCK));
	}
	append(m, block);
	m->tid++;
	m->seconds++;
	m->sum_v1 = ~0u;
	begin_descriptor(m);
}

void maker_spoil(struct maker *m, uint32_t log_block, uint32_t offset)
{
	uint8_t block[BLOCK];

	maker_read(m, LOG_AT + log_block, block);
	block[offset] ^= 0x5a;
	write_block(m, LOG_AT + log_block, block);
}

void maker_set_super(struct maker *m, uint32_t offset, uint32_t value)
{
	uint8_t block[BLOCK];

	maker_read(m, LOG_AT, block);
	put32(block + offset, value);
	write_block(m, LOG_AT, block);
}

int maker_load(struct maker *m, char *why, size_t why_size)
{
	struct journal_extent extent = {.log_block = 0, .count = LOG_BLOCKS, .block = LOG_AT};
	struct journal_config config = {
		.disk = m->disk,
		.block_bytes = BLOCK,
		.extents = &extent,
		.nr_extents = 1,
		.clock = m->clock,
	};

	ck_assert_int_eq(journal_destroy(m->journal), 0);
	m->journal = NULL;
	return journal_load(&config, &m->journal, why, why_size);
}

int maker_recover(struct maker *m, struct journal_recovery *ret)
{
	char why[200];

	ck_assert_msg(maker_load(m, why, sizeof(why)) == 0, "%s", why);
	return journal_recover(m->journal, ret);
}

uint8_t maker_home(struct maker *m, uint64_t block)
{
	uint8_t bytes[BLOCK];

	maker_read(m, block, bytes);
	return bytes[100];
}

uint32_t maker_super(struct maker *m, uint32_t offset)
{
	uint8_t bytes[BLOCK];

	maker_read(m, LOG_AT, bytes);
	return get32(bytes + offset);
}
