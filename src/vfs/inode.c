/*
 * The inode table: one struct inode for each inode in use, its references, its end.
 *
 * An inode is in the table from before it is read until after it is evicted, so that its number
 * is never served twice at once. Who finds one that is on its way in or out waits and then looks
 * again; he holds no reference meanwhile, so nobody has to tell him how it ended.
 *
 *	                  read_inode ok,
 *	  inode_get  NEW  inode_set_live    LIVE   last put, nlink 0, or    EVICTING
 *	  (miss) --> [in table] ---------> [in table] -- oldest unused --> [in table] --> gone
 *	  inode_create  |                                                      ^
 *	                +-- read failed: gone      put without set_live -------+
 *
 * C1  refs goes from 0 to 1 and from 1 to 0 only under icache_lock; other steps are atomic. So an
 *     inode seen under the lock with refs 0 stays so.
 * C2  a LIVE inode with refs 0 is on the LRU list if it has links; any other is not. One without
 *     links stays, off the list, while the kernel knows it (lookups > 0).
 * C3  read_inode and evict_inode run without icache_lock. During them only this thread has the
 *     inode.
 * C4  nlink may be read at refs 0: whoever changed it had a reference, and dropped it before.
 * C5  what the kernel was given is counted in inode->lookups from LIVE to EVICTING, and in
 *     sb->known before and after; lookups goes down, and moves, only under icache_lock.
 */
#include "vfs.h"

#include <errno.h>

#include "base/assert.h"
#include "base/log.h"
#include "known.h"

/* The oldest that are looked at for one that needs no writing before it can go. */
#define SURPLUS_TRIES 8

void inode_init(struct inode *inode, struct super *sb)
{
	inode->sb = sb;
	inode->ino = 0;
	inode->generation = 0;
	inode->iops = NULL;
	inode->fops = NULL;
	rwlock_init(&inode->lock, RANK_INODE, "inode");
	mutex_init(&inode->attr_lock, RANK_LEAF, "inode attr");
	inode->attr = (struct inode_attr){0};
	list_init(&inode->lru);
	inode->state = INODE_NEW;
	atomic_init(&inode->refs, 0);
	atomic_init(&inode->lookups, 0);
}

void inode_done(struct inode *inode)
{
	must(list_empty(&inode->lru));
	mutex_done(&inode->attr_lock);
	rwlock_done(&inode->lock);
}

static struct inode *table_find(struct super *sb, inr_t ino) needs(sb->icache_lock)
{
	struct hash_node *n = hash_first(&sb->inodes, hash_u64(ino));
	struct inode *inode;

	for (; n; n = hash_next_same(n)) {
		inode = container_of(n, struct inode, hash);
		if (inode->ino == ino)
			return inode;
	}
	return NULL;
}

static void table_insert(struct super *sb, struct inode *inode, inr_t ino) needs(sb->icache_lock)
{
	inode->ino = ino;
	inode->state = INODE_NEW;
	atomic_store_explicit(&inode->refs, 1, memory_order_relaxed);
	hash_insert(&sb->inodes, &inode->hash, hash_u64(ino));
}

/* Takes the inode out and frees it; everybody who waited for it looks again. */
static void table_remove(struct inode *inode)
{
	struct super *sb = inode->sb;

	mutex_lock(&sb->icache_lock);
	hash_remove(&sb->inodes, &inode->hash);
	cond_broadcast(&sb->inode_ready);
	mutex_unlock(&sb->icache_lock);
	sb->ops->free_inode(inode);
}

void inode_set_live(struct inode *inode)
{
	struct super *sb = inode->sb;

	mutex_lock(&sb->icache_lock);
	must(inode->state == INODE_NEW);
	inode->state = INODE_LIVE;
	atomic_fetch_add(&inode->lookups, known_take(&sb->known, inode->ino));	/* C5 */
	cond_broadcast(&sb->inode_ready);
	mutex_unlock(&sb->icache_lock);
}

