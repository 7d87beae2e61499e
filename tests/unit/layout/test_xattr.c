/*
 * An area behaves as a map from names to values: random changes agree with a model, X1 to X3 hold after
 * each, what does not fit changes nothing. The gate refuses every broken area, no bytes do harm, and what
 * debugfs writes is read, with the same hashes.
 */
#include "layout/xattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "unit/layout/fixture.h"

#define MODEL_MAX 200
#define VALUE_MAX 300

struct model_entry {
	uint8_t index;
	unsigned len;
	char name[16];
	uint32_t size;
	uint8_t value[VALUE_MAX];
};

struct model {
	struct model_entry entries[MODEL_MAX];
	unsigned count;
};

static void assert_possible(const struct xattr_area *area)
{
	char why[WHY_SIZE];

	ck_assert_msg(xattr_check(area, why, sizeof(why)) == 0, "%s", why);
}

/* X3: sorted, and each entry hashed right. */
static void assert_block_order(const struct xattr_area *area)
{
	struct xattr_entry before = {0}, e;
	unsigned offset = area->entries_offset;

	while (xattr_next(area, &offset, &e)) {
		const struct ext_xattr_entry *raw = (const void *)(area->base + e.offset);

		ck_assert_uint_eq(le32_get(raw->hash),
				  xattr_entry_hash(e.name, e.name_len, e.value, e.value_size));
		ck_assert_uint_ge(e.name_index, before.name_index);
		if (e.name_index == before.name_index) {
			ck_assert_uint_ge(e.name_len, before.name_len);
			if (e.name_len == before.name_len)
				ck_assert_int_gt(memcmp(e.name, before.name, e.name_len), 0);
		}
		before = e;
	}
}

static struct model_entry *model_find(struct model *m, const struct model_entry *wanted)
{
	unsigned i;

	for (i = 0; i < m->count; i++)
		if (m->entries[i].index == wanted->index && m->entries[i].len == wanted->len &&
		    memcmp(m->entries[i].name, wanted->name, wanted->len) == 0)
			return &m->entries[i];
	return NULL;
}

static void assert_same(const struct xattr_area *area, struct model *m)
{
	unsigned offset = area->entries_offset, seen = 0, i;
	unsigned used = 0;
	struct xattr_entry e;

	assert_possible(area);
	if (area->place == XATTR_IN_BLOCK) {
		assert_block_order(area);
		ck_assert_uint_eq(le32_get(((struct ext_xattr_header *)(void *)area->base)->hash),
				  xattr_block_hash(area));
	}
	while (xattr_next(area, &offset, &e))
		seen++;
	ck_assert_uint_eq(seen, m->count);
	for (i = 0; i < m->count; i++) {
		struct model_entry *entry = &m->entries[i];

		ck_assert_int_eq(xattr_find(area, entry->index, entry->name, entry->len, &e), 0);
		ck_assert_uint_eq(e.value_size, entry->size);
		ck_assert_int_eq(memcmp(e.value, entry->value, entry->size), 0);
		used += xattr_bytes_needed(entry->len, entry->size);
	}
	/* No byte is lost to gaps. */
	ck_assert_uint_eq(xattr_free_bytes(area) + used, area->size - area->entries_offset - 4);
	ck_assert_int_eq(xattr_is_empty(area), m->count == 0);
}

static void random_entry(struct rand *r, struct model_entry *ret)
{
	unsigned i;

	ret->index = 1 + (uint8_t)rand_below(r, 7);
	ret->len = (unsigned)rand_below(r, 4);
	for (i = 0; i < ret->len; i++)
		ret->name[i] = (char)(rand_one_in(r, 5) ? 0xc3 : 'a' + rand_below(r, 3));
	ret->size = (uint32_t)rand_below(r, rand_one_in(r, 4) ? VALUE_MAX : 20);
	rand_fill(r, ret->value, ret->size);
}

static void random_set(const struct xattr_area *area, struct model *m, struct rand *r)
{
	uint8_t *before = malloc(area->size);
	struct model_entry entry, *old;
	unsigned room = xattr_free_bytes(area);
	bool fits;
	int err;

	random_entry(r, &entry);
	old = model_find(m, &entry);
	if (old)
		room += xattr_bytes_needed(old->len, old->size);
	fits = xattr_bytes_needed(entry.len, entry.size) <= room;
	memcpy(before, area->base, area->size);
	err = xattr_set(area, entry.index, entry.name, entry.len, entry.value, entry.size);
	ck_assert_int_eq(err, fits ? 0 : -ENOSPC);
	if (err)
		ck_assert_int_eq(memcmp(before, area->base, area->size), 0);
	else if (old)
		*old = entry;
	else
		m->entries[m->count++] = entry;
	free(before);
}

