/*
 * The red-black tree, after Guibas and Sedgewick 1978 in the form of Cormen et al., chapter 13.
 *
 * Missing children count as black leaves. Insertion hangs a red node at the bottom and repairs R1
 * upwards; removal may take a black node out of one side and repairs R2 upwards. Both sides are
 * mirror images; here one piece of code serves both, with the side as a parameter:
 * child(n, LEFT) and child(n, RIGHT).
 */
#include "base/rbtree.h"

#include "base/assert.h"

enum side { LEFT, RIGHT };

static enum side other(enum side s)
{
	return s == LEFT ? RIGHT : LEFT;
}

static struct rbnode **child(struct rbnode *n, enum side s)
{
	return s == LEFT ? &n->left : &n->right;
}

static enum side side_of(const struct rbnode *n)
{
	return n->parent->left == n ? LEFT : RIGHT;
}

static bool is_red(const struct rbnode *n)
{
	return n && n->is_red;
}

void rbtree_init(struct rbtree *t, rbtree_cmp_fn cmp)
{
	*t = (struct rbtree){.cmp = cmp};
}

/* Puts `by` (or nothing) where n hangs. n's own links stay as they are. */
static void replace(struct rbtree *t, struct rbnode *n, struct rbnode *by)
{
	if (!n->parent)
		t->root = by;
	else
		*child(n->parent, side_of(n)) = by;
	if (by)
		by->parent = n->parent;
}

/*
 * n goes down to side s, its child of the other side takes its place:
 *
 *	    n               up
 *	   / \             /  \
 *	  a   up    ->    n    c		(s is LEFT)
 *	     /  \        / \
 *	    b    c      a   b
 */
static void rotate(struct rbtree *t, struct rbnode *n, enum side s)
{
	struct rbnode *up = *child(n, other(s));
	struct rbnode *inner = *child(up, s);

	replace(t, n, up);
	*child(n, other(s)) = inner;
	if (inner)
		inner->parent = n;
	*child(up, s) = n;
	n->parent = up;
}

/* n is red; its parent may be red too, and nothing else is wrong. */
static void repair_red(struct rbtree *t, struct rbnode *n)
{
	while (is_red(n->parent)) {
		struct rbnode *parent = n->parent;
		struct rbnode *grand = parent->parent;	/* there is one: the root is black */
		enum side s = side_of(parent);
		struct rbnode *uncle = *child(grand, other(s));

		if (is_red(uncle)) {
			parent->is_red = uncle->is_red = false;
			grand->is_red = true;
			n = grand;
			continue;
		}
		if (side_of(n) != s) {
			rotate(t, parent, s);
			parent = n;
		}
		parent->is_red = false;
		grand->is_red = true;
		rotate(t, grand, other(s));
		break;
	}
	t->root->is_red = false;
}

void rbtree_insert(struct rbtree *t, struct rbnode *n)
{
	struct rbnode **at = &t->root;
	struct rbnode *parent = NULL;

	while (*at) {
		parent = *at;
		at = child(parent, t->cmp(n, parent) < 0 ? LEFT : RIGHT);
	}
	*n = (struct rbnode){.parent = parent, .is_red = true, .is_linked = true};
	*at = n;
	t->nr_nodes++;
	repair_red(t, n);
}

/* The paths through `parent`'s side s have one black node too few; what hangs there is not red. */
static void repair_black(struct rbtree *t, struct rbnode *parent, enum side s)
{
	for (;;) {
		struct rbnode *sibling = *child(parent, other(s));

		if (sibling->is_red) {
			sibling->is_red = false;
			parent->is_red = true;
			rotate(t, parent, s);
			sibling = *child(parent, other(s));
		}
		if (is_red(sibling->left) || is_red(sibling->right)) {
			if (!is_red(*child(sibling, other(s)))) {
				(*child(sibling, s))->is_red = false;
				sibling->is_red = true;
				rotate(t, sibling, other(s));
				sibling = *child(parent, other(s));
			}
			sibling->is_red = parent->is_red;
			parent->is_red = false;
			(*child(sibling, other(s)))->is_red = false;
			rotate(t, parent, s);
			return;
		}
		sibling->is_red = true;
		if (parent->is_red || !parent->parent) {
			parent->is_red = false;
			return;
		}
		s = side_of(parent);
		parent = parent->parent;
	}
}

