/* Attribute blocks and their references: a table with open places, at most three quarters full. */
#include "refs.h"

#include "base/hash.h"
#include "base/mem.h"

#define ROOM_MIN 256u

struct xattr_refs {
	struct xattr_ref *slots; /* block 0: free */
	size_t count, room; /* room is a power of two */
};

struct xattr_refs *refs_create(void)
{
	struct xattr_refs *r = mem_zalloc(sizeof(*r));

	if (!r)
		return NULL;
	r->room = ROOM_MIN;
	r->slots = mem_zalloc(r->room * sizeof(*r->slots));
	if (!r->slots) {
		mem_free(r);
		return NULL;
	}
	return r;
}

void refs_destroy(struct xattr_refs *r)
{
	if (!r)
		return;
	mem_free(r->slots);
	mem_free(r);
}

/* The block's place, or the free one where it belongs. */
static struct xattr_ref *place_of(struct xattr_ref *slots, size_t room, uint32_t block)
{
	size_t i = hash_u64(block) & (room - 1);

	while (slots[i].block && slots[i].block != block)
		i = (i + 1) & (room - 1);
	return &slots[i];
}

static bool grow(struct xattr_refs *r)
{
	struct xattr_ref *slots = mem_zalloc(2 * r->room * sizeof(*slots));
	size_t i;

	if (!slots)
		return false;
	for (i = 0; i < r->room; i++)
		if (r->slots[i].block)
			*place_of(slots, 2 * r->room, r->slots[i].block) = r->slots[i];
	mem_free(r->slots);
	r->slots = slots;
	r->room *= 2;
	return true;
}

struct xattr_ref *refs_find(const struct xattr_refs *r, fsblk_t block)
{
	struct xattr_ref *ref = place_of(r->slots, r->room, (uint32_t)block);

	return ref->block ? ref : NULL;
}

struct xattr_ref *refs_add(struct xattr_refs *r, fsblk_t block, uint32_t claimed)
{
	struct xattr_ref *ref;

	if (r->count >= r->room / 4 * 3 && !grow(r))
		return NULL;
	ref = place_of(r->slots, r->room, (uint32_t)block);
	*ref = (struct xattr_ref){.block = (uint32_t)block, .claimed = claimed, .counted = 1};
	r->count++;
	return ref;
}

struct xattr_ref *refs_next(const struct xattr_refs *r, size_t *at)
{
	while (*at < r->room)
		if (r->slots[(*at)++].block)
			return &r->slots[*at - 1];
	return NULL;
}
