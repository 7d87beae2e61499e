#include "holes.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

#define ROOM_FIRST 16u

void holes_done(struct holes *h)
{
	mem_free(h->list);
	*h = (struct holes){NULL, 0, 0};
}

/* The first hole that ends at `at` or behind it; nr when there is none. */
static size_t first_ending_from(const struct holes *h, uint64_t at)
{
	size_t low = 0, high = h->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (h->list[mid].end < at)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int make_room(struct holes *h)
{
	size_t nr_room = h->nr_room ? 2 * h->nr_room : ROOM_FIRST;
	struct hole *list;

	if (h->nr < h->nr_room)
		return 0;
	list = mem_realloc(h->list, nr_room * sizeof(*list));
	if (!list)
		return -ENOMEM;
	h->list = list;
	h->nr_room = nr_room;
	return 0;
}

int holes_add(struct holes *h, uint64_t start, uint64_t len)
{
	struct hole hole = {start, start + len};
	size_t first, last;
	int err = make_room(h);

	if (err)
		return err;
	/* Those it touches, [first, last), become one with it. */
	first = first_ending_from(h, start);
	for (last = first; last < h->nr && h->list[last].start <= hole.end; last++) {
		hole.start = min(hole.start, h->list[last].start);
		hole.end = max(hole.end, h->list[last].end);
	}
	memmove(&h->list[first + 1], &h->list[last], (h->nr - last) * sizeof(hole));
	h->list[first] = hole;
	h->nr = h->nr - (last - first) + 1;
	return 0;
}

uint64_t holes_run(const struct holes *h, uint64_t start, uint64_t len, bool *ret_is_hole)
{
	size_t i = first_ending_from(h, start + 1);	/* the first that ends behind start */

	*ret_is_hole = i < h->nr && h->list[i].start <= start;
	if (*ret_is_hole)
		return min(len, h->list[i].end - start);
	return i < h->nr ? min(len, h->list[i].start - start) : len;
}
