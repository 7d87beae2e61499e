/*
 * tools/imgedit.c - changes an image byte by byte, by the names of its fields.
 *
 *	imgedit IMAGE < RECIPE
 *
 * A recipe is lines; '#' begins a comment. VALUE and BLOCK are sums (a+b, a-b) of numbers and of
 *	ino(PATH)  block(PATH,LBLK)  ind(PATH,SLOT)  xattr(PATH)  super(FIELD)
 *	bbitmap(G) ibitmap(G) table(G) first(G) end  free  inodes
 * where INODE is a number or a path. The statements:
 *	super FIELD VALUE                  group G FIELD VALUE
 *	inode INODE FIELD VALUE            inode INODE block[N] VALUE
 *	extra INODE OFFSET VALUE           32 bits of the inode at a byte offset
 *	entry DIR NAME FIELD VALUE         FIELD: inode rec_len name_len type
 *	rename DIR NAME NEW                the same number of bytes; \xNN for any byte
 *	slot BLOCK INDEX VALUE             32 bits of an indirect block
 *	word BLOCK OFFSET VALUE            32 bits at a byte offset; half, byte: 16 and 8
 *	bigword BLOCK OFFSET VALUE         32 bits, big endian
 *	zero BLOCK   fill BLOCK VALUE      copy BLOCK FROM
 *	usedblock BLOCK   freeblock BLOCK  usedinode N   freeinode N    bits of the bitmaps
 *	resize BYTES                       the image's length
 * Each line is written before the next is read: names are looked up as the image is by then.
 */
#include <ctype.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bitmap.h"
#include "layout/blockpath.h"
#include "layout/dirblock.h"
#include "layout/group.h"
#include "layout/inode.h"
#include "layout/super.h"
#include "tools/tool.h"

struct editor {
	int fd;
	struct geometry geo;
	struct ext_super super;
	unsigned line;
};

struct field {
	const char *name;
	unsigned offset, bytes;
};

#define FIELD(type, member) {#member, offsetof(struct type, member), sizeof(((struct type *)0)->member)}

static const struct field super_fields[] = {
	FIELD(ext_super, inodes_count), FIELD(ext_super, blocks_count), FIELD(ext_super, r_blocks_count),
	FIELD(ext_super, free_blocks_count), FIELD(ext_super, free_inodes_count),
	FIELD(ext_super, first_data_block), FIELD(ext_super, log_block_size),
	FIELD(ext_super, blocks_per_group), FIELD(ext_super, inodes_per_group), FIELD(ext_super, mtime),
	FIELD(ext_super, wtime), FIELD(ext_super, mnt_count), FIELD(ext_super, max_mnt_count),
	FIELD(ext_super, magic), FIELD(ext_super, state), FIELD(ext_super, lastcheck),
	FIELD(ext_super, checkinterval), FIELD(ext_super, rev_level), FIELD(ext_super, first_ino),
	FIELD(ext_super, inode_size), FIELD(ext_super, feature_compat), FIELD(ext_super, feature_incompat),
	FIELD(ext_super, feature_ro_compat), FIELD(ext_super, reserved_gdt_blocks),
	FIELD(ext_super, journal_inum), FIELD(ext_super, journal_dev), FIELD(ext_super, last_orphan),
	FIELD(ext_super, jnl_backup_type), FIELD(ext_super, min_extra_isize),
	FIELD(ext_super, want_extra_isize), FIELD(ext_super, flags), FIELD(ext_super, log_groups_per_flex),
	{"uuid0", 0x68, 4}, {"uuid1", 0x6c, 4}, {"uuid2", 0x70, 4}, {"uuid3", 0x74, 4},
	{"journal_uuid0", 0xd0, 4},
};

static const struct field group_fields[] = {
	FIELD(ext_group_desc, block_bitmap), FIELD(ext_group_desc, inode_bitmap),
	FIELD(ext_group_desc, inode_table), FIELD(ext_group_desc, free_blocks_count),
	FIELD(ext_group_desc, free_inodes_count), FIELD(ext_group_desc, used_dirs_count),
	FIELD(ext_group_desc, flags), FIELD(ext_group_desc, itable_unused),
};

