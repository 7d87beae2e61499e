/*
 * A block behaves as a set of names: random inserts and removals agree with a model, D1 and D2 hold after
 * each, entries that stay do not move, freed names leave no bytes. The gate refuses every broken chain,
 * and no bytes whatever make any function leave the block (guarded by asan: blocks are heap memory).
 */
#include "layout/dirblock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/rand.h"
#include "unit/layout/fixture.h"

#define MODEL_MAX 400

struct model_entry {
	char name[EXT_NAME_LEN + 1];
	unsigned len;
	inr_t ino;
	uint8_t type;
	unsigned offset;
};

struct model {
	struct model_entry entries[MODEL_MAX];
	unsigned count;
};

static struct geometry geometry_of(unsigned block_size, bool has_filetype)
{
	struct geometry geo = {.inodes_count = 1000, .has_filetype = has_filetype};

	geometry_set_block_size(&geo, block_size);
	return geo;
}

static void assert_possible(const struct geometry *geo, const void *block)
{
	char why[WHY_SIZE];

	ck_assert_msg(dirblock_check(geo, block, why, sizeof(why)) == 0, "%s", why);
}

static struct model_entry *model_find(struct model *m, const char *name, unsigned len)
{
	unsigned i;

	for (i = 0; i < m->count; i++)
		if (m->entries[i].len == len && memcmp(m->entries[i].name, name, len) == 0)
			return &m->entries[i];
	return NULL;
}

/* The block holds exactly the model's entries, at the model's offsets. */
static void assert_same(const struct geometry *geo, const void *block, struct model *m)
{
	struct dirblock_entry e;
	unsigned offset = 0, seen = 0;
	int more;

	assert_possible(geo, block);
	while ((more = dirblock_next(geo, block, &offset, &e)) == 1) {
		struct model_entry *entry;

		if (e.ino == 0)
			continue;
		seen++;
		entry = model_find(m, e.name, e.name_len);
		ck_assert_ptr_nonnull(entry);
		ck_assert_uint_eq(entry->ino, e.ino);
		ck_assert_uint_eq(entry->type, e.file_type);
		ck_assert_uint_eq(entry->offset, e.offset);
	}
	ck_assert_int_eq(more, 0);
	ck_assert_uint_eq(seen, m->count);
}

static unsigned random_name(struct rand *r, char *name)
{
	unsigned len = 1 + (unsigned)rand_below(r, rand_one_in(r, 4) ? EXT_NAME_LEN : 12);
	unsigned i;

	for (i = 0; i < len; i++)
		name[i] = (char)('a' + rand_below(r, len < 3 ? 4 : 26));
	return len;
}

static void random_insert(const struct geometry *geo, void *block, struct model *m, struct rand *r)
{
	struct model_entry *entry = &m->entries[m->count];
	unsigned room = dirblock_room(geo, block);
	unsigned offset = 0;
	int err;

	entry->len = random_name(r, entry->name);
	if (model_find(m, entry->name, entry->len))
		return;
	entry->ino = 1 + (inr_t)rand_below(r, geo->inodes_count);
	entry->type = geo->has_filetype ? (uint8_t)rand_below(r, EXT_FT_MAX) : EXT_FT_UNKNOWN;
	err = dirblock_insert_at(geo, block, entry->name, entry->len, entry->ino,
				 geo->has_filetype ? entry->type : EXT_FT_DIR, &offset);
	ck_assert_int_eq(err, entry->len <= room ? 0 : -ENOSPC);
	if (err)
		return;
	entry->offset = offset;
	m->count++;
}

static void random_remove(const struct geometry *geo, void *block, struct model *m, struct rand *r)
{
	struct model_entry *entry;

	if (m->count == 0)
		return;
	entry = &m->entries[rand_below(r, m->count)];
	ck_assert_int_eq(dirblock_remove(geo, block, entry->offset), 0);
	ck_assert_int_eq(dirblock_remove(geo, block, entry->offset), -ENOENT);
	*entry = m->entries[--m->count];
}