static void random_remove(const struct xattr_area *area, struct model *m, struct rand *r)
{
	struct model_entry entry, *old;

	random_entry(r, &entry);
	if (m->count && rand_one_in(r, 2))
		entry = m->entries[rand_below(r, m->count)];
	old = model_find(m, &entry);
	ck_assert_int_eq(xattr_remove(area, entry.index, entry.name, entry.len), old ? 0 : -ENODATA);
	if (old)
		*old = m->entries[--m->count];
}

static void change_at_random(const struct xattr_area *area)
{
	struct model *m = calloc(1, sizeof(*m));
	struct rand r;
	unsigned n;

	rand_init(&r, test_seed());
	for (n = 0; n < 8000; n++) {
		if (rand_one_in(&r, n / 300 % 2 ? 2 : 5))
			random_remove(area, m, &r);
		else
			random_set(area, m, &r);
		assert_same(area, m);
	}
	while (m->count)
		random_remove(area, m, &r);
	for (n = area->entries_offset; n < area->size; n++)
		ck_assert_uint_eq(area->base[n], 0);	/* nothing is left of what was removed */
	free(m);
}

START_TEST(a_block_is_a_map)
{
	struct geometry geo = make_geometry(1024u << _i, 128, 2);
	void *block = malloc(geo.block_size);
	struct xattr_area area;

	xattr_block_init(&geo, block, &area);
	change_at_random(&area);
	free(block);
}
END_TEST

START_TEST(the_end_of_an_inode_is_a_map)
{
	struct geometry geo = make_geometry(4096, 256u << _i, 2);
	struct ext_inode *inode = calloc(1, geo.inode_size);
	struct xattr_area area;

	inode->extra_isize = le16_make(32);
	inode->version_hi = le32_make(0x12345678);
	ck_assert_int_eq(xattr_area_in_inode(&geo, inode, &area), -ENODATA);
	ck_assert_int_eq(xattr_inode_init(&geo, inode, &area), 0);
	ck_assert_int_eq(xattr_area_in_inode(&geo, inode, &area), 0);
	ck_assert_uint_eq(area.size, geo.inode_size - 128 - 32 - 4);
	change_at_random(&area);
	ck_assert_uint_eq(le32_get(inode->version_hi), 0x12345678);
	free(inode);
}
END_TEST

START_TEST(inodes_without_room_have_no_area)
{
	struct geometry small = make_geometry(1024, 128, 2), large = make_geometry(1024, 256, 2);
	struct ext_inode *inode = calloc(1, 256);
	static const uint16_t extras[] = {0, 30, 124, 128, 0xfffc};
	struct xattr_area area;
	size_t i;

	ck_assert_int_eq(xattr_area_in_inode(&small, inode, &area), -ENODATA);
	ck_assert_int_eq(xattr_inode_init(&small, inode, &area), -ENOSPC);
	for (i = 0; i < array_size(extras); i++) {
		inode->extra_isize = le16_make(extras[i]);
		ck_assert_int_eq(xattr_area_in_inode(&large, inode, &area), -ENODATA);
		ck_assert_int_eq(xattr_inode_init(&large, inode, &area), -ENOSPC);
	}
	free(inode);
}
END_TEST

START_TEST(equal_blocks_are_seen_whatever_their_history)
{
	struct geometry geo = make_geometry(1024, 128, 2);
	struct ext_xattr_header *a = malloc(1024), *b = malloc(1024);
	struct xattr_area area_a, area_b;

	xattr_block_init(&geo, a, &area_a);
	xattr_block_init(&geo, b, &area_b);
	ck_assert_int_eq(xattr_set(&area_a, 1, "one", 3, "1", 1), 0);
	ck_assert_int_eq(xattr_set(&area_a, 1, "two", 3, "22", 2), 0);
	ck_assert_int_eq(xattr_set(&area_b, 1, "two", 3, "22", 2), 0);
	ck_assert(!xattr_block_equal(&geo, a, b));
	ck_assert_int_eq(xattr_set(&area_b, 1, "one", 3, "1", 1), 0);
	b->refcount = le32_make(5);
	ck_assert(xattr_block_equal(&geo, a, b));
	ck_assert_uint_eq(le32_get(a->hash), le32_get(b->hash));
	ck_assert_int_eq(xattr_set(&area_b, 1, "one", 3, "2", 1), 0);
	ck_assert(!xattr_block_equal(&geo, a, b));
	ck_assert_uint_ne(le32_get(a->hash), le32_get(b->hash));
	free(b);
	free(a);
}
END_TEST

