/*
 * The names of one directory, and the blocks that would hold them best.
 *
 *	block 0     '.' and '..'; without an index also names, with one the root of the tree
 *	leaves      names by hash, four fifths full, so that the next names split nothing
 *	nodes       where the root has not enough entries for all leaves
 *
 * An entry of the tree whose hash has its lowest bit set says: the leaf before has names of the same
 * hash at its end.
 */
#include "packing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "layout/dirblock.h"
#include "layout/dirhash.h"

#define LEAF_FILL_OF_5 4u

static struct ext_dirent *record_of(const struct packing *p, const struct packed_name *n)
{
	return (void *)(p->old + n->offset);
}

static const char *text_of(const struct ext_dirent *d)
{
	return (const char *)(d + 1);
}

/* ---- names ---- */

static void hash_name(struct packing *p, struct packed_name *n)
{
	const struct ext_dirent *d = record_of(p, n);
	uint32_t seed[4];
	struct dirhash hash;

	dirhash_seed(&p->f->super, seed);
	if (dirhash(dirhash_version(&p->f->super, p->hash_version), seed, text_of(d), d->name_len, &hash))
		hash = (struct dirhash){0};
	n->major = hash.major;
	n->minor = hash.minor;
}

static void add_name(struct packing *p, uint32_t offset)
{
	if (p->nr_names == p->room_names) {
		size_t room = p->room_names * 2 + 256;
		struct packed_name *grown = mem_realloc(p->names, room * sizeof(*grown));

		if (!grown)
			fsck_fail(p->f, "memory", -ENOMEM);
		p->names = grown;
		p->room_names = room;
	}
	p->names[p->nr_names] = (struct packed_name){.offset = offset};
	hash_name(p, &p->names[p->nr_names++]);
}

/* The first two records of block 0 are the directory's own. */
static bool take_block(struct packing *p, size_t nth)
{
	const uint8_t *block = p->old + nth * p->f->geo.block_size;
	unsigned offset = 0, nr = 0;
	struct dirblock_entry e;
	int got;

	while ((got = dirblock_next(&p->f->geo, block, &offset, &e)) == 1) {
		if (nth == 0 && nr++ < 2) {
			p->parent = e.ino;
			continue;
		}
		if (e.ino)
			add_name(p, (uint32_t)(nth * p->f->geo.block_size + e.offset));
	}
	return got == 0;
}

bool packing_take(struct packing *p)
{
	size_t i;

	/* What cannot be hashed for sure gets no index that somebody else could not read. */
	p->hash_version = p->f->super.def_hash_version;
	if (p->hash_version > EXT_HASH_TEA)
		p->hash_version = EXT_HASH_HALF_MD4;
	for (i = 0; i < p->nr_old; i++)
		if (!take_block(p, i))
			return false;
	return p->parent != 0;
}

void packing_done(struct packing *p)
{
	mem_free(p->old);
	mem_free(p->names);
	mem_free(p->made);
}

/* ---- order ---- */

static int compare_text(const struct ext_dirent *x, const struct ext_dirent *y)
{
	unsigned len = min(x->name_len, y->name_len);
	int order = memcmp(text_of(x), text_of(y), len);

	return order ? order : (int)x->name_len - (int)y->name_len;
}

static int by_hash(const void *a, const void *b, void *arg)
{
	const struct packed_name *x = a, *y = b;

	if (x->major != y->major)
		return x->major < y->major ? -1 : 1;
	if (x->minor != y->minor)
		return x->minor < y->minor ? -1 : 1;
	return compare_text(record_of(arg, x), record_of(arg, y));
}

