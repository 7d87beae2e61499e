/* The tree and its history. */
#include "crash/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crash/need.h"

/* ---- memory that goes all at once ---- */

struct arena {
	struct arena *before;
	size_t used, size;
	uint8_t bytes[];
};

static void *arena_get(struct model *m, size_t size)
{
	size = (size + 15) & ~(size_t)15;
	if (!m->arena || m->arena->used + size > m->arena->size) {
		size_t room = size > (64u << 10) ? size : 64u << 10;
		struct arena *a = need_memory(malloc(sizeof(*a) + room));

		*a = (struct arena){.before = m->arena, .size = room};
		m->arena = a;
	}
	m->arena->used += size;
	return m->arena->bytes + m->arena->used - size;
}

static char *arena_string(struct model *m, const char *text)
{
	return strcpy(arena_get(m, strlen(text) + 1), text);
}

/* ---- nodes and names ---- */

static uint32_t new_node(struct model *m, uint16_t mode, uint16_t links, uint32_t number, uint32_t now)
{
	struct model_version *v = arena_get(m, sizeof(*v));
	struct model_node *n;

	if (m->nr_nodes == m->nodes_max) {
		m->nodes_max = m->nodes_max ? m->nodes_max * 2 : 32;
		m->nodes = need_memory(realloc(m->nodes, m->nodes_max * sizeof(m->nodes[0])));
		m->now.states = need_memory(realloc(m->now.states, m->nodes_max * sizeof(m->now.states[0])));
	}
	*v = (struct model_version){.op = number};
	n = &m->nodes[m->nr_nodes];
	*n = (struct model_node){.last_change = number, .last_reach = number, .nr_versions = 1};
	n->versions = need_memory(malloc(sizeof(n->versions[0])));
	n->versions[0] = v;
	m->now.states[m->nr_nodes] = (struct model_state){
		.mode = mode, .links = links, .mtime = now, .changed = number};
	m->now.nr_states = ++m->nr_nodes;
	return m->nr_nodes - 1;
}

struct model *model_create(uint32_t block_bytes)
{
	struct model *m = need_memory(calloc(1, sizeof(*m)));

	m->block_bytes = block_bytes;
	new_node(m, S_IFDIR | 0755, 2, 0, 0);
	return m;
}

void model_destroy(struct model *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->nr_nodes; i++)
		free(m->nodes[i].versions);
	while (m->arena) {
		struct arena *before = m->arena->before;

		free(m->arena);
		m->arena = before;
	}
	free(m->nodes);
	free(m->now.states);
	free(m->now.entries);
	free(m->snapshots);
	free(m);
}

