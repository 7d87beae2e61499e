/*
 * An inode survives encode and decode at every size, bytes that the codec does not own stay, times are
 * clamped where they do not fit; the gate refuses each impossible field and never harms itself; what
 * debugfs writes is read as debugfs means it.
 */
#include "layout/inode.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/rand.h"
#include "unit/layout/fixture.h"

#define TIME_MIN INT64_C(-2147483648)
#define TIME_MAX_PLAIN INT64_C(2147483647)
#define TIME_MAX_EXTRA INT64_C(15032385535)

static const uint16_t modes[] = {S_IFREG | 0644, S_IFDIR | 0755, S_IFLNK | 0777, S_IFCHR | 0600,
				 S_IFBLK | 0600, S_IFIFO | 0600, S_IFSOCK | 0600};

static struct timespec random_time(struct rand *r)
{
	struct timespec t;

	t.tv_sec = TIME_MIN + (int64_t)rand_below(r, (uint64_t)(TIME_MAX_EXTRA - TIME_MIN + 1));
	t.tv_nsec = (long)rand_below(r, 1000000000);
	return t;
}

static struct inode_fields random_fields(const struct geometry *geo, struct rand *r)
{
	struct inode_fields f = {
		.mode = modes[rand_below(r, array_size(modes))],
		.links = (uint16_t)rand_u64(r),
		.uid = (uint32_t)rand_u64(r),
		.gid = (uint32_t)rand_u64(r),
		.size = (uint32_t)rand_u64(r),
		.blocks = (uint32_t)rand_u64(r),
		.flags = (uint32_t)rand_u64(r),
		.generation = (uint32_t)rand_u64(r),
		.file_acl = (uint32_t)rand_u64(r),
		.atime = random_time(r),
		.mtime = random_time(r),
		.ctime = random_time(r),
		.dtime = (uint32_t)rand_u64(r),
		.extra_isize = inode_default_extra_isize(geo),
		.has_crtime = inode_default_extra_isize(geo) != 0,
	};
	unsigned i;

	if (S_ISREG(f.mode))
		f.size |= (rand_u64(r) & 0xffffff) << 32;
	for (i = 0; i < EXT_N_BLOCKS; i++)
		f.block[i] = (uint32_t)rand_u64(r);
	if (S_ISCHR(f.mode) || S_ISBLK(f.mode)) {
		f.rdev = makedev(rand_below(r, 4096), rand_below(r, 1 << 20));
		device_encode(f.rdev, f.block);
	}
	if (f.has_crtime) {
		f.crtime = random_time(r);
	} else {
		f.atime = inode_clamp_time(f.atime, false);
		f.mtime = inode_clamp_time(f.mtime, false);
		f.ctime = inode_clamp_time(f.ctime, false);
	}
	return f;
}

static void assert_time_eq(struct timespec a, struct timespec b)
{
	ck_assert_int_eq(a.tv_sec, b.tv_sec);
	ck_assert_int_eq(a.tv_nsec, b.tv_nsec);
}

static void assert_fields_eq(const struct inode_fields *a, const struct inode_fields *b)
{
	ck_assert_uint_eq(a->mode, b->mode);
	ck_assert_uint_eq(a->links, b->links);
	ck_assert_uint_eq(a->uid, b->uid);
	ck_assert_uint_eq(a->gid, b->gid);
	ck_assert_uint_eq(a->size, b->size);
	ck_assert_uint_eq(a->blocks, b->blocks);
	ck_assert_uint_eq(a->flags, b->flags);
	ck_assert_uint_eq(a->generation, b->generation);
	ck_assert_uint_eq(a->file_acl, b->file_acl);
	ck_assert_uint_eq(a->dtime, b->dtime);
	ck_assert_uint_eq(a->rdev, b->rdev);
	ck_assert_uint_eq(a->extra_isize, b->extra_isize);
	ck_assert_int_eq(a->has_crtime, b->has_crtime);
	ck_assert_int_eq(memcmp(a->block, b->block, sizeof(a->block)), 0);
	assert_time_eq(a->atime, b->atime);
	assert_time_eq(a->mtime, b->mtime);
	assert_time_eq(a->ctime, b->ctime);
	assert_time_eq(a->crtime, b->crtime);
}