/* n has two children: its successor, which has no left one, takes its place, and n the successor's. */
static void swap_with_next(struct rbtree *t, struct rbnode *n)
{
	struct rbnode *next = rbtree_next(n);
	struct rbnode was = *n;
	struct rbnode *next_right = next->right;
	struct rbnode *next_parent = next->parent;
	bool next_is_red = next->is_red;

	replace(t, n, next);
	next->is_red = was.is_red;
	next->left = was.left;
	next->left->parent = next;
	if (next_parent == n) {
		next->right = n;
		n->parent = next;
	} else {
		next->right = was.right;
		next->right->parent = next;
		next_parent->left = n;
		n->parent = next_parent;
	}
	n->is_red = next_is_red;
	n->left = NULL;
	n->right = next_right;
	if (next_right)
		next_right->parent = n;
}

void rbtree_remove(struct rbtree *t, struct rbnode *n)
{
	struct rbnode *only, *parent;
	enum side s = LEFT;

	must(n->is_linked);
	if (n->left && n->right)
		swap_with_next(t, n);
	only = n->left ? n->left : n->right;
	parent = n->parent;
	if (parent)
		s = side_of(n);
	replace(t, n, only);
	if (only)
		only->is_red = false;	/* R2: an only child is red, its parent was black */
	else if (!n->is_red && parent)
		repair_black(t, parent, s);
	n->is_linked = false;
	t->nr_nodes--;
}

/* Walking. */

static struct rbnode *outermost(struct rbnode *n, enum side s)
{
	while (n && *child(n, s))
		n = *child(n, s);
	return n;
}

static struct rbnode *neighbour(const struct rbnode *from, enum side s)
{
	struct rbnode *n = (struct rbnode *)(uintptr_t)from;

	if (*child(n, s))
		return outermost(*child(n, s), other(s));
	while (n->parent && side_of(n) == s)
		n = n->parent;
	return n->parent;
}

struct rbnode *rbtree_first(const struct rbtree *t)
{
	return outermost(t->root, LEFT);
}

struct rbnode *rbtree_last(const struct rbtree *t)
{
	return outermost(t->root, RIGHT);
}

struct rbnode *rbtree_next(const struct rbnode *n)
{
	return neighbour(n, RIGHT);
}

struct rbnode *rbtree_prev(const struct rbnode *n)
{
	return neighbour(n, LEFT);
}

struct rbnode *rbtree_lower_bound(const struct rbtree *t, const void *key, rbtree_key_cmp_fn cmp)
{
	struct rbnode *best = NULL;

	for (struct rbnode *n = t->root; n;) {
		if (cmp(key, n) <= 0) {
			best = n;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return best;
}

struct rbnode *rbtree_upper_below(const struct rbtree *t, const void *key, rbtree_key_cmp_fn cmp)
{
	struct rbnode *best = NULL;

	for (struct rbnode *n = t->root; n;) {
		if (cmp(key, n) >= 0) {
			best = n;
			n = n->right;
		} else {
			n = n->left;
		}
	}
	return best;
}

struct rbnode *rbtree_find(const struct rbtree *t, const void *key, rbtree_key_cmp_fn cmp)
{
	struct rbnode *n = rbtree_lower_bound(t, key, cmp);

	return n && cmp(key, n) == 0 ? n : NULL;
}

/* Returns the number of black nodes on each path down from n. */
static unsigned check_below(const struct rbtree *t, const struct rbnode *n, size_t *nr_seen)
{
	unsigned left, right;

	if (!n)
		return 1;
	must(n->is_linked);
	must(!n->left || n->left->parent == n);
	must(!n->right || n->right->parent == n);
	must(!n->left || t->cmp(n->left, n) <= 0);
	must(!n->right || t->cmp(n, n->right) <= 0);
	must(!n->is_red || (!is_red(n->left) && !is_red(n->right)));	/* R1 */
	left = check_below(t, n->left, nr_seen);
	right = check_below(t, n->right, nr_seen);
	must(left == right);						/* R2 */
	(*nr_seen)++;
	return left + !n->is_red;
}

void rbtree_check(const struct rbtree *t)
{
	struct rbnode *next;
	size_t nr_seen = 0;

	must(!is_red(t->root));
	must(!t->root || !t->root->parent);
	check_below(t, t->root, &nr_seen);
	must(nr_seen == t->nr_nodes);
	for (struct rbnode *n = rbtree_first(t); n; n = next) {
		next = rbtree_next(n);
		must(!next || t->cmp(n, next) <= 0);
	}
}
