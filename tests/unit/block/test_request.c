/*
 * Bios and requests as pure data. What must hold: a bio joins memory that lies together and refuses
 * what it has no room for; the parts of a large bio cover it once, in order, within the limits;
 * and the scatter list that a driver asks for, from any byte on and in any number of entries, names
 * the memory of the bios in order. Tried with random bios against a flat list of addresses.
 */
#include <stdlib.h>

#include "base/rand.h"
#include "block/request_private.h"
#include "harness/runner.h"

#define MEMORY_BYTES (256u << 10)

START_TEST(bio_add_joins_adjacent_memory)
{
	static char memory[4096];
	struct bio *bio = bio_alloc(NULL, BIO_READ, 0, 0, 1);

	ck_assert_ptr_nonnull(bio);
	ck_assert(bio_add(bio, memory, 1024));
	ck_assert(bio_add(bio, memory + 1024, 512));
	ck_assert_uint_eq(bio->nr_vecs, 1);
	ck_assert_uint_eq(bio->size_bytes, 1536);
	ck_assert(!bio_add(bio, memory + 2048, 512));
	ck_assert_uint_eq(bio->size_bytes, 1536);
	ck_assert_uint_eq(bio_sectors(bio), 3);
	bio_free(bio);
}
END_TEST

START_TEST(bio_add_refuses_more_than_a_bio_can_count)
{
	static char memory[2];
	struct bio *bio = bio_alloc(NULL, BIO_READ, 0, 0, 3);

	ck_assert(bio_add(bio, memory, UINT32_MAX - 1));
	ck_assert(!bio_add(bio, memory + 1, 2));
	ck_assert_uint_eq(bio->size_bytes, UINT32_MAX - 1);
	bio_free(bio);
}
END_TEST

/* A bio of nr pieces, each some sectors at a random place; its bytes' addresses go to flat. */
static struct bio *random_bio(struct rand *r, char *memory, uint32_t nr_vecs, sector_t sector,
			      char **flat, size_t *nr_flat)
{
	struct bio *bio = bio_alloc(NULL, BIO_WRITE, 0, sector, nr_vecs);

	ck_assert_ptr_nonnull(bio);
	for (uint32_t i = 0; i < nr_vecs; i++) {
		uint32_t len = 512 * (uint32_t)(1 + rand_below(r, 12));
		char *at = memory + rand_below(r, MEMORY_BYTES - len);

		ck_assert(bio_add(bio, at, len));
		for (uint32_t b = 0; b < len; b++)
			flat[(*nr_flat)++] = at + b;
	}
	return bio;
}

/* Reads rq through small scatter lists, from skip on, and compares each byte's address. */
static void check_iov(struct rand *r, const struct request *rq, char **flat)
{
	uint64_t skip = rand_below(r, rq->size_bytes), nr_wrong = 0;

	while (skip < rq->size_bytes) {
		struct iovec iov[5];
		size_t nr = request_fill_iov(rq, skip, iov, 1 + rand_below(r, array_size(iov)));

		ck_assert_uint_gt(nr, 0);
		for (size_t i = 0; i < nr; i++)
			for (size_t b = 0; b < iov[i].iov_len; b++)
				nr_wrong += (char *)iov[i].iov_base + b != flat[skip++];
	}
	ck_assert_uint_eq(nr_wrong, 0);	/* counted: a million asserts take minutes */
	ck_assert_uint_eq(skip, rq->size_bytes);
}

START_TEST(fill_iov_names_the_memory_of_all_bios_in_order)
{
	char **flat = malloc(1 << 20 << 3), *memory = malloc(MEMORY_BYTES);
	struct request rq;
	struct rand r;

	rand_init(&r, test_seed());
	for (int round = 0; round < 50; round++) {
		size_t nr_flat = 0;
		struct bio *bio = random_bio(&r, memory, 1 + (uint32_t)rand_below(&r, 9), 0, flat, &nr_flat);

		request_init_whole(&rq, bio);
		for (uint64_t more = rand_below(&r, 5); more > 0; more--) {
			bio = random_bio(&r, memory, 1 + (uint32_t)rand_below(&r, 9), 0, flat, &nr_flat);
			list_add_tail(&rq.bios, &bio->link);
			rq.size_bytes += bio->size_bytes;
		}
		ck_assert_uint_eq(rq.size_bytes, nr_flat);
		for (int i = 0; i < 20; i++)
			check_iov(&r, &rq, flat);
		while (!list_empty(&rq.bios)) {
			bio = list_first(&rq.bios, struct bio, link);
			list_del(&bio->link);
			bio_free(bio);
		}
	}
	free(flat);
	free(memory);
}
END_TEST

START_TEST(parts_cover_a_bio_once_and_within_the_limits)
{
	char **flat = malloc(1 << 20 << 3), *memory = malloc(MEMORY_BYTES);
	struct rand r;

	rand_init(&r, test_seed());
	for (int round = 0; round < 300; round++) {
		struct disk_limits limits = {
			.block_bytes = 512,
			.request_bytes_max = 512 * (uint32_t)(1 + rand_below(&r, 40)),
			.vecs_max = 1 + (uint32_t)rand_below(&r, 6),
		};
		size_t nr_flat = 0;
		struct bio *bio = random_bio(&r, memory, 1 + (uint32_t)rand_below(&r, 40), 1000, flat, &nr_flat);
		uint32_t nr_parts = bio_count_parts(&limits, bio), seen = 0, skip = 0;

		while (skip < bio->size_bytes) {
			struct bio_part part = bio_part_at(&limits, bio, skip);
			struct request rq;

			ck_assert_uint_eq(part.skip_bytes, skip);
			ck_assert_uint_gt(part.len_bytes, 0);
			ck_assert_uint_le(part.len_bytes, limits.request_bytes_max);
			ck_assert_uint_le(part.nr_vecs, limits.vecs_max);
			request_init_part(&rq, bio, part);
			ck_assert_uint_eq(rq.sector, 1000 + skip / 512);
			check_iov(&r, &rq, flat + skip);
			skip += part.len_bytes;
			seen++;
		}
		ck_assert_uint_eq(skip, bio->size_bytes);
		ck_assert_uint_eq(seen, nr_parts);
		bio_free(bio);
	}
	free(flat);
	free(memory);
}
END_TEST

START_TEST(a_bio_of_crumbs_that_no_block_fits_into_has_no_parts)
{
	static char memory[8192];
	struct disk_limits limits = {.block_bytes = 4096, .request_bytes_max = 65536, .vecs_max = 4};
	struct bio *bio = bio_alloc(NULL, BIO_WRITE, 0, 0, 8);

	for (int i = 0; i < 8; i++)
		ck_assert(bio_add(bio, memory + i * 1024, 512));
	ck_assert_uint_eq(bio->nr_vecs, 8);
	ck_assert_uint_eq(bio_count_parts(&limits, bio), 0);
	bio_free(bio);
}
END_TEST

TEST_SUITE(block_request)
{
	tcase_add_test(tc, bio_add_joins_adjacent_memory);
	tcase_add_test(tc, bio_add_refuses_more_than_a_bio_can_count);
	tcase_add_test(tc, fill_iov_names_the_memory_of_all_bios_in_order);
	tcase_add_test(tc, parts_cover_a_bio_once_and_within_the_limits);
	tcase_add_test(tc, a_bio_of_crumbs_that_no_block_fits_into_has_no_parts);
}
