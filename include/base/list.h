/*
 * base/list.h - intrusive doubly linked rings.
 *
 * Purpose     Lists whose links lie inside the members. The head is a link of the same type.
 * Ownership   A list owns nothing; a member must be off its list before it is freed.
 * Locking     The caller's.
 * Invariants  A link is either initialised (points to itself: on no list) or on one list.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/types.h"

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name) {&(name), &(name)}

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_insert_between(struct list *l, struct list *prev, struct list *next)
{
	l->prev = prev;
	l->next = next;
	prev->next = l;
	next->prev = l;
}

static inline void list_add(struct list *head, struct list *l)
{
	list_insert_between(l, head, head->next);
}

static inline void list_add_tail(struct list *head, struct list *l)
{
	list_insert_between(l, head->prev, head);
}

/* Takes l off its list and leaves it initialised; harmless on a link that is on none. */
static inline void list_del(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

static inline void list_move_tail(struct list *head, struct list *l)
{
	list_del(l);
	list_add_tail(head, l);
}

static inline void list_move(struct list *head, struct list *l)
{
	list_del(l);
	list_add(head, l);
}

/* Appends all of from to head; from is empty afterwards. */
static inline void list_splice_tail(struct list *head, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = head->prev;
	head->prev->next = from->next;
	from->prev->next = head;
	head->prev = from->prev;
	list_init(from);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_last(head, type, member) list_entry((head)->prev, type, member)

#define list_for_each(pos, head, member)                                              \
	for (pos = list_entry((head)->next, __typeof__(*pos), member);               \
	     &pos->member != (head);                                                  \
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))

/* The same where the body may take pos off the list and free it. */
#define list_for_each_safe(pos, tmp, head, member)                                    \
	for (pos = list_entry((head)->next, __typeof__(*pos), member),               \
	    tmp = list_entry(pos->member.next, __typeof__(*pos), member);             \
	     &pos->member != (head);                                                  \
	     pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*tmp), member))

#endif
