/*
 * Options by table; numbers with units.
 *
 * A list is cut at its commas. Words that stand twice count as the later says. Nothing is
 * guessed: what does not fit exactly is refused, with the word in the sentence.
 */
#include "base/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* Digits of the base from *at on; false without any, or when they overflow. */
static bool read_digits(const char **at, unsigned base, uint64_t *ret)
{
	const char *s = *at;
	uint64_t v = 0;

	for (;; s++) {
		unsigned digit;

		if (*s >= '0' && *s <= '9')
			digit = (unsigned)(*s - '0');
		else if (base == 16 && (*s | 0x20) >= 'a' && (*s | 0x20) <= 'f')
			digit = (unsigned)((*s | 0x20) - 'a') + 10;
		else
			break;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit, &v))
			return false;
	}
	if (s == *at)
		return false;
	*at = s;
	*ret = v;
	return true;
}

static bool read_number(const char **at, uint64_t *ret)
{
	if ((*at)[0] == '0' && ((*at)[1] == 'x' || (*at)[1] == 'X')) {
		*at += 2;
		return read_digits(at, 16, ret);
	}
	return read_digits(at, 10, ret);
}

int parse_u64(const char *text, uint64_t *ret)
{
	uint64_t v;

	if (!read_number(&text, &v) || *text != '\0')
		return -EINVAL;
	*ret = v;
	return 0;
}

int parse_size(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "kmgt";
	const char *unit;
	uint64_t v;

	if (!read_number(&text, &v))
		return -EINVAL;
	if (*text != '\0') {
		unit = strchr(units, *text | 0x20);
		if (!unit || text[1] != '\0')
			return -EINVAL;
		if (__builtin_mul_overflow(v, 1ull << (10 * (unit - units + 1)), &v))
			return -EINVAL;
	}
	*ret_bytes = v;
	return 0;
}

/* One word of the list, cut at its first '='. */
struct word {
	const char *key;
	const char *value;	/* NULL: no '=' */
};

struct parse {
	void *target;
	char *err;
	size_t err_size;
};

static int refuse(const struct parse *p, const char *fmt, ...) printf_like(2, 3);
static int refuse(const struct parse *p, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(p->err, p->err_size, fmt, args);
	va_end(args);
	return -EINVAL;
}

static void *target_of(const struct parse *p, const struct option_row *row)
{
	return (char *)p->target + row->offset;
}

static int set_number(const struct parse *p, const struct option_row *row, const struct word *w)
{
	bool is_size = row->kind == OPTION_SIZE;
	uint64_t v;

	if (is_size ? parse_size(w->value, &v) : parse_u64(w->value, &v))
		return refuse(p, "option %s: \"%s\" is not a %s", w->key, w->value,
			      is_size ? "size such as 4096, 64k or 1G" : "number");
	if (v < row->min)
		return refuse(p, "option %s: %s is less than %llu", w->key, w->value,
			      (unsigned long long)row->min);
	if (row->max && v > row->max)
		return refuse(p, "option %s: %s is more than %llu", w->key, w->value,
			      (unsigned long long)row->max);
	*(uint64_t *)target_of(p, row) = v;
	return 0;
}

static int set_string(const struct parse *p, const struct option_row *row, const struct word *w)
{
	char **target = target_of(p, row);
	char *copy = mem_strdup(w->value);

	if (!copy) {
		refuse(p, "option %s: no memory", w->key);
		return -ENOMEM;
	}
	mem_free(*target);
	*target = copy;
	return 0;
}

static int set_choice(const struct parse *p, const struct option_row *row, const struct word *w)
{
	const char *choice = row->choices;

	for (int i = 0;; i++) {
		size_t len = strcspn(choice, "|");

		if (len == strlen(w->value) && memcmp(choice, w->value, len) == 0) {
			*(int *)target_of(p, row) = i;
			return 0;
		}
		if (choice[len] == '\0')
			break;
		choice += len + 1;
	}
	return refuse(p, "option %s: \"%s\" is none of %s", w->key, w->value, row->choices);
}

static int apply(const struct parse *p, const struct option_row *row, const struct word *w)
{
	if (row->kind == OPTION_IGNORE)
		return 0;
	if (row->kind == OPTION_FLAG) {
		if (w->value)
			return refuse(p, "option %s takes no value", w->key);
		*(bool *)target_of(p, row) = row->value != 0;
		return 0;
	}
	if (!w->value)
		return refuse(p, "option %s needs a value: %s=...", w->key, w->key);
	if (row->kind == OPTION_STRING)
		return set_string(p, row, w);
	if (row->kind == OPTION_CHOICE)
		return set_choice(p, row, w);
	return set_number(p, row, w);
}

/* A key may stand in two rows, as a flag and with a value: then the one that fits is meant. */
static const struct option_row *find_row(const struct option_row *rows, size_t nr_rows, const char *key,
					 bool has_value)
{
	const struct option_row *found = NULL;

	for (size_t i = 0; i < nr_rows; i++) {
		if (strcmp(rows[i].key, key) != 0)
			continue;
		if ((rows[i].kind != OPTION_FLAG) == has_value)
			return &rows[i];
		if (!found)
			found = &rows[i];
	}
	return found;
}

/* text is one word; it is cut in place when the table knows it. */
static int parse_word(const struct parse *p, const struct option_row *rows, size_t nr_rows, char *text,
		      options_unknown_fn unknown, void *arg)
{
	char *equals = strchr(text, '=');
	const struct option_row *row;
	struct word w = {.key = text};
	int taken;

	if (equals)
		*equals = '\0';
	row = find_row(rows, nr_rows, text, equals != NULL);
	if (row) {
		w.value = equals ? equals + 1 : NULL;
		return apply(p, row, &w);
	}
	if (equals)
		*equals = '=';
	taken = unknown ? unknown(arg, text, p->err, p->err_size) : 0;
	if (taken < 0)
		return taken;
	return taken ? 0 : refuse(p, "unknown option \"%s\"", text);
}

int options_parse(const struct option_row *rows, size_t nr_rows, const char *list, void *target,
		  options_unknown_fn unknown, void *arg, char *err, size_t err_size)
{
	struct parse p = {.target = target, .err = err, .err_size = err_size};
	char *copy = mem_strdup(list);
	char *rest = copy;
	char *text;
	int result = 0;

	if (!copy) {
		refuse(&p, "options: no memory");
		return -ENOMEM;
	}
	while (result == 0 && (text = strsep(&rest, ",")))
		if (*text != '\0')
			result = parse_word(&p, rows, nr_rows, text, unknown, arg);
	mem_free(copy);
	return result;
}

void options_done(const struct option_row *rows, size_t nr_rows, void *target)
{
	for (size_t i = 0; i < nr_rows; i++) {
		if (rows[i].kind == OPTION_STRING) {
			char **string = (char **)(void *)((char *)target + rows[i].offset);

			mem_free(*string);
			*string = NULL;
		}
	}
}