START_TEST(I1_fields_survive_encode_and_decode)
{
	struct geometry geo = make_geometry(4096, 128u << _i, 2);
	_Alignas(8) uint8_t bytes[4096];
	struct rand r;
	unsigned n;

	rand_init(&r, test_seed());
	for (n = 0; n < 5000; n++) {
		struct inode_fields in = random_fields(&geo, &r), out;
		bool large;

		rand_fill(&r, bytes, sizeof(bytes));
		((struct ext_inode *)bytes)->extra_isize = le16_make(0);
		large = inode_encode(&geo, &in, bytes);
		ck_assert_int_eq(large, S_ISREG(in.mode) && in.size > 0x7fffffff);
		inode_decode(&geo, bytes, &out);
		assert_fields_eq(&in, &out);
	}
}
END_TEST

/* Encoding what was decoded changes nothing at all, whatever else the bytes hold. */
START_TEST(I2_what_is_not_owned_stays)
{
	struct geometry geo = make_geometry(1024, 128u << _i, 2);
	_Alignas(8) uint8_t bytes[1024], before[1024];
	struct ext_inode *raw = (void *)bytes;
	struct rand r;
	unsigned n;

	rand_init(&r, test_seed());
	for (n = 0; n < 5000; n++) {
		struct inode_fields f;

		rand_fill(&r, bytes, sizeof(bytes));
		raw->mode = le16_make(modes[n % array_size(modes)]);
		raw->size_high = le32_make(S_ISREG(le16_get(raw->mode)) ? 7 : 0);
		raw->block[0] = le32_make(0x1234);	/* as a device: 18:52, and no second number */
		raw->block[1] = le32_make(0);
		if (geo.inode_size > 128)
			raw->extra_isize = le16_make((uint16_t)(4 * rand_below(&r, 9)));
		raw->atime_extra = le32_make(le32_get(raw->atime_extra) % (1000000000u * 4));
		raw->mtime_extra = le32_make(le32_get(raw->mtime_extra) % (1000000000u * 4));
		raw->ctime_extra = le32_make(le32_get(raw->ctime_extra) % (1000000000u * 4));
		raw->crtime_extra = le32_make(le32_get(raw->crtime_extra) % (1000000000u * 4));
		memcpy(before, bytes, sizeof(bytes));
		inode_decode(&geo, bytes, &f);
		inode_encode(&geo, &f, bytes);
		ck_assert_int_eq(memcmp(before, bytes, sizeof(bytes)), 0);
	}
}
END_TEST

START_TEST(growing_extra_isize_zeroes_what_it_covers)
{
	struct geometry geo = make_geometry(1024, 256, 2);
	_Alignas(8) uint8_t bytes[256];
	struct ext_inode *raw = (void *)bytes;
	struct inode_fields f;

	memset(bytes, 0xee, sizeof(bytes));
	raw->mode = le16_make(S_IFREG);
	raw->extra_isize = le16_make(4);
	inode_decode(&geo, bytes, &f);
	ck_assert(!f.has_crtime);
	f.extra_isize = 32;
	inode_encode(&geo, &f, bytes);
	ck_assert_uint_eq(le16_get(raw->extra_isize), 32);
	ck_assert_uint_eq(le16_get(raw->checksum_hi), 0xeeee);	/* was covered before */
	ck_assert_uint_eq(le32_get(raw->projid), 0);
	ck_assert_uint_eq(bytes[160], 0xee);
}
END_TEST

/* ---- times ---- */

START_TEST(times_are_clamped_to_what_fits)
{
	struct timespec early = {.tv_sec = TIME_MIN - 1, .tv_nsec = 5};
	struct timespec late = {.tv_sec = TIME_MAX_EXTRA + 1, .tv_nsec = 5};
	struct timespec y2038 = {.tv_sec = TIME_MAX_PLAIN + 1, .tv_nsec = 5};

	ck_assert_int_eq(inode_clamp_time(early, true).tv_sec, TIME_MIN);
	ck_assert_int_eq(inode_clamp_time(early, false).tv_sec, TIME_MIN);
	ck_assert_int_eq(inode_clamp_time(late, true).tv_sec, TIME_MAX_EXTRA);
	ck_assert_int_eq(inode_clamp_time(late, true).tv_nsec, 0);
	ck_assert_int_eq(inode_clamp_time(late, false).tv_sec, TIME_MAX_PLAIN);
	ck_assert_int_eq(inode_clamp_time(y2038, true).tv_sec, TIME_MAX_PLAIN + 1);
	ck_assert_int_eq(inode_clamp_time(y2038, true).tv_nsec, 5);
	ck_assert_int_eq(inode_clamp_time(y2038, false).tv_sec, TIME_MAX_PLAIN);
}
END_TEST