/* ---- the gate ---- */

#define REFUSED(change, word)                                                          \
	do {                                                                           \
		xattr_block_init(&geo, block, &area);                                  \
		ck_assert_int_eq(xattr_set(&area, 1, "name", 4, "value", 5), 0);       \
		ck_assert_int_eq(xattr_set(&area, 1, "other", 5, "12345678", 8), 0);   \
		change;                                                                \
		ck_assert_int_eq(xattr_check(&area, why, sizeof(why)), -EUCLEAN);      \
		ck_assert_msg(strstr(why, word) != NULL, "%s is not in: %s", word, why); \
	} while (0)

START_TEST(each_impossible_field_is_refused)
{
	struct geometry geo = make_geometry(1024, 128, 2);
	uint8_t *block = malloc(1024);
	struct ext_xattr_header *header = (void *)block;
	struct ext_xattr_entry *entry = (void *)(block + 32);
	struct xattr_area area;
	char why[WHY_SIZE];

	REFUSED(header->magic = le32_make(0xea010000), "magic");
	REFUSED(header->blocks = le32_make(2), "2 blocks");
	REFUSED(header->refcount = le32_make(0), "no inode");
	REFUSED(block[32 + 16] = 0, "zero in its name");
	REFUSED(entry->value_inum = le32_make(12), "in inode 12");
	REFUSED(entry->value_offs = le16_make(1023), "value of");
	REFUSED(entry->value_offs = le16_make(1020), "value of");
	REFUSED(entry->value_offs = le16_make(1024), "value of");
	REFUSED(entry->value_offs = le16_make(0xfffc), "value of");
	REFUSED(entry->value_offs = le16_make(76), "value of");	/* over the terminator */
	REFUSED(entry->value_offs = le16_make(1008), "over another");
	REFUSED(entry->value_size = le32_make(9), "value of");
	REFUSED(entry->value_size = le32_make(0xffffffff), "value of");
	REFUSED(entry->value_size = le32_make(0xfffffffd), "value of");
	REFUSED(memset(block + 32, 1, 1024 - 32), "");
	REFUSED(area.size = 79, "runs out");	/* no room for the terminator */
	REFUSED(area.size = 70, "runs out");
	REFUSED(area.size = 33, "runs out");
	free(block);
}
END_TEST

static void use_all(const struct xattr_area *area, struct rand *r)
{
	char why[WHY_SIZE];
	struct model_entry entry;
	struct xattr_entry e;
	unsigned n;

	if (xattr_check(area, why, sizeof(why)) != 0)
		return;
	xattr_block_hash(area);
	xattr_free_bytes(area);
	for (n = 0; n < 4; n++) {
		random_entry(r, &entry);
		ignore(xattr_find(area, entry.index, entry.name, entry.len, &e), "any bytes");
		ignore(xattr_set(area, entry.index, entry.name, entry.len, entry.value, entry.size),
		       "any bytes");
		assert_possible(area);
		random_entry(r, &entry);
		ignore(xattr_remove(area, entry.index, entry.name, entry.len), "any bytes");
		assert_possible(area);
	}
}

START_TEST(no_bytes_do_harm)
{
	struct geometry geo = make_geometry(1024, 256, 2);
	uint8_t *bytes = malloc(_i ? 1024 : 256);
	struct model_entry entry;
	struct xattr_area area;
	struct rand r;
	unsigned n, i;

	rand_init(&r, test_seed());
	for (n = 0; n < 20000; n++) {
		if (_i) {
			xattr_block_init(&geo, bytes, &area);
		} else {
			memset(bytes, 0, 256);
			((struct ext_inode *)bytes)->extra_isize = le16_make(32);
			ck_assert_int_eq(xattr_inode_init(&geo, bytes, &area), 0);
		}
		for (i = (unsigned)rand_below(&r, 8); i; i--) {
			random_entry(&r, &entry);
			ignore(xattr_set(&area, entry.index, entry.name, entry.len, entry.value,
					 entry.size), "until full");
		}
		for (i = 1 + (unsigned)rand_below(&r, 4); i; i--)
			area.base[rand_below(&r, rand_one_in(&r, 2) ? 64 : area.size)] =
				(uint8_t)rand_u64(&r);
		use_all(&area, &r);
	}
	free(bytes);
}
END_TEST

