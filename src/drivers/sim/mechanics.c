/*
 * Arm, platter, and the devices that have neither.
 *
 * A cylinder is one track here (one head), and the media fills the whole stroke: a small image
 * on this disk is a small disk, not a corner of a large one, so that schedulers have something
 * to order on it.
 *
 *	seek        t(d) = track + (full - track) * (0.6 sqrt(x) + 0.4 x),   x = d / stroke
 *	            the root for the stretch in which the arm speeds up, the line for the rest
 *	rotation    the platter turns with the clock; the head waits for the first sector
 *	skew        track n+1 begins later on the circle by the time of a seek of one track, so that
 *	            a transfer across the edge goes on without losing a turn
 *	transfer    as fast as the sectors pass
 *
 * A read that goes on where the last read ended needs no rotation: the drive has read on into its
 * buffer meanwhile.
 */
#include "mechanics.h"

#include <string.h>

#include "base/clock.h"

#define SEEK_SCALE 1000000ull	/* x and its root are counted in millionths */

/* 7200 per minute, 2,560 sectors a track: 150 MiB/s; a third of the stroke takes about 8 ms. */
static const struct sim_profile profiles[] = {
	{
		.name = "hdd5400", .revolution_ns = 60 * NSEC_PER_SEC / 5400, .sectors_per_track = 2048,
		.seek_track_ns = 1200000, .seek_full_ns = 22000000, .command_ns = 50000,
		.bytes_per_ms = 300000, .flush_ns = 1000000, .nr_channels = 1, .depth = 32,
		.picks_nearest = true,
	},
	{
		.name = "hdd7200", .revolution_ns = 60 * NSEC_PER_SEC / 7200, .sectors_per_track = 2560,
		.seek_track_ns = 800000, .seek_full_ns = 16000000, .command_ns = 30000,
		.bytes_per_ms = 600000, .flush_ns = 1000000, .nr_channels = 1, .depth = 32,
		.picks_nearest = true,
	},
	{
		.name = "ssd", .read_ns = 80000, .write_ns = 40000, .bytes_per_ms = 550000,
		.command_ns = 5000, .flush_ns = 500000, .nr_channels = 8, .depth = 32,
	},
	{
		.name = "nvme", .read_ns = 15000, .write_ns = 10000, .bytes_per_ms = 3000000,
		.command_ns = 1000, .flush_ns = 100000, .nr_channels = 32, .depth = 256,
	},
};

const struct sim_profile *sim_profile_at(size_t index)
{
	return index < array_size(profiles) ? &profiles[index] : NULL;
}

const struct sim_profile *sim_profile_find(const char *name)
{
	for (size_t i = 0; i < array_size(profiles); i++)
		if (strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	return NULL;
}

bool mechanics_has_arm(const struct mechanics *m)
{
	return m->profile.revolution_ns != 0;
}

void mechanics_init(struct mechanics *m, const struct sim_profile *profile, uint64_t size_bytes)
{
	*m = (struct mechanics){.profile = *profile, .next_sector = UINT64_MAX};
	if (mechanics_has_arm(m))
		m->nr_cylinders =
			div_round_up(size_bytes, (uint64_t)profile->sectors_per_track * SECTOR_SIZE);
}

uint64_t mechanics_cylinder(const struct mechanics *m, sector_t sector)
{
	return mechanics_has_arm(m) ? sector / m->profile.sectors_per_track : 0;
}

/* The largest r with r * r <= n. */
static uint64_t root_floor(uint64_t n)
{
	uint64_t r = 0;

	for (uint64_t bit = 1ull << 31; bit; bit >>= 1)
		if ((r + bit) * (r + bit) <= n)
			r += bit;
	return r;
}

uint64_t mechanics_seek_ns(const struct mechanics *m, uint64_t cylinders)
{
	uint64_t stroke = m->nr_cylinders > 1 ? m->nr_cylinders - 1 : 1;
	uint64_t x, root, share;

	if (cylinders == 0)
		return 0;
	x = min(cylinders, stroke) * SEEK_SCALE / stroke;
	root = root_floor(x * SEEK_SCALE);
	share = (6 * root + 4 * x) / 10;
	return m->profile.seek_track_ns +
	       (m->profile.seek_full_ns - m->profile.seek_track_ns) * share / SEEK_SCALE;
}

static uint64_t sector_ns(const struct mechanics *m, uint64_t sectors)
{
	return sectors * m->profile.revolution_ns / m->profile.sectors_per_track;
}

/* Where on the circle a sector begins, as the time the platter needs to it from its zero mark. */
static uint64_t angle_ns(const struct mechanics *m, sector_t sector)
{
	uint64_t cylinder = mechanics_cylinder(m, sector);
	uint64_t skew = cylinder * m->profile.seek_track_ns;

	return (sector_ns(m, sector % m->profile.sectors_per_track) + skew) % m->profile.revolution_ns;
}

static uint64_t rotation_wait_ns(const struct mechanics *m, uint64_t at_ns, sector_t sector)
{
	uint64_t turn = m->profile.revolution_ns;

	return (angle_ns(m, sector) + turn - at_ns % turn) % turn;
}

static struct service plan_arm(const struct mechanics *m, uint64_t start_ns, enum bio_op op,
			       sector_t sector, uint32_t size_bytes)
{
	uint64_t first = mechanics_cylinder(m, sector), nr_sectors = size_bytes >> SECTOR_SHIFT;
	uint64_t last = mechanics_cylinder(m, sector + nr_sectors - 1);
	struct service s = {.cylinder = last};
	uint64_t distance = first > m->cylinder ? first - m->cylinder : m->cylinder - first;

	s.travel = distance + (last - first);
	s.seek_ns = mechanics_seek_ns(m, distance);
	if (op != BIO_READ || !m->was_read || sector != m->next_sector)
		s.rotation_ns =
			rotation_wait_ns(m, start_ns + m->profile.command_ns + s.seek_ns, sector);
	s.transfer_ns = m->profile.command_ns + sector_ns(m, nr_sectors) +
			(last - first) * m->profile.seek_track_ns;
	return s;
}

struct service mechanics_plan(const struct mechanics *m, uint64_t start_ns, enum bio_op op,
			      sector_t sector, uint32_t size_bytes)
{
	struct service s = {.cylinder = m->cylinder, .transfer_ns = m->profile.command_ns};

	if (op == BIO_FLUSH || op == BIO_DISCARD) {
		s.transfer_ns += op == BIO_FLUSH ? m->profile.flush_ns : 0;
		return s;
	}
	if (mechanics_has_arm(m))
		return plan_arm(m, start_ns, op, sector, size_bytes);
	/* The bytes on the link are the device's to add: commands share it. */
	s.transfer_ns += op == BIO_READ ? m->profile.read_ns : m->profile.write_ns;
	return s;
}

void mechanics_apply(struct mechanics *m, const struct service *s, enum bio_op op, sector_t end)
{
	m->cylinder = s->cylinder;
	if (op == BIO_FLUSH || op == BIO_DISCARD)
		return;
	m->next_sector = end;
	m->was_read = op == BIO_READ;
}