static const struct field inode_fields_table[] = {
	FIELD(ext_inode, mode), FIELD(ext_inode, uid), FIELD(ext_inode, size), FIELD(ext_inode, atime),
	FIELD(ext_inode, ctime), FIELD(ext_inode, mtime), FIELD(ext_inode, dtime), FIELD(ext_inode, gid),
	FIELD(ext_inode, links_count), FIELD(ext_inode, blocks), FIELD(ext_inode, flags),
	FIELD(ext_inode, generation), FIELD(ext_inode, file_acl), FIELD(ext_inode, size_high),
	FIELD(ext_inode, faddr), FIELD(ext_inode, blocks_high), FIELD(ext_inode, file_acl_high),
	FIELD(ext_inode, extra_isize), FIELD(ext_inode, ctime_extra), FIELD(ext_inode, mtime_extra),
	FIELD(ext_inode, atime_extra), FIELD(ext_inode, crtime), FIELD(ext_inode, crtime_extra),
};

static const struct field entry_fields[] = {
	FIELD(ext_dirent, inode), FIELD(ext_dirent, rec_len), FIELD(ext_dirent, name_len),
	{"type", offsetof(struct ext_dirent, file_type), 1},
};

__attribute__((noreturn)) static void bad(const struct editor *e, const char *what, const char *word)
{
	fprintf(stderr, "imgedit: line %u: %s '%s'\n", e->line, what, word ? word : "");
	exit(2);
}

/* ---- bytes ---- */

static void get(const struct editor *e, uint64_t offset, void *buf, size_t len)
{
	if (pread(e->fd, buf, len, (off_t)offset) != (ssize_t)len)
		die("reading at %llu", (unsigned long long)offset);
}

static void put(const struct editor *e, uint64_t offset, const void *buf, size_t len)
{
	if (pwrite(e->fd, buf, len, (off_t)offset) != (ssize_t)len)
		die("writing at %llu", (unsigned long long)offset);
}

static void put_number(const struct editor *e, uint64_t offset, unsigned bytes, uint64_t value)
{
	uint8_t buf[8];
	unsigned i;

	for (i = 0; i < bytes; i++)
		buf[i] = (uint8_t)(value >> (8 * i));
	put(e, offset, buf, bytes);
}

static uint64_t at_block(const struct editor *e, uint64_t block)
{
	return block << e->geo.block_bits;
}

static uint64_t desc_offset(const struct editor *e, group_t g)
{
	return at_block(e, group_desc_location(&e->geo, group_desc_block(&e->geo, g))) +
	       group_desc_offset(&e->geo, g);
}

static void get_desc(const struct editor *e, group_t g, struct ext_group_desc *d)
{
	get(e, desc_offset(e, g), d, sizeof(*d));
}

static uint64_t inode_offset(const struct editor *e, inr_t ino)
{
	struct ext_group_desc d;
	struct inode_place place;

	get_desc(e, group_of_inode(&e->geo, ino), &d);
	place = inode_location(&e->geo, ino, le32_get(d.inode_table));
	return at_block(e, place.block) + place.offset;
}

static void get_inode(const struct editor *e, inr_t ino, struct ext_inode *raw)
{
	memset(raw, 0, sizeof(*raw));
	get(e, inode_offset(e, ino), raw, min((size_t)e->geo.inode_size, sizeof(*raw)));
}

static uint64_t block_of(const struct editor *e, inr_t ino, lblk_t lblk)
{
	unsigned path[BLOCKPATH_DEPTH_MAX];
	le32_t slots[EXT_BLOCK_SIZE_MAX / 4];
	struct ext_inode raw;
	int depth = blockpath(&e->geo, lblk, path), i;
	uint64_t block;

	get_inode(e, ino, &raw);
	block = le32_get(raw.block[path[0]]);
	for (i = 1; i < depth && block; i++) {
		get(e, at_block(e, block), slots, e->geo.block_size);
		block = le32_get(slots[path[i]]);
	}
	return block;
}