static void random_set(const struct geometry *geo, void *block, struct model *m, struct rand *r)
{
	struct model_entry *entry;

	if (m->count == 0)
		return;
	entry = &m->entries[rand_below(r, m->count)];
	entry->ino = 1 + (inr_t)rand_below(r, geo->inodes_count);
	ck_assert_int_eq(dirblock_set_inode(geo, block, entry->offset, entry->ino, entry->type), 0);
}

static void random_find(const struct geometry *geo, const void *block, struct model *m, struct rand *r)
{
	char name[EXT_NAME_LEN + 1];
	unsigned len = random_name(r, name);
	struct model_entry *entry;
	struct dirblock_entry e;
	int err;

	if (m->count && rand_one_in(r, 2)) {
		entry = &m->entries[rand_below(r, m->count)];
		len = entry->len;
		memcpy(name, entry->name, len);
	}
	entry = model_find(m, name, len);
	err = dirblock_find(geo, block, name, len, &e);
	ck_assert_int_eq(err, entry ? 0 : -ENOENT);
	if (entry)
		ck_assert_uint_eq(e.offset, entry->offset);
}

START_TEST(a_block_is_a_set_of_names)
{
	struct geometry geo = geometry_of(1024u << _i % 3, _i < 3);
	void *block = malloc(geo.block_size);
	struct model *m = calloc(1, sizeof(*m));
	struct rand r;
	unsigned n;

	rand_init(&r, test_seed());
	dirblock_init_empty(&geo, block);
	for (n = 0; n < 6000; n++) {
		/* Fill and empty in turns, so that both a full and an empty block are met. */
		bool filling = n / 500 % 2 == 0;

		if (rand_one_in(&r, filling ? 4 : 2) == !filling)
			random_insert(&geo, block, m, &r);
		else
			random_remove(&geo, block, m, &r);
		random_set(&geo, block, m, &r);
		random_find(&geo, block, m, &r);
		assert_same(&geo, block, m);
		ck_assert_int_eq(dirblock_is_empty(&geo, block), m->count == 0);
	}
	free(m);
	free(block);
}
END_TEST

START_TEST(D3_freed_names_leave_no_bytes)
{
	struct geometry geo = geometry_of(1024, true);
	uint8_t *block = malloc(1024);
	unsigned offset[20], i;
	char name[8];

	dirblock_init_empty(&geo, block);
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "zz%02u", i);
		ck_assert_int_eq(dirblock_insert_at(&geo, block, name, 4, 5, EXT_FT_DIR, &offset[i]), 0);
	}
	for (i = 20; i-- > 0;)
		ck_assert_int_eq(dirblock_remove(&geo, block, offset[(i * 7) % 20]), 0);
	ck_assert_ptr_null(memchr(block, 'z', 1024));
	ck_assert(dirblock_is_empty(&geo, block));
	ck_assert_uint_eq(dirblock_room(&geo, block), EXT_NAME_LEN);
	free(block);
}
END_TEST

START_TEST(a_full_block_says_so)
{
	struct geometry geo = geometry_of(1024, true);
	uint8_t *block = malloc(1024), *before = malloc(1024);
	char name[EXT_NAME_LEN];
	unsigned n = 0;

	memset(name, 'n', sizeof(name));
	dirblock_init_dots(&geo, block, 11, 2);
	while (dirblock_insert(&geo, block, name, 4, 5, EXT_FT_REG_FILE) == 0)
		n++;
	ck_assert_uint_eq(n, (1024 - 24) / 12);
	ck_assert_uint_eq(dirblock_room(&geo, block), 0);
	memcpy(before, block, 1024);
	ck_assert_int_eq(dirblock_insert(&geo, block, name, 1, 5, EXT_FT_REG_FILE), -ENOSPC);
	ck_assert_int_eq(memcmp(before, block, 1024), 0);
	free(before);
	free(block);
}
END_TEST

