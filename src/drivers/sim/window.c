/*
 * Windows: a table of slots.
 *
 *	bus address   63         41 40      24 23           0
 *	              | generation  | slot + 1 | offset       |
 *
 * Slot + 1, so that no address is 0 and a forgotten one faults.
 */
#include "window.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define OFFSET_BITS 24
#define SLOT_BITS 17
#define GENERATION_BITS (64 - OFFSET_BITS - SLOT_BITS)

struct window {
	char *base;		/* NULL: closed */
	uint32_t len_bytes, rights;
	uint32_t generation;	/* of the address it has, or had last */
};

struct windows {
	uint32_t nr_max;	/* [none: set once] */
	struct mutex lock;	/* RANK_LEAF */
	struct window *slots;	/* [lock] */
	uint32_t *free;		/* [lock] a stack of closed slots */
	uint32_t nr_free;	/* [lock] */
};

struct windows *windows_create(uint32_t nr_max)
{
	struct windows *ws = mem_zalloc(sizeof(*ws));

	must(nr_max < (1u << SLOT_BITS) - 1);
	if (!ws)
		return NULL;
	mutex_init(&ws->lock, RANK_LEAF, "sim windows");
	ws->nr_max = nr_max;
	ws->slots = mem_zalloc(nr_max * sizeof(*ws->slots));
	ws->free = mem_alloc(nr_max * sizeof(*ws->free));
	if (!ws->slots || !ws->free) {
		windows_destroy(ws);
		return NULL;
	}
	for (uint32_t i = nr_max; i--;)
		ws->free[ws->nr_free++] = i;
	return ws;
}

void windows_destroy(struct windows *ws)
{
	if (!ws)
		return;
	mem_free(ws->slots);
	mem_free(ws->free);
	mutex_done(&ws->lock);
	mem_free(ws);
}

uint32_t windows_nr_open(struct windows *ws)
{
	uint32_t nr;

	mutex_lock(&ws->lock);
	nr = ws->nr_max - ws->nr_free;
	mutex_unlock(&ws->lock);
	return nr;
}

static bus_addr_t address_of(uint32_t slot, uint32_t generation)
{
	return (uint64_t)generation << (OFFSET_BITS + SLOT_BITS) | (uint64_t)(slot + 1) << OFFSET_BITS;
}

/* The open window of this address; NULL when there is none. */
static struct window *window_find(struct windows *ws, bus_addr_t address) needs(ws->lock)
{
	uint64_t slot = (address >> OFFSET_BITS & ((1u << SLOT_BITS) - 1)) - 1;
	struct window *w;

	if (slot >= ws->nr_max)
		return NULL;
	w = &ws->slots[slot];
	if (!w->base || w->generation != address >> (OFFSET_BITS + SLOT_BITS))
		return NULL;
	return w;
}

int window_map(struct windows *ws, void *base, uint32_t len_bytes, uint32_t rights, bus_addr_t *ret)
{
	struct window *w;
	uint32_t slot;

	must(len_bytes > 0);
	must(len_bytes <= WINDOW_BYTES_MAX);
	mutex_lock(&ws->lock);
	if (ws->nr_free == 0) {
		mutex_unlock(&ws->lock);
		return -ENOSPC;
	}
	slot = ws->free[--ws->nr_free];
	w = &ws->slots[slot];
	w->base = base;
	w->len_bytes = len_bytes;
	w->rights = rights;
	w->generation = (w->generation + 1) & ((1u << GENERATION_BITS) - 1);
	*ret = address_of(slot, w->generation);
	mutex_unlock(&ws->lock);
	return 0;
}

void window_unmap(struct windows *ws, bus_addr_t address)
{
	struct window *w;

	mutex_lock(&ws->lock);
	w = window_find(ws, address);
	must(w);	/* the driver's own bug: never mapped, or unmapped twice */
	w->base = NULL;
	ws->free[ws->nr_free++] = (uint32_t)(w - ws->slots);
	mutex_unlock(&ws->lock);
}

/* The memory behind [address, address + len), when all of it lies in one window with this right. */
static char *translate(struct windows *ws, bus_addr_t address, uint32_t len_bytes, uint32_t right)
	needs(ws->lock)
{
	struct window *w = window_find(ws, address);
	uint32_t offset = (uint32_t)address & (WINDOW_BYTES_MAX - 1);

	if (!w || !(w->rights & right) || offset > w->len_bytes || len_bytes > w->len_bytes - offset)
		return NULL;
	return w->base + offset;
}

int window_load(struct windows *ws, bus_addr_t from, void *to, uint32_t len_bytes)
{
	char *memory;

	mutex_lock(&ws->lock);
	memory = translate(ws, from, len_bytes, WINDOW_DEVICE_READS);
	if (memory)
		memcpy(to, memory, len_bytes);
	mutex_unlock(&ws->lock);
	return memory ? 0 : -EFAULT;
}

int window_store(struct windows *ws, bus_addr_t to, const void *from, uint32_t len_bytes)
{
	char *memory;

	mutex_lock(&ws->lock);
	memory = translate(ws, to, len_bytes, WINDOW_DEVICE_WRITES);
	if (memory)
		memcpy(memory, from, len_bytes);
	mutex_unlock(&ws->lock);
	return memory ? 0 : -EFAULT;
}

int window_post(struct windows *ws, bus_addr_t to, const uint32_t words[COMPLETION_WORDS])
{
	struct sim_completion *entry;

	mutex_lock(&ws->lock);
	entry = (struct sim_completion *)(void *)translate(ws, to, sizeof(*entry),
							   WINDOW_DEVICE_WRITES);
	if (entry)
		for (unsigned i = 0; i < COMPLETION_WORDS; i++)
			reg_store(&entry->words[i], words[i]);
	mutex_unlock(&ws->lock);
	return entry ? 0 : -EFAULT;
}