static void ref_live(struct inode *inode) needs(inode->sb->icache_lock)
{
	if (atomic_fetch_add_explicit(&inode->refs, 1, memory_order_relaxed) > 0 || list_empty(&inode->lru))
		return;
	list_del(&inode->lru);
	inode->sb->nr_unused--;
}

static int read_new(struct inode *inode)
{
	int err = inode->sb->ops->read_inode(inode);

	if (err)
		table_remove(inode);
	else
		inode_set_live(inode);
	return err;
}

/* The live inode with a new reference, or NULL: not in the table. Waits for those in between. */
static struct inode *find_live(struct super *sb, inr_t ino) needs(sb->icache_lock)
{
	struct inode *inode = table_find(sb, ino);

	while (inode && inode->state != INODE_LIVE) {
		cond_wait(&sb->inode_ready, &sb->icache_lock);
		inode = table_find(sb, ino);
	}
	if (inode)
		ref_live(inode);
	return inode;
}

int inode_get(struct super *sb, inr_t ino, struct inode **ret_inode)
{
	struct inode *inode, *fresh;
	int err;

	mutex_lock(&sb->icache_lock);
	inode = find_live(sb, ino);
	mutex_unlock(&sb->icache_lock);
	if (inode)
		goto found;

	fresh = sb->ops->alloc_inode(sb);
	if (!fresh)
		return -ENOMEM;
	mutex_lock(&sb->icache_lock);
	inode = find_live(sb, ino);
	if (!inode)
		table_insert(sb, fresh, ino);
	mutex_unlock(&sb->icache_lock);
	if (inode) {
		sb->ops->free_inode(fresh);
		goto found;
	}
	err = read_new(fresh);
	if (err)
		return err;
	inode = fresh;
found:
	*ret_inode = inode;
	return 0;
}

int inode_create(struct super *sb, inr_t ino, struct inode **ret_inode)
{
	struct inode *fresh = sb->ops->alloc_inode(sb);
	struct inode *other;

	if (!fresh)
		return -ENOMEM;
	mutex_lock(&sb->icache_lock);
	/*
	 * The number was just found free: what stands here under it is on its way out, or is read
	 * in vain through a stale handle. If it is alive, the disk has it both free and in use.
	 */
	while ((other = table_find(sb, ino)) && other->state != INODE_LIVE)
		cond_wait(&sb->inode_ready, &sb->icache_lock);
	if (!other)
		table_insert(sb, fresh, ino);
	mutex_unlock(&sb->icache_lock);
	if (other) {
		sb->ops->free_inode(fresh);
		return -EUCLEAN;
	}
	*ret_inode = fresh;
	return 0;
}

struct inode *inode_ref(struct inode *inode)
{
	must(atomic_fetch_add_explicit(&inode->refs, 1, memory_order_relaxed) > 0);
	return inode;
}

static void set_evicting(struct inode *inode) needs(inode->sb->icache_lock)
{
	inode->state = INODE_EVICTING;
	trace("vfs.evict", inode->ino, inode->attr.nlink);
}

static void evict(struct inode *inode)
{
	inode->sb->ops->evict_inode(inode);
	table_remove(inode);
}

/* Racy, and a hint. */
static bool needs_writing(const struct inode *inode)
{
	return inode->mapping.nr_dirty > 0 || inode->mapping.nr_writeback > 0;
}

/*
 * Which unused inode is to go, or NULL: an old one whose data is written already, so that nobody
 * waits for a disk. Those that are not yet get another round, up to a quarter over the bound.
 */
static struct inode *choose_surplus(struct super *sb) needs(sb->icache_lock)
{
	struct inode *inode;

	if (sb->nr_unused <= sb->unused_max)
		return NULL;
	for (int i = 0; i < SURPLUS_TRIES; i++) {
		inode = list_first(&sb->inode_lru, struct inode, lru);
		if (!needs_writing(inode))
			return inode;
		list_del(&inode->lru);
		list_add_tail(&sb->inode_lru, &inode->lru);
	}
	return sb->nr_unused - sb->unused_max > sb->unused_max / 4 ?
	       list_first(&sb->inode_lru, struct inode, lru) : NULL;
}