START_TEST(encode_clamps_and_decode_agrees)
{
	static const int64_t seconds[] = {INT64_MIN, TIME_MIN - 1, TIME_MIN, -1, 0, 1, TIME_MAX_PLAIN,
					  TIME_MAX_PLAIN + 1, INT64_C(4294967295), INT64_C(4294967296),
					  INT64_C(8589934592), TIME_MAX_EXTRA, TIME_MAX_EXTRA + 1,
					  INT64_MAX};
	struct geometry geo = make_geometry(1024, 128u << _i, 2);
	_Alignas(8) uint8_t bytes[1024];
	size_t i;

	for (i = 0; i < array_size(seconds); i++) {
		struct inode_fields in = {.mode = S_IFREG, .links = 1,
					  .extra_isize = inode_default_extra_isize(&geo)};
		struct inode_fields out;

		in.mtime = (struct timespec){.tv_sec = seconds[i], .tv_nsec = 999999999};
		memset(bytes, 0, sizeof(bytes));
		inode_encode(&geo, &in, bytes);
		inode_decode(&geo, bytes, &out);
		assert_time_eq(out.mtime, inode_clamp_time(in.mtime, _i > 0));
	}
}
END_TEST

START_TEST(impossible_nanoseconds_are_made_possible)
{
	struct geometry geo = make_geometry(1024, 256, 2);
	_Alignas(8) uint8_t bytes[256] = {0};
	struct ext_inode *raw = (void *)bytes;
	struct inode_fields f;

	raw->extra_isize = le16_make(32);
	raw->mtime_extra = le32_make(0xffffffff);
	inode_decode(&geo, bytes, &f);
	ck_assert_int_eq(f.mtime.tv_nsec, 999999999);
	ck_assert_int_eq(f.mtime.tv_sec, INT64_C(3) << 32);
}
END_TEST

/* ---- devices and symlinks ---- */

START_TEST(devices_are_encoded_short_or_long)
{
	static const struct {
		unsigned major, minor;
		uint32_t block[2];
	} rows[] = {
		{0, 0, {0, 0}}, {8, 1, {0x801, 0}}, {255, 255, {0xffff, 0}}, {256, 0, {0, 0x10000}},
		{8, 256, {0, 0x100800}}, {4095, 1048575, {0, 0xffffffff}},
	};
	uint32_t block[2];
	size_t i;

	for (i = 0; i < array_size(rows); i++) {
		dev_t dev = makedev(rows[i].major, rows[i].minor);

		ck_assert(device_is_encodable(dev));
		device_encode(dev, block);
		ck_assert_uint_eq(block[0], rows[i].block[0]);
		ck_assert_uint_eq(block[1], rows[i].block[1]);
		ck_assert_uint_eq(device_decode(block), dev);
	}
	ck_assert(!device_is_encodable(makedev(4096, 0)));
	ck_assert(!device_is_encodable(makedev(0, 1 << 20)));
}
END_TEST

START_TEST(fast_symlinks_keep_their_bytes)
{
	struct geometry geo = make_geometry(1024, 128, 2);
	_Alignas(8) uint8_t bytes[128] = {0};
	char target[60] = "", back[60], why[WHY_SIZE];
	unsigned len;

	for (len = 1; len <= EXT_FAST_SYMLINK_MAX; len++) {
		struct inode_fields in = {.mode = S_IFLNK | 0777, .links = 1}, out;

		target[len - 1] = (char)('a' + len % 26);
		inode_set_symlink_target(&in, target, len);
		inode_encode(&geo, &in, bytes);
		ck_assert_int_eq(memcmp(bytes + 0x28, target, len), 0);
		inode_decode(&geo, bytes, &out);
		ck_assert(inode_is_fast_symlink(&geo, &out));
		ck_assert(!inode_has_tree(&geo, &out));
		ck_assert_int_eq(inode_check(&geo, 12, &out, why, sizeof(why)), 0);
		inode_symlink_target(&out, back);
		ck_assert_int_eq(memcmp(back, target, len), 0);
	}
}
END_TEST

START_TEST(an_xattr_block_does_not_make_a_symlink_slow)
{
	struct geometry geo = make_geometry(4096, 128, 2);
	struct inode_fields f = {.mode = S_IFLNK | 0777, .links = 1, .size = 3, .blocks = 8};

	ck_assert(!inode_is_fast_symlink(&geo, &f));
	f.file_acl = 1000;
	ck_assert(inode_is_fast_symlink(&geo, &f));
	f.blocks = 16;
	ck_assert(!inode_is_fast_symlink(&geo, &f));
	ck_assert(inode_has_tree(&geo, &f));
}
END_TEST

/* ---- the gate ---- */