START_TEST(dots_are_made_and_recognised)
{
	struct geometry geo = geometry_of(2048, true);
	uint8_t *block = malloc(2048);
	struct ext_dirent *dot = (void *)block, *dotdot = (void *)(block + 12);
	char why[WHY_SIZE];
	inr_t parent = 0;

	dirblock_init_dots(&geo, block, 11, 2);
	assert_possible(&geo, block);
	ck_assert(dirblock_is_empty(&geo, block));
	ck_assert_int_eq(dirblock_check_dots(&geo, block, 11, &parent, why, sizeof(why)), 0);
	ck_assert_uint_eq(parent, 2);
	ck_assert_int_eq(dot->file_type, EXT_FT_DIR);
	ck_assert_int_eq(dirblock_set_inode(&geo, block, DIRBLOCK_DOTDOT_OFFSET, 77, EXT_FT_DIR), 0);
	ck_assert_int_eq(dirblock_check_dots(&geo, block, 11, &parent, why, sizeof(why)), 0);
	ck_assert_uint_eq(parent, 77);

	ck_assert_int_eq(dirblock_check_dots(&geo, block, 12, &parent, why, sizeof(why)), -EUCLEAN);
	dotdot->inode = le32_make(1001);
	ck_assert_int_eq(dirblock_check_dots(&geo, block, 11, &parent, why, sizeof(why)), -EUCLEAN);
	dotdot->inode = le32_make(0);
	ck_assert_int_eq(dirblock_check_dots(&geo, block, 11, &parent, why, sizeof(why)), -EUCLEAN);
	dirblock_init_dots(&geo, block, 11, 2);
	dot->name_len = 2;
	ck_assert_int_eq(dirblock_check_dots(&geo, block, 11, &parent, why, sizeof(why)), -EUCLEAN);
	dirblock_init_dots(&geo, block, 11, 2);
	dot->rec_len = le16_make(2048);
	ck_assert_int_eq(dirblock_check_dots(&geo, block, 11, &parent, why, sizeof(why)), -EUCLEAN);
	dirblock_init_empty(&geo, block);
	ck_assert_int_eq(dirblock_check_dots(&geo, block, 11, &parent, why, sizeof(why)), -EUCLEAN);
	free(block);
}
END_TEST

START_TEST(a_reader_goes_on_behind_a_removed_entry)
{
	struct geometry geo = geometry_of(1024, true);
	uint8_t *block = malloc(1024);

	dirblock_init_dots(&geo, block, 11, 2);
	ck_assert_int_eq(dirblock_insert(&geo, block, "aaa", 3, 5, 1), 0);	/* at 24 */
	ck_assert_int_eq(dirblock_insert(&geo, block, "bbb", 3, 6, 1), 0);	/* at 36 */
	ck_assert_int_eq(dirblock_insert(&geo, block, "ccc", 3, 7, 1), 0);	/* at 48 */
	ck_assert_uint_eq(dirblock_resync(&geo, block, 36), 36);
	ck_assert_int_eq(dirblock_remove(&geo, block, 36), 0);
	ck_assert_uint_eq(dirblock_resync(&geo, block, 36), 48);
	ck_assert_uint_eq(dirblock_resync(&geo, block, 0), 0);
	ck_assert_int_eq(dirblock_remove(&geo, block, 48), 0);
	ck_assert_uint_eq(dirblock_resync(&geo, block, 36), 1024);
	ck_assert_uint_eq(dirblock_resync(&geo, block, 5000), 1024);
	free(block);
}
END_TEST

/* ---- the gate ---- */

struct damage {
	unsigned offset;	/* of the record */
	inr_t ino;
	unsigned rec_len, name_len;
};

/* Against "." at 0, ".." at 12 with all the rest, in 1024 bytes. */
static const struct damage damages[] = {
	{0, 11, 0, 1}, {0, 11, 4, 1}, {0, 11, 8, 1}, {0, 11, 11, 1}, {0, 11, 13, 1}, {0, 11, 14, 1},
	{0, 11, 12, 0}, {0, 11, 12, 5}, {0, 11, 12, 255}, {0, 1001, 12, 1}, {0, 0xffffffff, 12, 1},
	{0, 11, 1028, 1}, {0, 11, 65532, 1}, {0, 11, 1020, 1}, {0, 11, 1016, 1}, {0, 0, 8, 0},
	{0, 0, 0, 0}, {12, 2, 1008, 2}, {12, 2, 1016, 2}, {12, 2, 1000, 2}, {12, 2, 12, 2},
	{12, 0, 1000, 0}, {12, 0, 1016, 0},
};

