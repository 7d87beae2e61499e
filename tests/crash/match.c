/*
 * Is a recovered tree one that is allowed?
 *
 * Names, types, link counts, modes and targets are those of one snapshot. An operation of several
 * transactions (a long write, a truncate) may have been cut: then the size of its file lies
 * between the two snapshots. Each sector of a file is what some version of it had there:
 *
 *	no older than what was last made durable, and
 *	no older than the block itself, where the snapshot says that the file got it later: ordered
 *	data comes before the metadata that names it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crash/model.h"
#include "crash/need.h"

struct matching {
	const struct model *m;
	const struct reader *r;
	const struct expectation *e;
	const struct snapshot *s;
	uint32_t number;		/* of the snapshot */
	uint32_t *ino_of;		/* by node; 0: not met */
	char *why;
	size_t why_size;
};

static bool differs(struct matching *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool differs(struct matching *c, const char *fmt, ...)
{
	va_list args;
	int at = snprintf(c->why, c->why_size, "against the tree after operation %u: ", c->number);

	va_start(args, fmt);
	vsnprintf(c->why + at, c->why_size - (size_t)at, fmt, args);
	va_end(args);
	return false;
}

/* ---- attributes ---- */

/* The operation behind this snapshot was begun and changes this node: it may have been cut. */
static const struct model_state *state_behind(const struct matching *c, uint32_t node)
{
	const struct snapshot *next;

	if (c->number >= c->e->begun || c->number + 1 >= c->m->nr_snapshots)
		return NULL;
	next = &c->m->snapshots[c->number + 1];
	return next->states[node].changed == c->number + 1 ? &next->states[node] : NULL;
}

static bool size_is_right(const struct matching *c, uint32_t node, uint64_t size)
{
	uint64_t here = c->s->states[node].size, there;
	const struct model_state *behind = state_behind(c, node);

	if (size == here || !behind)
		return size == here;
	there = behind->size;
	return here < there ? size >= here && size <= there : size >= there && size <= here;
}

static bool match_attributes(struct matching *c, uint32_t node, const struct rinode *inode, const char *name)
{
	const struct model_state *want = &c->s->states[node];
	char target[MODEL_TARGET_MAX];

	if (inode->mode != want->mode)
		return differs(c, "%s has mode %o instead of %o", name, inode->mode, want->mode);
	if (inode->links != want->links)
		return differs(c, "%s has %u links instead of %u", name, inode->links, want->links);
	if (S_ISREG(want->mode) && !size_is_right(c, node, inode->size))
		return differs(c, "%s has %llu bytes instead of %llu", name, (unsigned long long)inode->size,
			       (unsigned long long)want->size);
	if (S_ISLNK(want->mode)) {
		reader_symlink(c->r, inode, target, sizeof(target));
		if (strcmp(target, c->m->nodes[node].target) != 0)
			return differs(c, "%s leads to '%s'", name, target);
	}
	return true;
}

/* ---- names ---- */

static bool match_names(struct matching *c, uint32_t dir_node, uint32_t dir_ino)
{
	uint32_t nr_found, at = 0, end, i = 0;
	const struct rentry *found = reader_list(c->r, dir_ino, &nr_found);

	while (at < c->s->nr_entries && c->s->entries[at].dir < dir_node)
		at++;
	for (end = at; end < c->s->nr_entries && c->s->entries[end].dir == dir_node;)
		end++;
	for (; at < end; at++, i++) {
		const struct model_entry *want = &c->s->entries[at];
		const struct rinode *inode;

		if (i == nr_found || strlen(want->name) != found[i].len ||
		    memcmp(want->name, found[i].name, found[i].len) != 0)
			return differs(c, "the name %s is missing, or one before it is too many", want->name);
		inode = &c->r->table[found[i].ino];
		if (c->ino_of[want->node] && c->ino_of[want->node] != inode->ino)
			return differs(c, "%s is another inode than its other name", want->name);
		if (c->ino_of[want->node])
			continue;
		c->ino_of[want->node] = inode->ino;
		if (!match_attributes(c, want->node, inode, want->name))
			return false;
		if (S_ISDIR(inode->mode) && !match_names(c, want->node, inode->ino))
			return false;
	}
	return i == nr_found || differs(c, "the name %.*s is too many", found[i].len, (const char *)found[i].name);
}

/* ---- data ---- */

static const struct model_block *find_block(const struct model_version *v, uint64_t index)
{
	uint32_t low = 0, high = v->nr;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (v->blocks[middle].index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low < v->nr && v->blocks[low].index == index ? &v->blocks[low] : NULL;
}

/* The first of the node's versions that may be seen, when nothing older than `op` may. */
static uint32_t first_version(const struct model_node *n, uint32_t op)
{
	uint32_t i = n->nr_versions - 1;

	while (i > 0 && n->versions[i]->op > op)
		i--;
	return i;
}

static const uint8_t zeros[512];

/* Logged data is as old as the tree: that of the snapshot, or of the operation behind it that was cut. */
static bool version_is_of_tree(const struct matching *c, uint32_t node, uint32_t version)
{
	const struct model_state *behind = state_behind(c, node);

	return version == c->s->states[node].version || (behind && version == behind->version);
}

static bool sector_is_right(const struct matching *c, uint32_t node, uint64_t index, uint32_t sector, const uint8_t *bytes,
			    uint32_t len, uint32_t oldest)
{
	const struct model_node *n = &c->m->nodes[node];

	for (uint32_t i = first_version(n, oldest); i < n->nr_versions && n->versions[i]->op <= c->e->begun; i++) {
		const struct model_block *b = find_block(n->versions[i], index);

		if (c->e->data_is_logged && !version_is_of_tree(c, node, i))
			continue;
		if (memcmp(bytes, b ? b->bytes + sector * 512 : zeros, len) == 0)
			return true;
	}
	return false;
}

static bool match_block(struct matching *c, uint32_t node, const struct rinode *inode, uint64_t index)
{
	const struct model_node *n = &c->m->nodes[node];
	const struct model_state *behind = state_behind(c, node);
	const struct model_block *here = find_block(n->versions[c->s->states[node].version], index);
	const uint8_t *bytes = reader_block(c->r, inode, index);
	uint64_t base = index * c->r->block_bytes;
	uint32_t oldest = c->e->data_since[node];

	if (!here && behind && bytes)
		here = find_block(n->versions[behind->version], index);
	if (here && here->since > oldest)
		oldest = here->since;
	for (uint32_t s = 0; s < c->r->block_bytes / 512 && base + s * 512 < inode->size; s++) {
		uint64_t left = inode->size - base - s * 512;
		uint32_t len = left < 512 ? (uint32_t)left : 512;

		if (!sector_is_right(c, node, index, s, bytes ? bytes + s * 512 : zeros, len, oldest))
			return differs(c, "inode %u, byte %llu: not what the file ever had there since operation %u (%s %02x)",
				       inode->ino, (unsigned long long)(base + s * 512), oldest,
				       bytes ? "it begins with" : "a hole", bytes ? bytes[s * 512] : 0);
	}
	return true;
}

/* Every block that the file has on disk or in the version; all others are holes in both. */
static bool match_data(struct matching *c, uint32_t node)
{
	const struct rinode *inode = &c->r->table[c->ino_of[node]];
	const struct model_node *n = &c->m->nodes[node];
	uint64_t end = (inode->size + c->r->block_bytes - 1) / c->r->block_bytes;
	uint32_t per = c->r->block_bytes / 4;

	for (uint64_t index = 0; index < end; index++) {
		/* Far out files are sparse: whole indirect trees of holes are stepped over. */
		if (index >= 12 + per && !reader_block(c->r, inode, index) &&
		    !find_block(n->versions[c->s->states[node].version], index))
			continue;
		if (!match_block(c, node, inode, index))
			return false;
	}
	return true;
}

static bool match_snapshot(struct matching *c, uint32_t root_ino)
{
	memset(c->ino_of, 0, c->s->nr_states * sizeof(c->ino_of[0]));
	c->ino_of[0] = root_ino;
	if (c->r->table[root_ino].links != c->s->states[0].links)
		return differs(c, "the root has %u links instead of %u", c->r->table[root_ino].links,
			       c->s->states[0].links);
	if (!match_names(c, 0, root_ino))
		return false;
	for (uint32_t node = 1; node < c->s->nr_states && !c->e->data_may_be_lost; node++)
		if (c->ino_of[node] && S_ISREG(c->s->states[node].mode) && !match_data(c, node))
			return false;
	return true;
}

/* Whether it is like the snapshot with that number. */
static bool is_like(struct matching *c, uint32_t number, uint32_t root_ino)
{
	c->number = number;
	c->s = &c->m->snapshots[number];
	return match_snapshot(c, root_ino);
}

bool model_matches(const struct model *m, const struct reader *r, const struct expectation *e, uint32_t root_ino,
		   struct match_range *ret_range, char *why, size_t why_size)
{
	struct matching c = {.m = m, .r = r, .e = e, .why = why, .why_size = why_size};
	char first[300] = "", last[300];
	uint32_t k = e->begun + 1;
	bool matches = false;

	c.ino_of = need_memory(malloc((m->nr_nodes + 1) * sizeof(c.ino_of[0])));
	while (!matches && k > e->least) {
		matches = is_like(&c, --k, root_ino);
		if (!matches && !first[0])
			snprintf(first, sizeof(first), "%s", why);
	}
	*ret_range = (struct match_range){.first = k, .last = k};
	snprintf(ret_range->why_not_later, sizeof(ret_range->why_not_later), "%.199s", first);
	/* Trees come back: the same names and targets again, some operations later. */
	for (uint32_t early = e->least; matches && early < ret_range->first; early++)
		if (is_like(&c, early, root_ino))
			ret_range->first = early;
	snprintf(ret_range->why_not_earlier, sizeof(ret_range->why_not_earlier), "%.199s", why);
	free(c.ino_of);
	if (!matches) {
		snprintf(last, sizeof(last), "%s", why);
		snprintf(why, why_size, "the tree is none of those after operations %u to %u: %s", e->least, e->begun, first);
		if (strcmp(first, last) != 0)
			snprintf(why + strlen(why), why_size - strlen(why), "; %s", last);
	}
	return matches;
}