/* ---- other people's attributes ---- */

static void assert_value(const struct xattr_area *area, const char *name, const char *value)
{
	struct xattr_entry e;

	ck_assert_int_eq(xattr_find(area, EXT_XATTR_INDEX_USER, name, (unsigned)strlen(name), &e), 0);
	ck_assert_uint_eq(e.value_size, strlen(value));
	ck_assert_int_eq(memcmp(e.value, value, e.value_size), 0);
}

START_TEST(attributes_of_debugfs_are_read_with_their_hashes)
{
	static const char long_value[] = "a-value-that-does-not-fit-into-the-rest-of-an-inode-of-256-bytes"
					 "-because-it-is-longer-than-what-is-left-of-it";
	struct e2fs_image image = make_image("-t ext2 -b 1024 -I 256", 8 << 20);
	struct geometry geo = image_geometry(&image);
	_Alignas(8) uint8_t inode[1024], block[1024];
	struct xattr_area area;
	char command[600], why[WHY_SIZE];

	snprintf(command, sizeof(command), "printf 'mkdir d\\nea_set d user.small tiny\\n"
		 "ea_set d user.big %s\\nea_set d user.abc 12345\\nea_set d user.zz %s\\n'"
		 " | debugfs -w -f - %s", long_value, long_value, image.path);
	e2fs_run_quietly(command);
	image_inode(&image, &geo, 12, inode);
	ck_assert_int_eq(xattr_area_in_inode(&geo, inode, &area), 0);
	ck_assert_msg(xattr_check(&area, why, sizeof(why)) == 0, "%s", why);
	assert_value(&area, "small", "tiny");

	image_block(&image, &geo, le32_get(((struct ext_inode *)inode)->file_acl), block);
	area = xattr_area_in_block(&geo, block);
	ck_assert_msg(xattr_check(&area, why, sizeof(why)) == 0, "%s", why);
	assert_value(&area, "big", long_value);
	assert_block_order(&area);	/* the block's own hash they leave 0: not to be shared */
}
END_TEST

/* A block of ours in place of theirs: e2fsck recomputes its hashes and finds nothing. */
START_TEST(a_block_of_ours_passes_e2fsck)
{
	struct e2fs_image image = make_image("-t ext2 -b 1024 -I 128", 8 << 20);
	struct geometry geo = image_geometry(&image);
	_Alignas(8) uint8_t inode[1024], block[1024];
	struct xattr_area area;
	char command[300];
	fsblk_t at;

	snprintf(command, sizeof(command), "printf 'mkdir d\\nea_set d user.x 1\\n' | debugfs -w -f - %s",
		 image.path);
	e2fs_run_quietly(command);
	image_inode(&image, &geo, 12, inode);
	at = le32_get(((struct ext_inode *)inode)->file_acl);
	ck_assert(block_is_valid(&geo, at));
	xattr_block_init(&geo, block, &area);
	ck_assert_int_eq(xattr_set(&area, 1, "two", 3, "second", 6), 0);
	ck_assert_int_eq(xattr_set(&area, 6, "selinux", 7, "", 0), 0);
	ck_assert_int_eq(xattr_set(&area, 1, "\xc3\xa4", 2, "umlaut", 6), 0);
	ck_assert_int_eq(xattr_set(&area, 1, "one", 3, "first!!!", 8), 0);
	ck_assert_int_eq(pwrite(image.fd, block, 1024, (off_t)(at * 1024)), 1024);
	snprintf(command, sizeof(command), "e2fsck -fn %s", image.path);
	e2fs_run_quietly(command);
}
END_TEST

TEST_SUITE(layout_xattr)
{
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, a_block_is_a_map, 0, 3);
	tcase_add_loop_test(tc, the_end_of_an_inode_is_a_map, 0, 3);
	tcase_add_test(tc, inodes_without_room_have_no_area);
	tcase_add_test(tc, equal_blocks_are_seen_whatever_their_history);
	tcase_add_test(tc, each_impossible_field_is_refused);
	tcase_add_loop_test(tc, no_bytes_do_harm, 0, 2);
	tcase_add_test(tc, attributes_of_debugfs_are_read_with_their_hashes);
	tcase_add_test(tc, a_block_of_ours_passes_e2fsck);
}
