/* Operations as text, one table for both directions. */
#include "crash/op.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash/need.h"

/* Arguments: p path, q second path or target, n position, l length, o octal. */
static const struct {
	const char *word, *args;
} words[OP_NR_KINDS] = {
	[OP_CREAT] = {"creat", "p"},	   [OP_MKDIR] = {"mkdir", "p"},	  [OP_MKFIFO] = {"mkfifo", "p"},
	[OP_LINK] = {"link", "pq"},	   [OP_SYMLINK] = {"symlink", "pq"}, [OP_UNLINK] = {"unlink", "p"},
	[OP_RMDIR] = {"rmdir", "p"},	   [OP_RENAME] = {"rename", "pq"},	  [OP_EXCHANGE] = {"exchange", "pq"},
	[OP_CHMOD] = {"chmod", "po"},	   [OP_WRITE] = {"write", "pnl"},	  [OP_TRUNCATE] = {"truncate", "pl"},
	[OP_PUNCH] = {"punch", "pnl"},	   [OP_FSYNC] = {"fsync", "p"},	  [OP_FDATASYNC] = {"fdatasync", "p"},
	[OP_SYNC] = {"sync", ""},	   [OP_HOLD] = {"hold", "p"},	  [OP_RELEASE] = {"release", "p"},
	[OP_WAIT] = {"wait", "l"},	   [OP_TRIM] = {"trim", ""},
};

bool op_makes_durable(const struct op *op)
{
	return op->kind == OP_FSYNC || op->kind == OP_FDATASYNC || op->kind == OP_SYNC;
}

void op_list_add(struct op_list *list, const struct op *op)
{
	if (list->nr == list->nr_max) {
		list->nr_max = list->nr_max ? list->nr_max * 2 : 8;
		list->ops = need_memory(realloc(list->ops, list->nr_max * sizeof(list->ops[0])));
	}
	list->ops[list->nr++] = *op;
}

void op_list_done(struct op_list *list)
{
	free(list->ops);
	*list = (struct op_list){0};
}

static bool read_arg(struct op *op, char kind, const char *word)
{
	char *end = NULL;

	switch (kind) {
	case 'p':
		/* The root has no name of its own. */
		return snprintf(op->path, sizeof(op->path), "%s", strcmp(word, "/") ? word : "") < (int)sizeof(op->path);
	case 'q':
		return snprintf(op->other, sizeof(op->other), "%s", word) < (int)sizeof(op->other);
	case 'n':
		op->pos = strtoull(word, &end, 10);
		return *end == 0;
	default:
		op->len = strtoull(word, &end, kind == 'o' ? 8 : 10);
		return *end == 0;
	}
}

static bool parse_one(struct op_list *list, char *text)
{
	char *save = NULL, *word = strtok_r(text, " \n\t", &save);
	struct op op = {0};
	unsigned kind = 0;

	if (!word)
		return true;
	while (kind < OP_NR_KINDS && strcmp(words[kind].word, word) != 0)
		kind++;
	if (kind == OP_NR_KINDS)
		return false;
	op.kind = kind;
	for (const char *a = words[kind].args; *a; a++) {
		word = strtok_r(NULL, " \n\t", &save);
		if (!word || !read_arg(&op, *a, word))
			return false;
	}
	op_list_add(list, &op);
	return true;
}

bool op_list_parse(struct op_list *list, const char *text)
{
	char *copy = need_memory(strdup(text)), *save = NULL;
	bool is_good = true;

	for (char *part = strtok_r(copy, ";", &save); part && is_good; part = strtok_r(NULL, ";", &save))
		is_good = parse_one(list, part);
	free(copy);
	return is_good;
}

void op_list_addf(struct op_list *list, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	need(op_list_parse(list, text), text);
}

void op_print(const struct op *op, char *to, size_t size)
{
	size_t at = (size_t)snprintf(to, size, "%s", words[op->kind].word);

	for (const char *a = words[op->kind].args; *a && at < size; a++) {
		if (*a == 'p')
			at += (size_t)snprintf(to + at, size - at, " %s", op->path[0] ? op->path : "/");
		else if (*a == 'q')
			at += (size_t)snprintf(to + at, size - at, " %s", op->other);
		else
			at += (size_t)snprintf(to + at, size - at, *a == 'o' ? " %" PRIo64 : " %" PRIu64,
					       *a == 'n' ? op->pos : op->len);
	}
}

void op_fill(uint32_t number, uint64_t pos, void *to, size_t len)
{
	uint8_t *bytes = to;

	/* Never zero, and told apart by operation in every byte and by place in every sector. */
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(1 + (number * 37 + (pos + i) / 512 * 5 + (pos + i) % 7) % 250);
}
