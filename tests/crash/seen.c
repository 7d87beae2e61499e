/* A set of 64-bit hashes: open addressing, doubled when half full. */
#include <stdio.h>
#include <stdlib.h>

#include "crash/lab.h"
#include "crash/need.h"

struct seen {
	uint64_t *slots;	/* 0: empty */
	size_t nr, size;
};

#define SLOTS_AT_FIRST ((size_t)1 << 16)

struct seen *seen_create(void)
{
	struct seen *s = need_memory(calloc(1, sizeof(*s)));

	s->size = SLOTS_AT_FIRST;
	s->slots = need_memory(calloc(s->size, sizeof(s->slots[0])));
	return s;
}

void seen_destroy(struct seen *s)
{
	free(s->slots);
	free(s);
}

static bool put(struct seen *s, uint64_t hash)
{
	size_t at = hash & (s->size - 1);

	while (s->slots[at]) {
		if (s->slots[at] == hash)
			return false;
		at = (at + 1) & (s->size - 1);
	}
	s->slots[at] = hash;
	s->nr++;
	return true;
}

static void grow(struct seen *s)
{
	struct seen larger = {.size = s->size * 2};

	larger.slots = need_memory(calloc(larger.size, sizeof(larger.slots[0])));
	for (size_t i = 0; i < s->size; i++)
		if (s->slots[i])
			put(&larger, s->slots[i]);
	free(s->slots);
	*s = larger;
}

bool seen_add(struct seen *s, uint64_t hash)
{
	if (s->nr * 2 >= s->size)
		grow(s);
	return put(s, hash ? hash : 1);
}

size_t seen_count(const struct seen *s)
{
	return s->nr;
}

bool seen_save(const struct seen *s, const char *path)
{
	FILE *file = fopen(path, "we");
	bool is_good = file != NULL;

	for (size_t i = 0; is_good && i < s->size; i++)
		if (s->slots[i])
			is_good = fwrite(&s->slots[i], sizeof(s->slots[i]), 1, file) == 1;
	return file && fclose(file) == 0 && is_good;
}

bool seen_load(struct seen *s, const char *path)
{
	FILE *file = fopen(path, "re");
	uint64_t hash;

	if (!file)
		return false;
	while (fread(&hash, sizeof(hash), 1, file) == 1)
		seen_add(s, hash);
	return fclose(file) == 0;
}