/* The byte of the image at which the entry of that name begins. */
static uint64_t find_entry(const struct editor *e, inr_t dir, const char *name, size_t len)
{
	uint8_t block[EXT_BLOCK_SIZE_MAX];
	struct dirblock_entry entry;
	struct ext_inode raw;
	lblk_t lblk;

	get_inode(e, dir, &raw);
	for (lblk = 0; lblk < le32_get(raw.size) >> e->geo.block_bits; lblk++) {
		uint64_t at = block_of(e, dir, lblk);

		get(e, at_block(e, at), block, e->geo.block_size);
		if (!dirblock_find(&e->geo, block, name, (unsigned)len, &entry))
			return at_block(e, at) + entry.offset;
	}
	bad(e, "no entry", name);
}

static inr_t resolve(const struct editor *e, const char *spec)
{
	inr_t ino = EXT_ROOT_INO;
	struct ext_dirent d;

	if (isdigit((unsigned char)*spec))
		return (inr_t)strtoul(spec, NULL, 0);
	while (*spec == '/')
		spec++;
	while (*spec) {
		size_t len = strcspn(spec, "/");

		get(e, find_entry(e, ino, spec, len), &d, sizeof(d));
		ino = le32_get(d.inode);
		spec += len + strspn(spec + len, "/");
	}
	return ino;
}

/* ---- values ---- */

static uint64_t first_free(const struct editor *e)
{
	uint8_t map[EXT_BLOCK_SIZE_MAX];
	struct ext_group_desc d;
	group_t g = e->geo.groups_count - 1;
	uint32_t bits = group_blocks(&e->geo, g);

	get_desc(e, g, &d);
	get(e, at_block(e, le32_get(d.block_bitmap)), map, e->geo.block_size);
	return group_first_block(&e->geo, g) + bitmap_find_clear(map, 0, bits);
}

static uint64_t number_at(const struct editor *e, uint64_t offset, unsigned bytes)
{
	uint8_t buf[8];
	uint64_t value = 0;

	get(e, offset, buf, bytes);
	while (bytes--)
		value = value << 8 | buf[bytes];
	return value;
}

static const struct field *find_field(const struct editor *e, const struct field *fields, size_t count,
				      const char *name)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	bad(e, "no field", name);
}

static uint64_t call(const struct editor *e, const char *fn, char *arg)
{
	char *second = strchr(arg, ',');
	struct ext_group_desc d;
	struct ext_inode raw;

	if (second)
		*second++ = '\0';
	if (!strcmp(fn, "ino"))
		return resolve(e, arg);
	if (!strcmp(fn, "block") && second)
		return block_of(e, resolve(e, arg), strtoul(second, NULL, 0));
	if (!strcmp(fn, "super")) {
		const struct field *f = find_field(e, super_fields, array_size(super_fields), arg);

		return number_at(e, EXT_SUPER_OFFSET + f->offset, f->bytes);
	}
	if (!strcmp(fn, "ind") || !strcmp(fn, "xattr")) {
		get_inode(e, resolve(e, arg), &raw);
		return le32_get(second ? raw.block[strtoul(second, NULL, 0)] : raw.file_acl);
	}
	if (!strcmp(fn, "first"))
		return group_first_block(&e->geo, (group_t)strtoul(arg, NULL, 0));
	get_desc(e, (group_t)strtoul(arg, NULL, 0), &d);
	if (!strcmp(fn, "bbitmap"))
		return le32_get(d.block_bitmap);
	if (!strcmp(fn, "ibitmap"))
		return le32_get(d.inode_bitmap);
	if (!strcmp(fn, "table"))
		return le32_get(d.inode_table);
	bad(e, "no function", fn);
}