/* An unused inode, set to EVICTING, when there are more than the bound; else NULL. */
static struct inode *take_surplus(struct super *sb)
{
	struct inode *inode;

	mutex_lock(&sb->icache_lock);
	inode = choose_surplus(sb);
	/* Without memory for its count it stays: the bound can wait. */
	if (inode && known_put(&sb->known, inode->ino, atomic_load(&inode->lookups)) != 0)
		inode = NULL;
	if (inode) {
		list_del(&inode->lru);
		sb->nr_unused--;
		set_evicting(inode);
	}
	mutex_unlock(&sb->icache_lock);
	return inode;
}

static void shrink_unused(struct super *sb)
{
	struct inode *inode;

	while ((inode = take_surplus(sb)))
		evict(inode);
}

/* Drops one of several references without the lock; false when it may be the last. */
static bool put_shared(struct inode *inode)
{
	uint32_t refs = atomic_load_explicit(&inode->refs, memory_order_relaxed);

	while (refs > 1)
		if (atomic_compare_exchange_weak_explicit(&inode->refs, &refs, refs - 1,
							  memory_order_release, memory_order_relaxed))
			return true;
	must(refs == 1);
	return false;
}

void inode_put(struct inode *inode)
{
	struct super *sb;
	bool is_surplus = false, is_gone = false;

	if (!inode || put_shared(inode))
		return;
	sb = inode->sb;
	mutex_lock(&sb->icache_lock);
	if (atomic_fetch_sub_explicit(&inode->refs, 1, memory_order_acq_rel) == 1) {
		if (inode->state == INODE_NEW)	/* its creator gave up: as if it had been unlinked */
			inode->attr.nlink = 0;
		is_gone = inode->attr.nlink == 0 && atomic_load(&inode->lookups) == 0;
		if (is_gone) {
			set_evicting(inode);
		} else if (inode->attr.nlink > 0) {
			list_add_tail(&sb->inode_lru, &inode->lru);
			is_surplus = ++sb->nr_unused > sb->unused_max;
		}
	}
	mutex_unlock(&sb->icache_lock);
	if (is_gone)
		evict(inode);
	else if (is_surplus)
		shrink_unused(sb);
}

/* Givings and takings. */

void inode_remember(struct inode *inode)
{
	atomic_fetch_add(&inode->lookups, 1);
}

/* The lock is held, though the count is atomic: what was not given cannot be taken. */
static void lower_lookups(struct inode *inode, uint64_t by) needs(inode->sb->icache_lock)
{
	uint64_t before = atomic_load(&inode->lookups);

	while (!atomic_compare_exchange_weak(&inode->lookups, &before, before - min(by, before)))
		;
}

struct inode *inode_forget(struct super *sb, inr_t ino, uint64_t by)
{
	struct inode *inode;

	mutex_lock(&sb->icache_lock);
	inode = find_live(sb, ino);
	if (inode)
		lower_lookups(inode, by);
	else
		known_lower(&sb->known, ino, by);
	mutex_unlock(&sb->icache_lock);
	return inode;
}

void inode_attr(struct inode *inode, struct inode_attr *ret_attr)
{
	mutex_lock(&inode->attr_lock);
	*ret_attr = inode->attr;
	mutex_unlock(&inode->attr_lock);
}

void inode_drop_all(struct super *sb)
{
	struct hash_node *n;
	struct inode *inode;

	mutex_lock(&sb->icache_lock);
	for (n = hash_iterate(&sb->inodes, NULL); n; n = hash_iterate(&sb->inodes, n)) {
		inode = container_of(n, struct inode, hash);
		must(inode->state == INODE_LIVE);
		atomic_store_explicit(&inode->refs, 0, memory_order_relaxed);
		atomic_store_explicit(&inode->lookups, 0, memory_order_relaxed);
		if (!list_empty(&inode->lru))
			continue;
		list_add_tail(&sb->inode_lru, &inode->lru);
		sb->nr_unused++;
	}
	sb->unused_max = 0;
	mutex_unlock(&sb->icache_lock);
	shrink_unused(sb);
}
