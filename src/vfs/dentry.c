/*
 * Names that were looked up: a bounded table of (directory, name) with the oldest leaving first.
 *
 * An entry hangs in three places: the hash by which it is found, the LRU list of all entries, and
 * the list of its directory, by which a removed directory's entries are found at once. The
 * directory's head exists as long as it has entries. Nothing here may fail a look-up: without
 * memory a name is simply not remembered.
 */
#include "vfs/dentry.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define DENTRY_BUCKETS_HINT 1024u

struct dir_head {
	struct hash_node hash;		/* by number, in heads */
	inr_t dir;
	struct list entries;		/* dentry.sibling; never empty */
};

struct dentry {
	struct hash_node hash;		/* by directory and name, in names */
	struct list lru;
	struct list sibling;
	struct dir_head *head;
	inr_t ino;			/* 0: the name does not exist */
	uint32_t len_bytes;
	char text[];
};

struct dentry_cache {
	uint32_t entries_max;		/* [none: set once at create] */
	struct mutex lock;		/* RANK_ICACHE; guards all below */
	struct hash names, heads;
	struct list lru;		/* oldest first */
	uint32_t nr_entries;
};

int dentry_cache_create(uint32_t entries_max, struct dentry_cache **ret_dc)
{
	struct dentry_cache *dc = mem_zalloc(sizeof(*dc));
	int err;

	if (!dc)
		return -ENOMEM;
	must(entries_max > 0);
	err = hash_init(&dc->names, min(entries_max, DENTRY_BUCKETS_HINT));
	if (err)
		goto out_free;
	err = hash_init(&dc->heads, min(entries_max, DENTRY_BUCKETS_HINT));
	if (err)
		goto out_names;
	dc->entries_max = entries_max;
	mutex_init(&dc->lock, RANK_ICACHE, "dentry table");
	list_init(&dc->lru);
	*ret_dc = dc;
	return 0;
out_names:
	hash_done(&dc->names);
out_free:
	mem_free(dc);
	return err;
}

static void drop(struct dentry_cache *dc, struct dentry *d) needs(dc->lock)
{
	struct dir_head *head = d->head;

	hash_remove(&dc->names, &d->hash);
	list_del(&d->lru);
	list_del(&d->sibling);
	dc->nr_entries--;
	mem_free(d);
	if (list_empty(&head->entries)) {
		hash_remove(&dc->heads, &head->hash);
		mem_free(head);
	}
}

void dentry_cache_destroy(struct dentry_cache *dc)
{
	if (!dc)
		return;
	mutex_lock(&dc->lock);
	while (!list_empty(&dc->lru))
		drop(dc, list_first(&dc->lru, struct dentry, lru));
	mutex_unlock(&dc->lock);
	mutex_done(&dc->lock);
	hash_done(&dc->heads);
	hash_done(&dc->names);
	mem_free(dc);
}

static uint64_t name_hash(inr_t dir, const struct name *name)
{
	return hash_bytes(name->text, name->len_bytes, hash_u64(dir));
}

static struct dentry *find(struct dentry_cache *dc, inr_t dir, const struct name *name,
			   uint64_t hash) needs(dc->lock)
{
	struct hash_node *n;
	struct dentry *d;

	for (n = hash_first(&dc->names, hash); n; n = hash_next_same(n)) {
		d = container_of(n, struct dentry, hash);
		if (d->head->dir == dir && d->len_bytes == name->len_bytes &&
		    memcmp(d->text, name->text, name->len_bytes) == 0)
			return d;
	}
	return NULL;
}

static struct dir_head *find_head(struct dentry_cache *dc, inr_t dir) needs(dc->lock)
{
	struct hash_node *n = hash_first(&dc->heads, hash_u64(dir));
	struct dir_head *head;

	for (; n; n = hash_next_same(n)) {
		head = container_of(n, struct dir_head, hash);
		if (head->dir == dir)
			return head;
	}
	return NULL;
}

static struct dir_head *find_or_make_head(struct dentry_cache *dc, inr_t dir) needs(dc->lock)
{
	struct dir_head *head = find_head(dc, dir);

	if (head)
		return head;
	head = mem_alloc(sizeof(*head));
	if (!head)
		return NULL;
	head->dir = dir;
	list_init(&head->entries);
	hash_insert(&dc->heads, &head->hash, hash_u64(dir));
	return head;
}

enum dentry_answer dentry_find(struct dentry_cache *dc, inr_t dir, const struct name *name, inr_t *ret_ino)
{
	uint64_t hash = name_hash(dir, name);
	enum dentry_answer answer = DENTRY_UNKNOWN;
	struct dentry *d;

	mutex_lock(&dc->lock);
	d = find(dc, dir, name, hash);
	if (d) {
		list_move_tail(&dc->lru, &d->lru);
		answer = d->ino ? DENTRY_POSITIVE : DENTRY_NEGATIVE;
		if (d->ino)
			*ret_ino = d->ino;
	}
	mutex_unlock(&dc->lock);
	return answer;
}

/* Puts a prepared entry in; it is freed when its directory's head cannot be had. */
static void insert(struct dentry_cache *dc, struct dentry *d, inr_t dir, uint64_t hash) needs(dc->lock)
{
	d->head = find_or_make_head(dc, dir);
	if (!d->head) {
		mem_free(d);
		return;
	}
	list_add_tail(&d->head->entries, &d->sibling);
	list_add_tail(&dc->lru, &d->lru);
	hash_insert(&dc->names, &d->hash, hash);
	if (++dc->nr_entries > dc->entries_max)
		drop(dc, list_first(&dc->lru, struct dentry, lru));
}

void dentry_set(struct dentry_cache *dc, inr_t dir, const struct name *name, inr_t ino)
{
	uint64_t hash = name_hash(dir, name);
	struct dentry *d;

	mutex_lock(&dc->lock);
	d = find(dc, dir, name, hash);
	if (d) {
		d->ino = ino;
		list_move_tail(&dc->lru, &d->lru);
		goto out;
	}
	d = mem_alloc(sizeof(*d) + name->len_bytes);
	if (!d)
		goto out;
	list_init(&d->lru);
	list_init(&d->sibling);
	d->ino = ino;
	d->len_bytes = name->len_bytes;
	memcpy(d->text, name->text, name->len_bytes);
	insert(dc, d, dir, hash);
out:
	mutex_unlock(&dc->lock);
}

void dentry_forget(struct dentry_cache *dc, inr_t dir, const struct name *name)
{
	uint64_t hash = name_hash(dir, name);
	struct dentry *d;

	mutex_lock(&dc->lock);
	d = find(dc, dir, name, hash);
	if (d)
		drop(dc, d);
	mutex_unlock(&dc->lock);
}

void dentry_forget_dir(struct dentry_cache *dc, inr_t dir)
{
	struct dir_head *head;

	mutex_lock(&dc->lock);
	/* The head goes with its last entry. */
	while ((head = find_head(dc, dir)))
		drop(dc, list_first(&head->entries, struct dentry, sibling));
	mutex_unlock(&dc->lock);
}