/* One number, word or call at *text; moves behind it. */
static uint64_t term(const struct editor *e, char **text)
{
	char word[128];
	size_t len = strcspn(*text, "+-()");

	if (isdigit((unsigned char)**text))
		return strtoull(*text, text, 0);
	snprintf(word, sizeof(word), "%.*s", (int)len, *text);
	*text += len;
	if (**text == '(') {
		char *end = strchr(*text, ')'), *arg = *text + 1;

		if (!end)
			bad(e, "no end of", word);
		*end = '\0';
		*text = end + 1;
		return call(e, word, arg);
	}
	if (!strcmp(word, "end"))
		return e->geo.blocks_count;
	if (!strcmp(word, "inodes"))
		return e->geo.inodes_count;
	if (!strcmp(word, "free"))
		return first_free(e);
	bad(e, "no value", word);
}

static uint64_t value(const struct editor *e, const char *source)
{
	char copy[256], *text = copy;
	uint64_t sum;

	if (!source)
		bad(e, "a value is missing", NULL);
	snprintf(copy, sizeof(copy), "%s", source);
	sum = term(e, &text);
	while (*text) {
		char sign = *text++;
		uint64_t next = term(e, &text);

		if (sign != '+' && sign != '-')
			bad(e, "not a sum", source);
		sum = sign == '+' ? sum + next : sum - next;
	}
	return sum;
}

/* ---- statements ---- */

#define WORDS_MAX 6

static void set_field(const struct editor *e, uint64_t base, const struct field *fields, size_t count,
		      const char *name, const char *source)
{
	const struct field *f = find_field(e, fields, count, name);

	put_number(e, base + f->offset, f->bytes, value(e, source));
}

static void set_inode(const struct editor *e, char **w)
{
	uint64_t base = inode_offset(e, resolve(e, w[1]));
	unsigned slot;

	if (sscanf(w[2], "block[%u]", &slot) == 1)
		put_number(e, base + offsetof(struct ext_inode, block) + slot * 4, 4, value(e, w[3]));
	else
		set_field(e, base, inode_fields_table, array_size(inode_fields_table), w[2], w[3]);
}

static size_t unescape(const char *source, char *bytes, size_t room)
{
	size_t n = 0;

	while (*source && n < room) {
		unsigned code;

		if (sscanf(source, "\\x%2x", &code) == 1) {
			bytes[n++] = (char)code;
			source += 4;
		} else {
			bytes[n++] = *source++;
		}
	}
	return n;
}

static void rename_entry(const struct editor *e, char **w)
{
	uint64_t at = find_entry(e, resolve(e, w[1]), w[2], strlen(w[2]));
	char bytes[256];
	size_t len = unescape(w[3], bytes, sizeof(bytes));

	put(e, at + sizeof(struct ext_dirent), bytes, len);
}

static void set_bit(const struct editor *e, const char *what, uint64_t nr)
{
	bool is_block = strstr(what, "block");
	struct ext_group_desc d;
	group_t g = is_block ? group_of_block(&e->geo, nr) : group_of_inode(&e->geo, (inr_t)nr);
	uint64_t bit = is_block ? block_in_group(&e->geo, nr) : inode_in_group(&e->geo, (inr_t)nr);
	uint8_t byte;
	uint64_t at;

	get_desc(e, g, &d);
	at = at_block(e, le32_get(is_block ? d.block_bitmap : d.inode_bitmap)) + bit / 8;
	get(e, at, &byte, 1);
	if (what[0] == 'u')
		byte |= (uint8_t)(1u << bit % 8);
	else
		byte &= (uint8_t)~(1u << bit % 8);
	put(e, at, &byte, 1);
}

static void fill(const struct editor *e, uint64_t block, uint8_t byte)
{
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];

	memset(bytes, byte, sizeof(bytes));
	put(e, at_block(e, block), bytes, e->geo.block_size);
}