static struct inode_fields good_file(void)
{
	return (struct inode_fields){.mode = S_IFREG | 0644, .links = 1, .size = 5000, .blocks = 10,
				     .block = {3000, 3001}, .extra_isize = 32};
}

static void assert_refused(const struct inode_fields *f, inr_t ino, const char *word)
{
	struct geometry geo = make_geometry(1024, 256, 2);
	char why[WHY_SIZE] = "";

	ck_assert_msg(inode_check(&geo, ino, f, why, sizeof(why)) == -EUCLEAN, "not refused: %s", word);
	ck_assert_msg(strstr(why, word) != NULL, "%s is not in: %s", word, why);
}

#define REFUSED(change, word)                          \
	do {                                           \
		struct inode_fields f = good_file();   \
		change;                                \
		assert_refused(&f, 12, word);          \
	} while (0)

START_TEST(each_impossible_field_is_refused)
{
	REFUSED(f.mode = 0, "impossible mode");
	REFUSED(f.mode = 0xf000, "impossible mode");
	REFUSED(f.mode = 0x3000 | 0644, "impossible mode");
	REFUSED(f.size = UINT64_C(17247252481), "impossible size");
	REFUSED(f.size = UINT64_MAX, "impossible size");
	REFUSED(f.mode = S_IFDIR; f.size = 1023, "impossible size");
	REFUSED(f.mode = S_IFDIR; f.size = 0, "impossible size");
	REFUSED(f.mode = S_IFDIR; f.size = UINT64_C(16386) << 10, "impossible size");
	REFUSED(f.mode = S_IFLNK; f.size = 0, "impossible size");
	REFUSED(f.mode = S_IFLNK; f.size = 1024, "impossible size");
	REFUSED(f.mode = S_IFLNK; f.size = 60; f.blocks = 0, "impossible size");
	REFUSED(f.mode = S_IFLNK; f.size = 59; f.blocks = 0, "shorter");
	REFUSED(f.extra_isize = 132, "extra bytes");
	REFUSED(f.extra_isize = 30, "extra bytes");
	REFUSED(f.extra_isize = 0xfffc, "extra bytes");
	REFUSED(f.file_acl = 1, "attributes in block");
	REFUSED(f.file_acl = 0xffffffff, "attributes in block");
	REFUSED(f.block[0] = 1, "slot 0");
	REFUSED(f.block[11] = 16385, "slot 11");
	REFUSED(f.block[14] = 0xffffffff, "slot 14");
	REFUSED(f.flags = EXT_EXTENTS_FL, "flags");
	REFUSED(f.flags = EXT_INLINE_DATA_FL, "flags");
	REFUSED(f.flags = EXT_EA_INODE_FL, "flags");
	REFUSED(f.flags = EXT_ENCRYPT_FL, "flags");
}
END_TEST

START_TEST(the_root_must_be_a_directory_in_use)
{
	struct inode_fields f = good_file();

	assert_refused(&f, EXT_ROOT_INO, "root");
	f.mode = S_IFDIR | 0755;
	f.links = 0;
	assert_refused(&f, EXT_ROOT_INO, "root");
	memset(&f, 0, sizeof(f));
	assert_refused(&f, EXT_ROOT_INO, "root");
}
END_TEST

START_TEST(what_is_possible_passes)
{
	struct geometry geo = make_geometry(1024, 256, 2);
	struct inode_fields f = good_file();
	char why[WHY_SIZE];

	ck_assert_int_eq(inode_check(&geo, 12, &f, why, sizeof(why)), 0);
	f.size = UINT64_C(17247252480);
	f.block[14] = 16384;
	f.block[13] = 2;
	f.flags = EXT_INDEX_FL | EXT_IMMUTABLE_FL;
	f.extra_isize = 128;
	ck_assert_int_eq(inode_check(&geo, 12, &f, why, sizeof(why)), 0);
	f = (struct inode_fields){.mode = S_IFDIR | 0755};	/* removed, still open */
	ck_assert_int_eq(inode_check(&geo, 12, &f, why, sizeof(why)), 0);
	f = (struct inode_fields){.mode = S_IFCHR | 0600, .links = 1, .block = {0, 0xffffffff}};
	ck_assert_int_eq(inode_check(&geo, 12, &f, why, sizeof(why)), 0);
	f = (struct inode_fields){.dtime = 1234567};
	ck_assert_int_eq(inode_check(&geo, 12, &f, why, sizeof(why)), -ESTALE);
}
END_TEST

