/*
 * Arm and platter. What must hold: a seek takes longer the farther it goes, between the two times of the
 * profile; the rotation brings the head to the very sector; the mean over random places is that of the
 * books (half a turn); what follows on is read without a turn, also over a track's edge.
 */
#include "base/clock.h"
#include "base/rand.h"
#include "drivers/sim/mechanics.h"
#include "harness/runner.h"

#define DISK_BYTES (64ull << 30)
#define NR_PROFILES 4

static struct mechanics m;

static void init(const char *name)
{
	mechanics_init(&m, sim_profile_find(name), DISK_BYTES);
}

START_TEST(profiles_are_found_by_their_name_and_make_sense)
{
	const struct sim_profile *p = sim_profile_at((size_t)_i);

	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_eq(sim_profile_find(p->name), p);
	ck_assert_uint_ge(p->nr_channels, 1);
	ck_assert_uint_ge(p->depth, 1);
	ck_assert_uint_gt(p->bytes_per_ms, 0);
	ck_assert_ptr_null(sim_profile_at(NR_PROFILES));
	ck_assert_ptr_null(sim_profile_find("tape"));
}
END_TEST

START_TEST(a_seek_grows_with_the_way)
{
	uint64_t before = 0;

	init("hdd7200");
	ck_assert_uint_eq(mechanics_seek_ns(&m, 0), 0);
	ck_assert_uint_ge(mechanics_seek_ns(&m, 1), m.profile.seek_track_ns);
	for (uint64_t d = 1; d < m.nr_cylinders; d += 97) {
		uint64_t ns = mechanics_seek_ns(&m, d);

		ck_assert_uint_ge(ns, before);
		before = ns;
	}
	ck_assert_uint_eq(mechanics_seek_ns(&m, m.nr_cylinders - 1), m.profile.seek_full_ns);
	/* A third of the stroke, the mean of random seeks. */
	ck_assert_uint_gt(mechanics_seek_ns(&m, m.nr_cylinders / 3), 7500000);
	ck_assert_uint_lt(mechanics_seek_ns(&m, m.nr_cylinders / 3), 9000000);
}
END_TEST

START_TEST(random_places_cost_half_a_turn)
{
	uint64_t sum = 0, nr = 20000, at_ns = 0;
	struct rand r;

	init("hdd7200");
	rand_init(&r, test_seed());
	for (uint64_t i = 0; i < nr; i++) {
		sector_t sector = 8 * rand_below(&r, DISK_BYTES / 4096 - 1);
		struct service s = mechanics_plan(&m, at_ns, BIO_READ, sector, 4096);

		ck_assert_uint_lt(s.rotation_ns, m.profile.revolution_ns);
		sum += s.rotation_ns;
		at_ns += service_ns(&s);
		mechanics_apply(&m, &s, BIO_READ, sector + 8);
	}
	ck_assert_uint_gt(sum / nr, m.profile.revolution_ns * 48 / 100);
	ck_assert_uint_lt(sum / nr, m.profile.revolution_ns * 52 / 100);
}
END_TEST

START_TEST(a_write_that_goes_on_pays_a_turn_and_a_read_does_not)
{
	struct service s;
	uint64_t at_ns = 12345;

	init("hdd7200");
	s = mechanics_plan(&m, at_ns, BIO_READ, 800, 4096);
	mechanics_apply(&m, &s, BIO_READ, 808);
	at_ns += service_ns(&s);
	s = mechanics_plan(&m, at_ns, BIO_READ, 808, 4096);
	ck_assert_uint_eq(s.rotation_ns, 0);
	ck_assert_uint_eq(s.seek_ns, 0);
	s = mechanics_plan(&m, at_ns, BIO_WRITE, 808, 4096);
	ck_assert_uint_gt(s.rotation_ns, m.profile.revolution_ns * 9 / 10);
}
END_TEST

START_TEST(a_transfer_over_the_edge_goes_at_the_tracks_pace)
{
	uint32_t track_bytes;
	struct service one, two;

	init("hdd7200");
	track_bytes = m.profile.sectors_per_track * 512;
	one = mechanics_plan(&m, 0, BIO_READ, 0, track_bytes);
	two = mechanics_plan(&m, 0, BIO_READ, 0, 2 * track_bytes);
	ck_assert_uint_eq(one.travel, 0);
	ck_assert_uint_eq(two.travel, 1);
	ck_assert_uint_eq(two.transfer_ns - one.transfer_ns,
			  m.profile.revolution_ns + m.profile.seek_track_ns);
}
END_TEST

START_TEST(without_an_arm_every_place_is_as_near)
{
	struct service a, b;

	init("nvme");
	a = mechanics_plan(&m, 0, BIO_READ, 0, 4096);
	b = mechanics_plan(&m, 999, BIO_READ, DISK_BYTES / 512 - 8, 4096);
	ck_assert_uint_eq(service_ns(&a), service_ns(&b));
	ck_assert_uint_eq(b.travel, 0);
}
END_TEST

TEST_SUITE(drivers_simmechanics)
{
	tcase_add_loop_test(tc, profiles_are_found_by_their_name_and_make_sense, 0, NR_PROFILES);
	tcase_add_test(tc, a_seek_grows_with_the_way);
	tcase_add_test(tc, random_places_cost_half_a_turn);
	tcase_add_test(tc, a_write_that_goes_on_pays_a_turn_and_a_read_does_not);
	tcase_add_test(tc, a_transfer_over_the_edge_goes_at_the_tracks_pace);
	tcase_add_test(tc, without_an_arm_every_place_is_as_near);
}