static int by_place(const void *a, const void *b)
{
	const struct packed_name *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void sort_by_hash(struct packing *p)
{
	if (p->nr_names)
		qsort_r(p->names, p->nr_names, sizeof(*p->names), by_hash, p);
}

/* ---- names that are there twice ---- */

static bool is_taken(const struct packing *p, const struct ext_dirent *d)
{
	size_t i;

	for (i = 0; i < p->nr_names; i++) {
		const struct ext_dirent *other = record_of(p, &p->names[i]);

		if (other != d && compare_text(other, d) == 0)
			return true;
	}
	return false;
}

/* The name gets "~00" to "~zz" at its end, as in pass 2. */
static bool rename_name(struct packing *p, struct packed_name *n)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	struct ext_dirent *d = record_of(p, n);
	unsigned room = min(le16_get(d->rec_len) - (unsigned)sizeof(*d), EXT_NAME_LEN);
	unsigned keep = min((unsigned)d->name_len, room - 3), i;
	char *text = (char *)(d + 1);

	d->name_len = (uint8_t)(keep + 3);
	for (i = 0; i < 36 * 36; i++) {
		text[keep] = '~';
		text[keep + 1] = digits[i / 36];
		text[keep + 2] = digits[i % 36];
		if (!is_taken(p, d)) {
			hash_name(p, n);
			p->is_renamed = true;
			return true;
		}
	}
	return false;
}

/* The first name that is like the one before it; NULL: all differ. */
static struct packed_name *find_duplicate(const struct packing *p)
{
	size_t i;

	for (i = 1; i < p->nr_names; i++)
		if (p->names[i].major == p->names[i - 1].major &&
		    compare_text(record_of(p, &p->names[i]), record_of(p, &p->names[i - 1])) == 0)
			return &p->names[i];
	return NULL;
}

bool packing_part_duplicates(struct packing *p)
{
	struct packed_name *n;

	sort_by_hash(p);
	while ((n = find_duplicate(p))) {
		const struct ext_dirent *d = record_of(p, n);
		struct where w = {.ino = le32_get(d->inode),
				  .dir = p->ino,
				  .name = text_of(d),
				  .name_len = d->name_len};

		if (!problem(p->f, ENTRY_DUPLICATE, w) || !rename_name(p, n))
			return false;
		sort_by_hash(p);
	}
	return true;
}

/* ---- blocks ---- */

static uint8_t *block_at(const struct packing *p, size_t nth)
{
	return p->made + nth * p->f->geo.block_size;
}

static size_t add_block(struct packing *p)
{
	if (p->nr_made == p->room_made) {
		size_t room = p->room_made * 2 + 4;
		uint8_t *grown = mem_realloc(p->made, room * p->f->geo.block_size);

		if (!grown)
			fsck_fail(p->f, "memory", -ENOMEM);
		p->made = grown;
		p->room_made = room;
	}
	memset(block_at(p, p->nr_made), 0, p->f->geo.block_size);
	return p->nr_made++;
}

/* Names are put one behind the other; the last record of a block reaches to its end. */
struct filling {
	struct packing *p;
	size_t nth; /* block */
	unsigned used, last; /* bytes used, and where the last record begins */
	unsigned limit;
};

static void end_block(struct filling *f)
{
	struct ext_dirent *d = (void *)(block_at(f->p, f->nth) + f->last);

	d->rec_len = le16_make((uint16_t)(f->p->f->geo.block_size - f->last));
}

static void put_name(struct filling *f, const struct packed_name *n)
{
	const struct ext_dirent *from = record_of(f->p, n);
	struct ext_dirent *d = (void *)(block_at(f->p, f->nth) + f->used);
	unsigned len = dirblock_rec_len(from->name_len);

	memcpy(d, from, sizeof(*d) + from->name_len);
	d->rec_len = le16_make((uint16_t)len);
	f->last = f->used;
	f->used += len;
}

static bool fits(const struct filling *f, const struct packed_name *n)
{
	return f->used + dirblock_rec_len(record_of(f->p, n)->name_len) <= f->limit;
}

static void begin_block(struct filling *f)
{
	f->nth = add_block(f->p);
	f->used = f->last = 0;
}

