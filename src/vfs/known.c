/*
 * Counts by inode number, in pieces: numbers in use lie close together, as each group of the disk
 * fills its table from the start.
 */
#include "known.h"

#include <errno.h>

#include "base/assert.h"
#include "base/mem.h"

#define PIECE_COUNTS 256u

struct piece {
	uint32_t nr_set;		/* counts that are not 0; a piece without any is freed */
	uint32_t counts[PIECE_COUNTS];
};

void known_init(struct radix *known)
{
	radix_init(known);
}

void known_done(struct radix *known)
{
	void *pieces[16];
	uint64_t from = 0, index[16];
	size_t nr;

	do {
		nr = radix_gather(known, from, UINT64_MAX, pieces, index, array_size(pieces));
		for (size_t i = 0; i < nr; i++)
			mem_free(pieces[i]);
		from = nr > 0 ? index[nr - 1] + 1 : 0;
	} while (nr == array_size(pieces));
	radix_done(known);
}

static int piece_make(struct radix *known, inr_t ino, struct piece **ret_piece)
{
	struct piece *piece = mem_zalloc(sizeof(*piece));
	int err;

	if (!piece)
		return -ENOMEM;
	err = radix_insert(known, ino / PIECE_COUNTS, piece);
	if (err) {
		mem_free(piece);
		return err;
	}
	*ret_piece = piece;
	return 0;
}

int known_put(struct radix *known, inr_t ino, uint64_t count)
{
	struct piece *piece = radix_find(known, ino / PIECE_COUNTS);
	int err;

	if (count > UINT32_MAX)
		return -ENOMEM;
	if (count == 0)
		return 0;
	if (!piece) {
		err = piece_make(known, ino, &piece);
		if (err)
			return err;
	}
	must(piece->counts[ino % PIECE_COUNTS] == 0);
	piece->counts[ino % PIECE_COUNTS] = (uint32_t)count;
	piece->nr_set++;
	return 0;
}

static void set_count(struct radix *known, struct piece *piece, inr_t ino, uint32_t count)
{
	piece->counts[ino % PIECE_COUNTS] = count;
	if (count == 0 && --piece->nr_set == 0) {
		radix_remove(known, ino / PIECE_COUNTS);
		mem_free(piece);
	}
}

uint64_t known_take(struct radix *known, inr_t ino)
{
	struct piece *piece = radix_find(known, ino / PIECE_COUNTS);
	uint32_t count = piece ? piece->counts[ino % PIECE_COUNTS] : 0;

	if (count > 0)
		set_count(known, piece, ino, 0);
	return count;
}

void known_lower(struct radix *known, inr_t ino, uint64_t by)
{
	struct piece *piece = radix_find(known, ino / PIECE_COUNTS);
	uint32_t count = piece ? piece->counts[ino % PIECE_COUNTS] : 0;

	if (count > 0)
		set_count(known, piece, ino, by < count ? count - (uint32_t)by : 0);
}
