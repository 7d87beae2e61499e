/*
 * The model's frame: two trees, the log of steps, checkpoints.
 */
#include "model.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "harness/runner.h"
#include "vfs/namei.h"

#define PHASE_STEPS 700

static void print_log(const struct model *m)
{
	uint64_t first = m->nr_steps >= MODEL_LOG ? m->nr_steps - MODEL_LOG + 1 : 1;

	for (uint64_t n = first; n <= m->nr_steps; n++)
		fprintf(stderr, "  %llu: %s\n", (unsigned long long)n, m->log[n % MODEL_LOG]);
}

void model_fail(struct model *m, const char *fmt, ...)
{
	const struct image_recipe *r = &m->config.recipe;
	char text[500];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fprintf(stderr, "model: seed %llu, step %llu, %s, blocks of %u, inodes of %u, %llu bytes\n",
		(unsigned long long)m->seed, (unsigned long long)m->nr_steps, r->is_ext3 ? "ext3" : "ext2",
		r->block_bytes, r->inode_bytes, (unsigned long long)r->size_bytes);
	print_log(m);
	trace_dump(stderr, 40);
	ck_abort_msg("%s", text);
	abort();
}

void model_note(struct model *m, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(m->log[m->nr_steps % MODEL_LOG], MODEL_LOG_BYTES, fmt, args);
	va_end(args);
}

static void settle_now(struct model *m)
{
	m->o->now = clock_wall(m->stack.clock);
}

/* Mounting and unmounting. */

static void mount_image(struct model *m)
{
	int err = stack_mount(&m->config.stack, m->fd, &m->stack);

	if (err)
		model_fail(m, "mount: %s: %s", strerror(-err), m->stack.why);
	m->root = m->stack.sb->root;
}

static void release_held(struct model *m, struct held *h)
{
	if (!h->node)
		return;
	file_close(h->file);
	inode_put(h->inode);
	oracle_release(m->o, h->node);
	*h = (struct held){0};
}

static void release_all(struct model *m)
{
	for (unsigned i = 0; i < MODEL_HELD; i++)
		release_held(m, &m->held[i]);
}

static void unmount_image(struct model *m)
{
	int err;

	release_all(m);
	err = stack_unmount(&m->stack);
	if (err)
		model_fail(m, "unmount: %s", strerror(-err));
}

static void check_image(struct model *m)
{
	char report[4000];
	int status = temp_image_fsck(m->fd, report, sizeof(report));

	if (status == 0)
		return;
	fprintf(stderr, "%s\n", report);
	model_fail(m, "e2fsck says %d", status);
}

/* What mkfs made besides the root is taken into the oracle as it is. */
static void adopt_lost_and_found(struct model *m)
{
	struct name name = {"lost+found", 10};
	struct onode *node;
	struct inode *inode;

	if (vfs_lookup(m->stack.sb->root, &name, &inode))
		model_fail(m, "no lost+found");
	must(oracle_mknod(m->o, m->o->root, &name, S_IFDIR, 0, 0, &stack_root, &node) == 0);
	inode_attr(inode, &node->attr);
	node->ino = inode->ino;
	inode_attr(m->stack.sb->root, &m->o->root->attr);
	inode_put(inode);
}

static void create_oracle(struct model *m)
{
	struct oracle_limits limits = {
		.links_max = m->stack.sb->links_max,
		.symlink_max = min(m->config.recipe.block_bytes - 1, 4095u),
		.file_bytes_max = m->stack.sb->file_bytes_max,
	};
	struct inode_attr root_attr;

	inode_attr(m->root, &root_attr);
	m->o = oracle_create(&limits, &root_attr);
	m->o->root->ino = m->root->ino;
}

static void init(struct model *m, const struct model_config *config, uint64_t seed)
{
	memset(m, 0, sizeof(*m));
	m->config = *config;
	m->seed = seed;
	m->is_paranoid = getenv("MODEL_PARANOID") != NULL;
	m->tree_options.has_nanoseconds = config->recipe.inode_bytes > 128;
	rand_init(&m->rand, seed);
}

void model_create(struct model *m, const struct model_config *config, uint64_t seed)
{
	init(m, config, seed);
	m->fd = temp_image_make(&config->recipe);
	mount_image(m);
	create_oracle(m);
	adopt_lost_and_found(m);
}

