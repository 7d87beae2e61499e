/*
 * base/rbtree.h - an intrusive red-black tree.
 *
 * Purpose     Ordered sets whose nodes lie inside the members: reservation windows, requests.
 * Ownership   The tree owns nothing.
 * Locking     The caller's.
 * Invariants  R1 no red node has a red child; R2 every path has as many black nodes (rbtree_check).
 */
#ifndef BASE_RBTREE_H
#define BASE_RBTREE_H

#include "base/types.h"

struct rbnode {
	struct rbnode *parent, *left, *right;
	bool is_red, is_linked;
};

/* Negative, 0 or positive as a stands before, at or behind b. */
typedef int (*rbtree_cmp_fn)(const struct rbnode *a, const struct rbnode *b);
/* The same for a key against a node. */
typedef int (*rbtree_key_cmp_fn)(const void *key, const struct rbnode *n);

struct rbtree {
	struct rbnode *root;
	rbtree_cmp_fn cmp;
	size_t nr_nodes;
};

void rbtree_init(struct rbtree *t, rbtree_cmp_fn cmp);
/* Equals are allowed; a new one goes behind its equals. */
void rbtree_insert(struct rbtree *t, struct rbnode *n);
void rbtree_remove(struct rbtree *t, struct rbnode *n);
static inline bool rbnode_is_linked(const struct rbnode *n)
{
	return n->is_linked;
}
struct rbnode *rbtree_first(const struct rbtree *t);
struct rbnode *rbtree_last(const struct rbtree *t);
struct rbnode *rbtree_next(const struct rbnode *n);
struct rbnode *rbtree_prev(const struct rbnode *n);
struct rbnode *rbtree_find(const struct rbtree *t, const void *key, rbtree_key_cmp_fn cmp);
/* The first node not before key, or NULL; the last node not behind key, or NULL. */
struct rbnode *rbtree_lower_bound(const struct rbtree *t, const void *key, rbtree_key_cmp_fn cmp);
struct rbnode *rbtree_upper_below(const struct rbtree *t, const void *key, rbtree_key_cmp_fn cmp);
void rbtree_check(const struct rbtree *t);	/* must()s R1, R2 and the order */

#endif