START_TEST(no_inode_bytes_do_harm)
{
	struct geometry geo = make_geometry(1024, 128u << _i, 2);
	_Alignas(8) uint8_t bytes[512];
	char why[WHY_SIZE], target[EXT_FAST_SYMLINK_MAX];
	struct rand r;
	unsigned n;

	rand_init(&r, test_seed());
	for (n = 0; n < 50000; n++) {
		struct inode_fields f;

		rand_fill(&r, bytes, geo.inode_size);
		((struct ext_inode *)bytes)->mode = le16_make(modes[rand_below(&r, array_size(modes))]);
		if (rand_one_in(&r, 2))
			memset(bytes + 0x1c, 0, 0x50);
		inode_decode(&geo, bytes, &f);
		ck_assert_int_le(f.mtime.tv_nsec, 999999999);
		if (inode_check(&geo, 1 + (inr_t)rand_below(&r, 20), &f, why, sizeof(why)) == 0 &&
		    inode_is_fast_symlink(&geo, &f))
			inode_symlink_target(&f, target);
		inode_encode(&geo, &f, bytes);
	}
}
END_TEST

/* ---- other people's inodes ---- */

START_TEST(inodes_of_debugfs_are_read_as_meant)
{
	struct e2fs_image image = make_image("-t ext2 -b 1024 -I 256", 8 << 20);
	struct geometry geo = image_geometry(&image);
	_Alignas(8) uint8_t bytes[256];
	struct inode_fields f;
	char command[600], why[WHY_SIZE], target[EXT_FAST_SYMLINK_MAX];

	snprintf(command, sizeof(command),
		 "printf 'cd /\\nmknod chr c 5 300\\nsymlink fast short/target\\n"
		 "sif <12> uid 100000\\nsif <12> gid 200000\\nsif <12> mtime @5000000000\\n"
		 "sif <12> generation 77\\n' | debugfs -w -f - %s", image.path);
	e2fs_run_quietly(command);

	image_inode(&image, &geo, EXT_ROOT_INO, bytes);
	inode_decode(&geo, bytes, &f);
	ck_assert_int_eq(inode_check(&geo, EXT_ROOT_INO, &f, why, sizeof(why)), 0);
	ck_assert(S_ISDIR(f.mode) && f.links == 3 && f.size == 1024 && f.blocks == 2 && f.has_crtime);

	image_inode(&image, &geo, 12, bytes);
	inode_decode(&geo, bytes, &f);
	ck_assert(S_ISCHR(f.mode));
	ck_assert_uint_eq(f.rdev, makedev(5, 300));
	ck_assert_uint_eq(f.uid, 100000);
	ck_assert_uint_eq(f.gid, 200000);
	ck_assert_uint_eq(f.generation, 77);
	ck_assert_int_eq(f.mtime.tv_sec, INT64_C(5000000000));

	image_inode(&image, &geo, 13, bytes);
	inode_decode(&geo, bytes, &f);
	ck_assert_int_eq(inode_check(&geo, 13, &f, why, sizeof(why)), 0);
	ck_assert(inode_is_fast_symlink(&geo, &f));
	ck_assert_uint_eq(f.size, 12);
	inode_symlink_target(&f, target);
	ck_assert_int_eq(memcmp(target, "short/target", 12), 0);

	image_inode(&image, &geo, EXT_RESIZE_INO, bytes);
	inode_decode(&geo, bytes, &f);
	ck_assert_msg(inode_check(&geo, EXT_RESIZE_INO, &f, why, sizeof(why)) == 0, "%s", why);
}
END_TEST

TEST_SUITE(layout_inode)
{
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, I1_fields_survive_encode_and_decode, 0, 6);
	tcase_add_loop_test(tc, I2_what_is_not_owned_stays, 0, 3);
	tcase_add_test(tc, growing_extra_isize_zeroes_what_it_covers);
	tcase_add_test(tc, times_are_clamped_to_what_fits);
	tcase_add_loop_test(tc, encode_clamps_and_decode_agrees, 0, 3);
	tcase_add_test(tc, impossible_nanoseconds_are_made_possible);
	tcase_add_test(tc, devices_are_encoded_short_or_long);
	tcase_add_test(tc, fast_symlinks_keep_their_bytes);
	tcase_add_test(tc, an_xattr_block_does_not_make_a_symlink_slow);
	tcase_add_test(tc, each_impossible_field_is_refused);
	tcase_add_test(tc, the_root_must_be_a_directory_in_use);
	tcase_add_test(tc, what_is_possible_passes);
	tcase_add_loop_test(tc, no_inode_bytes_do_harm, 0, 3);
	tcase_add_test(tc, inodes_of_debugfs_are_read_as_meant);
}
