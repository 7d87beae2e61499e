/* Pass 4: an inode has as many links as directories have entries for it, and at least one. */
#include "pass4.h"

#include <sys/stat.h>

#include "base/bitmap.h"
#include "base/mem.h"
#include "layout/xattr.h"
#include "pass3.h"

/* No blocks and no attributes: there is nothing in it that a name in lost+found would save. */
static bool is_empty(struct fsck *f, union inode_buf *buf)
{
	unsigned mode = le16_get(buf->raw.mode);
	struct xattr_area area;

	return !le32_get(buf->raw.blocks) && (S_ISREG(mode) || S_ISDIR(mode)) &&
	       xattr_area_in_inode(&f->geo, buf->bytes, &area) != 0;
}

/* False: nothing more is to be said about this inode. */
static bool connect(struct fsck *f, inr_t ino)
{
	union inode_buf buf;

	if (!fsck_read_inode(f, ino, &buf))
		return false;
	if (is_empty(f, &buf) && problem(f, INODE_UNATTACHED_EMPTY, (struct where){.ino = ino})) {
		fsck_clear_inode(f, ino, &buf);
		return false;
	}
	return problem(f, INODE_UNATTACHED, (struct where){.ino = ino}) && pass3_reconnect(f, ino);
}

static void check_links(struct fsck *f, inr_t ino)
{
	uint16_t links = f->links[ino - 1], counted;
	struct where w = {.ino = ino};
	union inode_buf buf;

	if (f->counted[ino - 1] == 0 && !connect(f, ino))
		return;
	counted = f->counted[ino - 1];
	if (bitmap_test(f->ino_dir, ino - 1) && counted > EXT_LINK_MAX)
		counted = 1;
	w.num = links;
	w.num2 = counted;
	if (links == counted || !problem(f, LINKS_WRONG, w) || !fsck_read_inode(f, ino, &buf))
		return;
	buf.raw.links_count = le16_make(counted);
	fsck_write_inode(f, ino, &buf);
}

void pass4(struct fsck *f)
{
	const struct geometry *geo = &f->geo;
	uint64_t bit = 0;

	f->pass_name = "4";
	while ((bit = bitmap_find_set(f->ino_used, bit, geo->inodes_count)) < geo->inodes_count) {
		inr_t ino = (inr_t)++bit;

		if (ino == EXT_ROOT_INO || ino >= geo->first_ino)
			check_links(f, ino);
		if (ino % geo->inodes_per_group == 0)
			fsck_progress(f, 4, group_of_inode(geo, ino), geo->groups_count);
	}
	fsck_progress(f, 4, 1, 1);
	mem_free(f->links);
	mem_free(f->counted);
	f->links = f->counted = NULL;
}