static void copy(const struct editor *e, uint64_t to, uint64_t from)
{
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];

	get(e, at_block(e, from), bytes, e->geo.block_size);
	put(e, at_block(e, to), bytes, e->geo.block_size);
}

static void run_numbers(const struct editor *e, char **w)
{
	uint64_t at = at_block(e, value(e, w[1]));
	uint64_t where = value(e, w[2]);
	uint64_t number = value(e, w[3]);

	if (!strcmp(w[0], "slot"))
		put_number(e, at + where * 4, 4, number);
	else if (!strcmp(w[0], "word"))
		put_number(e, at + where, 4, number);
	else if (!strcmp(w[0], "half"))
		put_number(e, at + where, 2, number);
	else if (!strcmp(w[0], "byte"))
		put_number(e, at + where, 1, number);
	else if (!strcmp(w[0], "bigword"))
		put_number(e, at + where, 4, __builtin_bswap32((uint32_t)number));
	else
		bad(e, "no statement", w[0]);
}

static void run(const struct editor *e, char **w, unsigned n)
{
	if (!strcmp(w[0], "super") && n == 3) {
		set_field(e, EXT_SUPER_OFFSET, super_fields, array_size(super_fields), w[1], w[2]);
	} else if (!strcmp(w[0], "group") && n == 4) {
		set_field(e, desc_offset(e, (group_t)value(e, w[1])), group_fields, array_size(group_fields),
			  w[2], w[3]);
	} else if (!strcmp(w[0], "inode") && n == 4) {
		set_inode(e, w);
	} else if (!strcmp(w[0], "extra") && n == 4) {
		put_number(e, inode_offset(e, resolve(e, w[1])) + value(e, w[2]), 4, value(e, w[3]));
	} else if (!strcmp(w[0], "entry") && n == 5) {
		set_field(e, find_entry(e, resolve(e, w[1]), w[2], strlen(w[2])), entry_fields,
			  array_size(entry_fields), w[3], w[4]);
	} else if (!strcmp(w[0], "rename") && n == 4) {
		rename_entry(e, w);
	} else if (!strcmp(w[0], "zero") && n == 2) {
		fill(e, value(e, w[1]), 0);
	} else if (!strcmp(w[0], "fill") && n == 3) {
		fill(e, value(e, w[1]), (uint8_t)value(e, w[2]));
	} else if (!strcmp(w[0], "copy") && n == 3) {
		copy(e, value(e, w[1]), value(e, w[2]));
	} else if (!strcmp(w[0], "resize") && n == 2) {
		if (ftruncate(e->fd, (off_t)value(e, w[1])) != 0)
			die("resize");
	} else if (n == 2 && (strstr(w[0], "block") || strstr(w[0], "inode"))) {
		set_bit(e, w[0], value(e, w[1]));
	} else if (n == 4) {
		run_numbers(e, w);
	} else {
		bad(e, "no statement", w[0]);
	}
}

int main(int argc, char **argv)
{
	struct editor e = {0};
	char line[512], why[200];

	if (argc != 2) {
		fprintf(stderr, "usage: imgedit IMAGE < RECIPE\n");
		return 2;
	}
	e.fd = open(argv[1], O_RDWR);
	if (e.fd < 0)
		die("%s", argv[1]);
	get(&e, EXT_SUPER_OFFSET, &e.super, sizeof(e.super));
	if (super_check(&e.super, UINT64_MAX, &e.geo, why, sizeof(why))) {
		fprintf(stderr, "imgedit: %s\n", why);
		return 2;
	}
	while (fgets(line, sizeof(line), stdin)) {
		char *words[WORDS_MAX], *save = NULL, *word;
		unsigned n = 0;

		e.line++;
		line[strcspn(line, "#\n")] = '\0';
		for (word = strtok_r(line, " \t", &save); word && n < WORDS_MAX;
		     word = strtok_r(NULL, " \t", &save))
			words[n++] = word;
		if (n)
			run(&e, words, n);
	}
	close(e.fd);
	return 0;
}