START_TEST(each_broken_record_is_refused)
{
	const struct damage *d = &damages[_i];
	struct geometry geo = geometry_of(1024, true);
	uint8_t *block = malloc(1024);
	struct ext_dirent *record = (void *)(block + d->offset);
	char why[WHY_SIZE] = "";

	dirblock_init_dots(&geo, block, 11, 2);
	record->inode = le32_make(d->ino);
	record->rec_len = le16_make((uint16_t)d->rec_len);
	record->name_len = (uint8_t)d->name_len;
	ck_assert_int_eq(dirblock_check(&geo, block, why, sizeof(why)), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(why, "directory entry at byte"));
	free(block);
}
END_TEST

START_TEST(slash_and_zero_in_a_name_are_refused)
{
	struct geometry geo = geometry_of(1024, true);
	uint8_t *block = malloc(1024);
	char why[WHY_SIZE];
	unsigned i;

	for (i = 0; i < 3; i++) {
		dirblock_init_empty(&geo, block);
		ck_assert_int_eq(dirblock_insert(&geo, block, "abc", 3, 5, 1), 0);
		block[8 + i] = '/';
		ck_assert_int_eq(dirblock_check(&geo, block, why, sizeof(why)), -EUCLEAN);
		block[8 + i] = '\0';
		ck_assert_int_eq(dirblock_check(&geo, block, why, sizeof(why)), -EUCLEAN);
	}
	free(block);
}
END_TEST

/* All functions on the bytes; those that change get a copy. What passed the gate must pass it after a change. */
static void use_all(const struct geometry *geo, const uint8_t *bytes, struct rand *r)
{
	uint8_t *block = malloc(geo->block_size);
	struct dirblock_entry e;
	unsigned offset = 0, steps = 0, at = 0;
	char why[WHY_SIZE], name[EXT_NAME_LEN + 1];
	unsigned len = random_name(r, name);
	inr_t parent;
	bool possible;

	memcpy(block, bytes, geo->block_size);
	possible = dirblock_check(geo, block, why, sizeof(why)) == 0;
	while (dirblock_next(geo, block, &offset, &e) == 1) {
		ck_assert_uint_le(offset, geo->block_size);
		ck_assert_uint_lt(steps++, geo->block_size / 12 + 1);
		if (e.ino)	/* asan sees a name that is not all in the block */
			ck_assert(memchr(e.name, '\0', e.name_len) == NULL || !possible);
	}
	offset = (unsigned)rand_below(r, geo->block_size);
	at = dirblock_resync(geo, block, offset);
	ck_assert(at >= offset && at <= geo->block_size);
	ignore(dirblock_find(geo, block, name, len, &e), "any bytes");
	ignore(dirblock_check_dots(geo, block, 11, &parent, why, sizeof(why)), "any bytes");
	dirblock_is_empty(geo, block);
	dirblock_room(geo, block);
	ignore(dirblock_insert(geo, block, name, len, 5, EXT_FT_DIR), "any bytes");
	ignore(dirblock_set_inode(geo, block, at, 6, EXT_FT_DIR), "any bytes");
	ignore(dirblock_remove(geo, block, at), "any bytes");
	ignore(dirblock_remove(geo, block, 12), "any bytes");
	if (possible)
		assert_possible(geo, block);
	free(block);
}

START_TEST(no_bytes_do_harm)
{
	struct geometry geo = geometry_of(1024, true);
	uint8_t *block = malloc(1024);
	struct rand r;
	unsigned n, i;

	rand_init(&r, test_seed());
	for (n = 0; n < 20000; n++) {
		if (rand_one_in(&r, 10)) {
			rand_fill(&r, block, 1024);
		} else {
			char name[EXT_NAME_LEN + 1];

			dirblock_init_dots(&geo, block, 11, 2);
			for (i = (unsigned)rand_below(&r, 30); i; i--)
				ignore(dirblock_insert(&geo, block, name, random_name(&r, name), 5, 1),
				       "until full");
			for (i = 1 + (unsigned)rand_below(&r, 4); i; i--)
				block[rand_below(&r, rand_one_in(&r, 2) ? 64 : 1024)] =
					(uint8_t)rand_u64(&r);
		}
		use_all(&geo, block, &r);
	}
	free(block);
}
END_TEST