/* In the order that the names have: who reads on meanwhile misses nothing that he would not anyway. */
static void make_linear(struct packing *p)
{
	struct filling f = {.p = p, .limit = p->f->geo.block_size};
	size_t i;

	qsort(p->names, p->nr_names, sizeof(*p->names), by_place);
	p->nr_made = 0;
	begin_block(&f);
	dirblock_init_dots(&p->f->geo, block_at(p, 0), p->ino, p->parent);
	((struct ext_dirent *)(void *)(p->made + DIRBLOCK_DOTDOT_OFFSET))->rec_len =
		le16_make((uint16_t)dirblock_rec_len(2));
	f.last = DIRBLOCK_DOTDOT_OFFSET;
	f.used = f.last + dirblock_rec_len(2);
	for (i = 0; i < p->nr_names; i++) {
		if (!fits(&f, &p->names[i])) {
			end_block(&f);
			begin_block(&f);
		}
		put_name(&f, &p->names[i]);
	}
	end_block(&f);
	p->is_indexed = false;
}

/* ---- the tree ---- */

static size_t make_leaves(struct packing *p, struct ext_dx_entry *entries)
{
	unsigned size = p->f->geo.block_size;
	struct filling f = {.p = p, .limit = size / 5 * LEAF_FILL_OF_5};
	size_t i, nr = 0;

	for (i = 0; i < p->nr_names; i++) {
		if (i == 0 || !fits(&f, &p->names[i])) {
			uint32_t hash = p->names[i].major;

			if (i) {
				end_block(&f);
				hash |= hash == p->names[i - 1].major;
			}
			begin_block(&f);
			entries[nr].hash = le32_make(i ? hash : 0);
			entries[nr++].block = le32_make((uint32_t)f.nth);
		}
		put_name(&f, &p->names[i]);
	}
	end_block(&f);
	return nr;
}

/* The count and limit lie over the hash of the first entry, which is not looked at. */
static void put_entries(uint8_t *block, unsigned offset, unsigned room, const struct ext_dx_entry *entries,
			size_t count)
{
	struct ext_dx_countlimit head = {.limit = le16_make((uint16_t)room),
					 .count = le16_make((uint16_t)count)};

	memcpy(block + offset, entries, count * sizeof(*entries));
	memcpy(block + offset, &head, sizeof(head));
}

/* Returns how many nodes; entries then name the nodes. */
static size_t make_nodes(struct packing *p, struct ext_dx_entry *entries, size_t count, unsigned room)
{
	size_t i, nr = 0, part;

	for (i = 0; i < count; i += part) {
		size_t nth = add_block(p);
		struct ext_dx_node *node = (void *)block_at(p, nth);

		part = min(count - i, (size_t)room);
		node->fake.rec_len = le16_make((uint16_t)p->f->geo.block_size);
		put_entries((uint8_t *)node, sizeof(*node), room, entries + i, part);
		entries[nr].hash = entries[i].hash;
		entries[nr++].block = le32_make((uint32_t)nth);
	}
	return nr;
}

static bool make_indexed(struct packing *p)
{
	unsigned size = p->f->geo.block_size;
	unsigned root_room = (size - (unsigned)sizeof(struct ext_dx_root)) / sizeof(struct ext_dx_entry);
	unsigned node_room = (size - (unsigned)sizeof(struct ext_dx_node)) / sizeof(struct ext_dx_entry);
	struct ext_dx_entry *entries = fsck_alloc(p->f, (p->nr_names + 1) * sizeof(*entries));
	unsigned levels = 0;
	size_t nr;

	sort_by_hash(p);
	p->nr_made = 0;
	add_block(p);
	nr = make_leaves(p, entries);
	if (nr > root_room) {
		nr = make_nodes(p, entries, nr, node_room);
		levels = 1;
	}
	if (nr <= root_room) {
		struct ext_dx_root *root = (void *)p->made;

		dirblock_init_dots(&p->f->geo, root, p->ino, p->parent);
		root->info.hash_version = (uint8_t)p->hash_version;
		root->info.info_length = sizeof(root->info);
		root->info.indirect_levels = (uint8_t)levels;
		put_entries(p->made, sizeof(*root), root_room, entries, nr);
	}
	mem_free(entries);
	p->is_indexed = true;
	return nr <= root_room;
}

bool packing_make(struct packing *p)
{
	make_linear(p);
	if (p->nr_made == 1 || !p->f->geo.has_dir_index)
		return true;
	return make_indexed(p);
}