/* Where the entry is, or would have to be. */
static uint32_t place_of(const struct snapshot *s, uint32_t dir, const char *name, bool *ret_is_there)
{
	uint32_t low = 0, high = s->nr_entries;

	*ret_is_there = false;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct model_entry *e = &s->entries[middle];
		int diff = e->dir != dir ? (e->dir < dir ? -1 : 1) : strcmp(e->name, name);

		if (diff == 0) {
			*ret_is_there = true;
			return middle;
		}
		if (diff < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

#define NOBODY UINT32_MAX

static uint32_t look_up(const struct model *m, uint32_t dir, const char *name)
{
	bool is_there;
	uint32_t at = place_of(&m->now, dir, name, &is_there);

	return is_there ? m->now.entries[at].node : NOBODY;
}

static void add_entry(struct model *m, uint32_t dir, const char *name, uint32_t node)
{
	bool is_there;
	uint32_t at = place_of(&m->now, dir, name, &is_there);

	need(!is_there, "a model that agrees with itself");
	if (m->now.nr_entries == m->entries_max) {
		m->entries_max = m->entries_max ? m->entries_max * 2 : 32;
		m->now.entries = need_memory(realloc(m->now.entries, m->entries_max * sizeof(m->now.entries[0])));
	}
	memmove(&m->now.entries[at + 1], &m->now.entries[at], (m->now.nr_entries - at) * sizeof(m->now.entries[0]));
	m->now.entries[at] = (struct model_entry){dir, node, arena_string(m, name)};
	m->now.nr_entries++;
}

static void remove_entry(struct model *m, uint32_t dir, const char *name)
{
	bool is_there;
	uint32_t at = place_of(&m->now, dir, name, &is_there);

	need(is_there, "a model that agrees with itself");
	m->now.nr_entries--;
	memmove(&m->now.entries[at], &m->now.entries[at + 1], (m->now.nr_entries - at) * sizeof(m->now.entries[0]));
}

/* The directory of a path and the last name in it; NOBODY if the way is not there. */
static uint32_t parent_of(const struct model *m, const char *path, const char **ret_name)
{
	uint32_t dir = 0;
	const char *slash;

	while ((slash = strchr(path, '/')) != NULL && dir != NOBODY) {
		char part[OP_PATH_MAX];

		memcpy(part, path, (size_t)(slash - path));
		part[slash - path] = 0;
		dir = look_up(m, dir, part);
		if (dir != NOBODY && !S_ISDIR(m->now.states[dir].mode))
			dir = NOBODY;
		path = slash + 1;
	}
	*ret_name = path;
	return dir;
}

uint32_t model_find(const struct model *m, const char *path)
{
	const char *name;
	uint32_t dir;

	if (!*path)
		return 0;
	dir = parent_of(m, path, &name);
	return dir == NOBODY ? NOBODY : look_up(m, dir, name);
}

static bool is_dir(const struct model *m, uint32_t node)
{
	return S_ISDIR(m->now.states[node].mode);
}

static bool is_file(const struct model *m, uint32_t node)
{
	return S_ISREG(m->now.states[node].mode);
}

static bool is_empty(const struct model *m, uint32_t dir)
{
	bool is_there;
	uint32_t at = place_of(&m->now, dir, "", &is_there);

	return at == m->now.nr_entries || m->now.entries[at].dir != dir;
}

static bool lies_below(const struct model *m, uint32_t node, uint32_t top)
{
	while (node != top && node != 0) {
		uint32_t i = 0;

		while (i < m->now.nr_entries && m->now.entries[i].node != node)
			i++;
		node = i < m->now.nr_entries ? m->now.entries[i].dir : 0;
	}
	return node == top;
}

/* ---- may it be done ---- */

static int try_rename(const struct model *m, const struct op *op)
{
	uint32_t from = model_find(m, op->path), to = model_find(m, op->other), dir;
	const char *name;

	dir = parent_of(m, op->other, &name);
	if (from == NOBODY || dir == NOBODY || (op->kind == OP_EXCHANGE && to == NOBODY))
		return ENOENT;
	if (from == to || (is_dir(m, from) && lies_below(m, dir, from)))
		return EINVAL;
	if (op->kind == OP_EXCHANGE) {
		uint32_t from_dir = parent_of(m, op->path, &name);

		return is_dir(m, to) && lies_below(m, from_dir, to) ? EINVAL : 0;
	}
	if (to == NOBODY)
		return 0;
	if (is_dir(m, from) != is_dir(m, to))
		return is_dir(m, to) ? EISDIR : ENOTDIR;
	return is_dir(m, to) && !is_empty(m, to) ? ENOTEMPTY : 0;
}

static int try_new(const struct model *m, const char *path)
{
	const char *name;
	uint32_t dir = parent_of(m, path, &name);

	if (dir == NOBODY)
		return ENOENT;
	return look_up(m, dir, name) == NOBODY ? 0 : EEXIST;
}

int model_try(const struct model *m, const struct op *op)
{
	uint32_t node = model_find(m, op->path);

	switch (op->kind) {
	case OP_CREAT:
	case OP_MKDIR:
	case OP_MKFIFO:
	case OP_SYMLINK:
		return try_new(m, op->path);
	case OP_SYNC:
	case OP_WAIT:
	case OP_TRIM:
	case OP_RELEASE:
		return 0;
	default:
		break;
	}
	if (node == NOBODY)
		return ENOENT;
	switch (op->kind) {
	case OP_LINK:
		return is_dir(m, node) ? EPERM : try_new(m, op->other);
	case OP_UNLINK:
		return is_dir(m, node) ? EISDIR : 0;
	case OP_RMDIR:
		if (node == 0)
			return EBUSY;
		return !is_dir(m, node) ? ENOTDIR : is_empty(m, node) ? 0 : ENOTEMPTY;
	case OP_RENAME:
	case OP_EXCHANGE:
		return try_rename(m, op);
	case OP_WRITE:
	case OP_TRUNCATE:
	case OP_PUNCH:
		return is_file(m, node) ? 0 : EINVAL;
	case OP_FSYNC:
	case OP_FDATASYNC:
		return is_file(m, node) || is_dir(m, node) ? 0 : EINVAL;
	default:
		return 0;
	}
}

/* ---- contents ---- */

static const struct model_version *latest(const struct model *m, uint32_t node)
{
	return m->nodes[node].versions[m->nodes[node].nr_versions - 1];
}

static const struct model_block *block_of(const struct model_version *v, uint64_t index)
{
	uint32_t low = 0, high = v->nr;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (v->blocks[middle].index == index)
			return &v->blocks[middle];
		if (v->blocks[middle].index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static void touch(struct model *m, uint32_t node, uint32_t number)
{
	m->nodes[node].last_change = number;
	m->now.states[node].changed = number;
}

static struct model_version *add_version(struct model *m, uint32_t node, uint32_t number, uint32_t room)
{
	struct model_node *n = &m->nodes[node];
	struct model_version *v = arena_get(m, sizeof(*v));

	*v = (struct model_version){.op = number, .blocks = arena_get(m, (room + 1) * sizeof(v->blocks[0]))};
	if ((n->nr_versions & (n->nr_versions - 1)) == 0)
		n->versions = need_memory(realloc(n->versions, 2 * n->nr_versions * sizeof(n->versions[0])));
	n->versions[n->nr_versions++] = v;
	m->now.states[node].version = n->nr_versions - 1;
	touch(m, node, number);
	return v;
}

static uint8_t *copy_block(struct model *m, const struct model_block *old)
{
	uint8_t *bytes = arena_get(m, m->block_bytes);

	if (old)
		memcpy(bytes, old->bytes, m->block_bytes);
	else
		memset(bytes, 0, m->block_bytes);
	return bytes;
}

static void apply_write(struct model *m, uint32_t node, uint64_t pos, uint64_t len, uint32_t number, uint32_t fill)
{
	const struct model_version *old = latest(m, node);
	uint32_t first = (uint32_t)(pos / m->block_bytes), last = (uint32_t)((pos + len - 1) / m->block_bytes), i = 0;
	struct model_version *v = add_version(m, node, number, old->nr + last - first + 1);

	for (; i < old->nr && old->blocks[i].index < first; i++)
		v->blocks[v->nr++] = old->blocks[i];
	for (uint32_t b = first; b <= last; b++) {
		const struct model_block *before = block_of(old, b);
		uint64_t base = (uint64_t)b * m->block_bytes, from = pos > base ? pos : base;
		uint64_t end = pos + len < base + m->block_bytes ? pos + len : base + m->block_bytes;
		uint8_t *bytes = copy_block(m, before);

		op_fill(fill, from, bytes + (from - base), end - from);
		v->blocks[v->nr++] = (struct model_block){b, before ? before->since : number, bytes};
	}
	while (i < old->nr && old->blocks[i].index <= last)
		i++;
	for (; i < old->nr; i++)
		v->blocks[v->nr++] = old->blocks[i];
	if (v->nr > old->nr || pos + len > m->now.states[node].size)
		m->nodes[node].last_reach = number;
	if (pos + len > m->now.states[node].size)
		m->now.states[node].size = pos + len;
}

/* Bytes [pos, end) become a hole, or zeros where a block stays. */
static void apply_clear(struct model *m, uint32_t node, uint64_t pos, uint64_t end, uint32_t number)
{
	const struct model_version *old = latest(m, node);
	struct model_version *v = add_version(m, node, number, old->nr);

	for (uint32_t i = 0; i < old->nr; i++) {
		struct model_block b = old->blocks[i];
		uint64_t base = (uint64_t)b.index * m->block_bytes, limit = base + m->block_bytes;
		uint64_t from = pos > base ? pos : base, to = end < limit ? end : limit;

		if (from <= base && to >= limit)
			continue;
		if (from < to) {
			b.bytes = copy_block(m, &b);
			memset(b.bytes + (from - base), 0, to - from);
		}
		v->blocks[v->nr++] = b;
	}
}

static void apply_truncate(struct model *m, uint32_t node, uint64_t size, uint32_t number)
{
	if (size < m->now.states[node].size)
		apply_clear(m, node, size, UINT64_MAX, number);
	m->now.states[node].size = size;
	m->nodes[node].last_reach = number;
	touch(m, node, number);
}

static void apply_punch(struct model *m, uint32_t node, uint64_t pos, uint64_t len, uint32_t number)
{
	uint64_t size = m->now.states[node].size, end = pos + len;

	if (pos >= size)
		return;
	m->nodes[node].last_reach = number;
	apply_clear(m, node, pos, end >= size ? (size + m->block_bytes - 1) / m->block_bytes * m->block_bytes : end, number);
}

/* ---- names ---- */

static void touch_dir(struct model *m, uint32_t dir, uint32_t number, uint32_t now)
{
	touch(m, dir, number);
	m->nodes[dir].last_reach = number;
	m->now.states[dir].mtime = now;
}

static void apply_new(struct model *m, const struct op *op, uint16_t mode, uint32_t number, uint32_t now)
{
	const char *name;
	uint32_t dir = parent_of(m, op->path, &name);
	uint32_t node = new_node(m, mode, S_ISDIR(mode) ? 2 : 1, number, now);

	if (S_ISLNK(mode)) {
		m->nodes[node].target = arena_string(m, op->other);
		m->now.states[node].size = strlen(op->other);
	}
	add_entry(m, dir, name, node);
	m->now.states[dir].links = (uint16_t)(m->now.states[dir].links + S_ISDIR(mode));
	touch_dir(m, dir, number, now);
}

static void drop_name(struct model *m, uint32_t dir, const char *name, uint32_t number, uint32_t now)
{
	uint32_t node = look_up(m, dir, name);
	bool was_dir = is_dir(m, node);

	remove_entry(m, dir, name);
	m->now.states[node].links = was_dir ? 0 : (uint16_t)(m->now.states[node].links - 1);
	m->now.states[dir].links = (uint16_t)(m->now.states[dir].links - was_dir);
	touch(m, node, number);
	touch_dir(m, dir, number, now);
}

static void apply_rename(struct model *m, const struct op *op, uint32_t number, uint32_t now)
{
	const char *from_name, *to_name;
	uint32_t from_dir = parent_of(m, op->path, &from_name), to_dir = parent_of(m, op->other, &to_name);
	uint32_t node = look_up(m, from_dir, from_name), over = look_up(m, to_dir, to_name);

	if (op->kind == OP_RENAME && over != NOBODY)
		drop_name(m, to_dir, to_name, number, now);
	remove_entry(m, from_dir, from_name);
	m->now.states[from_dir].links = (uint16_t)(m->now.states[from_dir].links - is_dir(m, node));
	if (op->kind == OP_EXCHANGE) {
		remove_entry(m, to_dir, to_name);
		m->now.states[to_dir].links = (uint16_t)(m->now.states[to_dir].links - is_dir(m, over));
		add_entry(m, from_dir, from_name, over);
		m->now.states[from_dir].links = (uint16_t)(m->now.states[from_dir].links + is_dir(m, over));
		touch(m, over, number);
	}
	add_entry(m, to_dir, to_name, node);
	m->now.states[to_dir].links = (uint16_t)(m->now.states[to_dir].links + is_dir(m, node));
	touch(m, node, number);
	touch_dir(m, from_dir, number, now);
	touch_dir(m, to_dir, number, now);
}

static void apply_link(struct model *m, const struct op *op, uint32_t number, uint32_t now)
{
	uint32_t node = model_find(m, op->path);
	const char *name;
	uint32_t dir = parent_of(m, op->other, &name);

	add_entry(m, dir, name, node);
	m->now.states[node].links++;
	touch(m, node, number);
	touch_dir(m, dir, number, now);
}

void model_apply(struct model *m, const struct op *op, uint32_t number, uint64_t done_bytes, uint32_t now)
{
	uint32_t node = model_find(m, op->path);
	const char *name;
	uint32_t dir;

	switch (op->kind) {
	case OP_CREAT:
		apply_new(m, op, S_IFREG | 0644, number, now);
		break;
	case OP_MKDIR:
		apply_new(m, op, S_IFDIR | 0755, number, now);
		break;
	case OP_MKFIFO:
		apply_new(m, op, S_IFIFO | 0644, number, now);
		break;
	case OP_SYMLINK:
		apply_new(m, op, S_IFLNK | 0777, number, now);
		break;
	case OP_LINK:
		apply_link(m, op, number, now);
		break;
	case OP_UNLINK:
	case OP_RMDIR:
		dir = parent_of(m, op->path, &name);
		drop_name(m, dir, name, number, now);
		break;
	case OP_RENAME:
	case OP_EXCHANGE:
		apply_rename(m, op, number, now);
		break;
	case OP_CHMOD:
		m->now.states[node].mode = (uint16_t)((m->now.states[node].mode & S_IFMT) | op->len);
		touch(m, node, number);
		break;
	case OP_WRITE:
		if (done_bytes)
			apply_write(m, node, op->pos, done_bytes, number, op->fill ? op->fill : number);
		m->now.states[node].mtime = now;
		break;
	case OP_TRUNCATE:
		apply_truncate(m, node, op->len, number);
		m->now.states[node].mtime = now;
		break;
	case OP_PUNCH:
		apply_punch(m, node, op->pos, op->len, number);
		m->now.states[node].mtime = now;
		break;
	default:
		break;
	}
}

/* ---- snapshots and promises ---- */

void model_take_snapshot(struct model *m)
{
	struct snapshot *s;

	if (m->nr_snapshots == m->snapshots_max) {
		m->snapshots_max = m->snapshots_max ? m->snapshots_max * 2 : 16;
		m->snapshots = need_memory(realloc(m->snapshots, m->snapshots_max * sizeof(m->snapshots[0])));
	}
	s = &m->snapshots[m->nr_snapshots++];
	*s = m->now;
	s->states = memcpy(arena_get(m, s->nr_states * sizeof(s->states[0])), m->now.states,
			   s->nr_states * sizeof(s->states[0]));
	s->entries = arena_get(m, (s->nr_entries + 1) * sizeof(s->entries[0]));
	if (s->nr_entries)
		memcpy(s->entries, m->now.entries, s->nr_entries * sizeof(s->entries[0]));
}

uint32_t model_promise(const struct model *m, const struct op *op, uint32_t number)
{
	uint32_t node = model_find(m, op->path);

	switch (op->kind) {
	case OP_SYNC:
		return number;
	case OP_FSYNC:
		return node == NOBODY ? 0 : m->nodes[node].last_change;
	case OP_FDATASYNC:
		return node == NOBODY ? 0 : m->nodes[node].last_reach;
	default:
		return 0;
	}
}