/* ---- file types, and other people's blocks ---- */

START_TEST(file_types_and_modes_go_both_ways)
{
	static const unsigned types[] = {S_IFREG, S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK};
	uint8_t i;

	for (i = 0; i < array_size(types); i++) {
		ck_assert_uint_eq(dirblock_type_of_mode(types[i] | 04755), i + 1);
		ck_assert_uint_eq(dirblock_mode_of_type(i + 1), types[i]);
	}
	ck_assert_uint_eq(dirblock_type_of_mode(0777), EXT_FT_UNKNOWN);
	ck_assert_uint_eq(dirblock_mode_of_type(0), 0);
	ck_assert_uint_eq(dirblock_mode_of_type(0xde), 0);
}
END_TEST

START_TEST(without_the_feature_the_type_byte_is_nothing)
{
	struct geometry geo = geometry_of(1024, false);
	uint8_t *block = malloc(1024);
	struct dirblock_entry e;

	dirblock_init_dots(&geo, block, 11, 2);
	ck_assert_uint_eq(block[7], 0);
	block[7] = 9;
	ck_assert_int_eq(dirblock_find(&geo, block, ".", 1, &e), 0);
	ck_assert_uint_eq(e.file_type, EXT_FT_UNKNOWN);
	free(block);
}
END_TEST

START_TEST(directories_of_mke2fs_and_debugfs_are_read)
{
	struct e2fs_image image = make_image("-t ext2 -b 1024", 8 << 20);
	struct geometry geo = image_geometry(&image);
	_Alignas(8) uint8_t inode[1024];
	const struct ext_inode *root = (const void *)inode;
	uint8_t *block = malloc(1024);
	struct dirblock_entry e;
	char command[300], why[WHY_SIZE];
	inr_t parent;

	snprintf(command, sizeof(command), "printf 'mkdir sub\\nmknod fifo p\\nsymlink s t\\n"
		 "rmdir lost+found\\n' | debugfs -w -f - %s", image.path);
	e2fs_run_quietly(command);
	image_inode(&image, &geo, EXT_ROOT_INO, inode);
	image_block(&image, &geo, le32_get(root->block[0]), block);
	assert_possible(&geo, block);
	ck_assert_int_eq(dirblock_check_dots(&geo, block, 2, &parent, why, sizeof(why)), 0);
	ck_assert_int_eq(dirblock_find(&geo, block, "sub", 3, &e), 0);
	ck_assert_uint_eq(e.file_type, EXT_FT_DIR);
	ck_assert_int_eq(dirblock_find(&geo, block, "fifo", 4, &e), 0);
	ck_assert_uint_eq(e.file_type, EXT_FT_FIFO);
	ck_assert_int_eq(dirblock_find(&geo, block, "s", 1, &e), 0);
	ck_assert_uint_eq(e.file_type, EXT_FT_SYMLINK);
	ck_assert_int_eq(dirblock_find(&geo, block, "lost+found", 10, &e), -ENOENT);
	ck_assert(!dirblock_is_empty(&geo, block));
	free(block);
}
END_TEST

TEST_SUITE(layout_dirblock)
{
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, a_block_is_a_set_of_names, 0, 6);
	tcase_add_test(tc, D3_freed_names_leave_no_bytes);
	tcase_add_test(tc, a_full_block_says_so);
	tcase_add_test(tc, dots_are_made_and_recognised);
	tcase_add_test(tc, a_reader_goes_on_behind_a_removed_entry);
	tcase_add_loop_test(tc, each_broken_record_is_refused, 0, array_size(damages));
	tcase_add_test(tc, slash_and_zero_in_a_name_are_refused);
	tcase_add_test(tc, no_bytes_do_harm);
	tcase_add_test(tc, file_types_and_modes_go_both_ways);
	tcase_add_test(tc, without_the_feature_the_type_byte_is_nothing);
	tcase_add_test(tc, directories_of_mke2fs_and_debugfs_are_read);
}