void model_create_guest(struct model *m, const struct model_config *config, const struct stack *stack,
			struct inode *dir, uint64_t seed)
{
	init(m, config, seed);
	m->stack = *stack;
	m->is_guest = true;
	m->tree_options.ignores_times = true;
	m->root = inode_ref(dir);
	create_oracle(m);
	m->outside.ino = stack->sb->root->ino;
	m->outside.attr = stack->sb->root->attr;
	m->outside.parent = &m->outside;
	m->o->root->parent = &m->outside;
}

void model_destroy(struct model *m)
{
	if (m->is_guest) {
		release_all(m);
		inode_put(m->root);
	} else {
		unmount_image(m);
		close(m->fd);
	}
	oracle_destroy(m->o);
}

void model_stop_atime(struct model *m)
{
	if (!m->is_guest)
		m->stack.sb->atime_mode = ATIME_NONE;
}

void model_move_atime(struct model *m)
{
	if (!m->is_guest)
		m->stack.sb->atime_mode = ATIME_RELATIME;
}

void model_compare(struct model *m)
{
	char why[300];

	model_stop_atime(m);
	if (!tree_same(m->root, m->o, &m->tree_options, why, sizeof(why)))
		model_fail(m, "the trees differ: %s", why);
	model_move_atime(m);
}

void model_checkpoint(struct model *m)
{
	model_compare(m);
	unmount_image(m);
	check_image(m);
	mount_image(m);
	model_compare(m);
}

/* A step. */

struct inode *model_inode(struct model *m, const struct onode *node)
{
	struct inode *inode;
	int err = inode_get(m->stack.sb, node->ino, &inode);

	if (err)
		model_fail(m, "inode %u is gone: %s", node->ino, strerror(-err));
	return inode;
}

void model_touch(struct model *m, struct onode *node)
{
	must(m->nr_touched < MODEL_TOUCHED);
	oracle_hold(node);
	m->touched[m->nr_touched++] = node;
}

bool model_had_space(struct model *m, ssize_t got, uint64_t blocks_needed)
{
	struct statfs_info info;

	if (got != -ENOSPC)
		return true;
	m->nr_nospace++;
	must(super_statfs(m->stack.sb, &info) == 0);
	if (info.files_free > 0 && info.blocks_available > blocks_needed)
		model_fail(m, "no space, with %llu blocks and %llu inodes free",
			   (unsigned long long)info.blocks_available, (unsigned long long)info.files_free);
	for (unsigned i = 0; i < m->nr_touched; i++)
		m->touched[i]->times_are_vague = true;
	return false;
}

void model_expect(struct model *m, ssize_t got, ssize_t want)
{
	if (got != want)
		model_fail(m, "the answer is %zd (%s), not %zd (%s)", got, got < 0 ? strerror((int)-got) : "",
			   want, want < 0 ? strerror((int)-want) : "");
}

static void compare_node(struct model *m, struct onode *node)
{
	struct inode *inode = model_inode(m, node);
	char why[300];

	if (!tree_same_inode(inode, node, &m->tree_options, false, why, sizeof(why)))
		model_fail(m, "%s", why);
	inode_put(inode);
}

static void compare_touched(struct model *m)
{
	while (m->nr_touched) {
		struct onode *node = m->touched[--m->nr_touched];

		/* One without links and without another holder is gone from the mount already. */
		if (node->attr.nlink > 0 || node->nr_held > 1)
			compare_node(m, node);
		oracle_release(m->o, node);
	}
}

/* Time goes on between steps, so that times that should move are seen to. */
static void pass_time(struct model *m)
{
	uint64_t ms = rand_one_in(&m->rand, 500) ? 90000000 : rand_below(&m->rand, 3) * 1000;

	if (m->tree_options.has_nanoseconds)
		ms += rand_below(&m->rand, 500);
	if (!m->is_guest)
		stack_pass_time(&m->stack, ms);
	settle_now(m);
}

void model_step(struct model *m)
{
	m->nr_steps++;
	if (m->nr_steps % PHASE_STEPS == 0)
		m->is_shrinking = !m->is_shrinking;
	model_note(m, "?");
	pass_time(m);
	if (rand_one_in(&m->rand, 2))
		model_step_names(m);
	else
		model_step_data(m);
	compare_touched(m);
	if (m->is_paranoid)
		for (size_t i = 0; i < m->o->nr_nodes; i++)
			compare_node(m, m->o->nodes[i]);
}
