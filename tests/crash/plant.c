/*
 * Faults planted into what was recorded: what a file system with that mistake would have written.
 * The production code has no switch for any of this; the laboratory must find each of them.
 */
#include <stdlib.h>
#include <string.h>

#include "crash/lab.h"
#include "crash/need.h"

#define LOG_MAGIC 0xc03b3998u
enum { LOG_COMMIT = 2, LOG_SUPER = 4, LOG_REVOKE = 5 };

static uint32_t be32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool is_in_log(const struct lab *lab, const struct run_write *w)
{
	return lab->flat->is_log[w->sector];
}

static bool is_log_block(const struct lab *lab, const struct run_write *w, const uint8_t *block, uint32_t type)
{
	return is_in_log(lab, w) && be32_at(block) == LOG_MAGIC && be32_at(block + 4) == type;
}

static bool is_commit(const struct lab *lab, const struct run_write *w)
{
	return w->count * SECTOR_SIZE == lab->config.block_bytes && is_log_block(lab, w, w->bytes, LOG_COMMIT);
}

/* With a checksum the commit block goes out with its transaction. */
static bool ends_with_commit(const struct lab *lab, const struct run_write *w)
{
	return is_log_block(lab, w, w->bytes + w->count * SECTOR_SIZE - lab->config.block_bytes, LOG_COMMIT);
}

static bool is_log_super(const struct lab *lab, const struct run_write *w)
{
	return is_log_block(lab, w, w->bytes, LOG_SUPER);
}

static bool is_new_tail(const struct lab *lab, const struct run_write *w)
{
	return w->is_fua && is_log_super(lab, w);
}

static void drop_flush(struct run *run, uint32_t i)
{
	run->nr_flushes--;
	memmove(&run->flushes[i], &run->flushes[i + 1], (run->nr_flushes - i) * sizeof(run->flushes[0]));
}

/* The flushes right before the writes that `is_it` knows. */
static void drop_flushes_before(struct run *run, const struct lab *lab,
				bool (*is_it)(const struct lab *lab, const struct run_write *w))
{
	for (uint32_t i = 0; i < run->nr_writes; i++)
		for (uint32_t k = run->nr_flushes; k-- > 0 && is_it(lab, &run->writes[i]);)
			if (run->flushes[k].completed + 1 == run->writes[i].submitted)
				drop_flush(run, k);
}

static int by_submission(const void *a, const void *b)
{
	const struct run_write *x = a, *y = b;

	return x->submitted < y->submitted ? -1 : x->submitted > y->submitted;
}

/* So that there is room between any two events. */
static void stretch(struct run *run, uint64_t times)
{
	for (uint32_t i = 0; i < run->nr_writes; i++) {
		run->writes[i].submitted *= times;
		run->writes[i].completed *= times;
	}
	for (uint32_t i = 0; i < run->nr_flushes; i++) {
		run->flushes[i].submitted *= times;
		run->flushes[i].completed *= times;
	}
	for (uint32_t i = 1; i <= run->actors[0].ops.nr; i++) {
		run->actors[0].marks[i].begun *= times;
		run->actors[0].marks[i].returned *= times;
	}
	run->last_tick *= times;
}

/* File data that came before a commit block comes behind it. */
static void put_data_behind(struct run *run, const struct lab *lab)
{
	uint64_t room = run->nr_writes + 2;
	uint32_t done = 0;

	stretch(run, room);
	for (uint32_t i = 0; i < run->nr_writes; i++) {
		uint64_t at = run->writes[i].completed;

		if (!is_commit(lab, &run->writes[i]))
			continue;
		for (uint32_t k = done; k < i; k++)
			if (!run->writes[k].is_meta && !is_in_log(lab, &run->writes[k]))
				run->writes[k].submitted = run->writes[k].completed = ++at;
		done = i;
	}
	qsort(run->writes, run->nr_writes, sizeof(run->writes[0]), by_submission);
}

/* A commit block comes before what it commits. */
static void put_commit_first(struct run *run, const struct lab *lab)
{
	stretch(run, 4);
	for (uint32_t i = 1; i < run->nr_writes; i++) {
		uint32_t k = i;

		if (!is_commit(lab, &run->writes[i]))
			continue;
		while (k > 0 && is_in_log(lab, &run->writes[k - 1]) && !is_commit(lab, &run->writes[k - 1]) &&
		       !is_log_super(lab, &run->writes[k - 1]))
			k--;
		run->writes[i].submitted = run->writes[k].submitted - 2;
		run->writes[i].completed = run->writes[k].submitted - 1;
	}
	qsort(run->writes, run->nr_writes, sizeof(run->writes[0]), by_submission);
}

/* Discards come before the commit block that makes their blocks free. */
static void put_discards_first(struct run *run, const struct lab *lab)
{
	stretch(run, 4);
	for (uint32_t i = 0; i < run->nr_writes; i++) {
		uint32_t k = i;

		if (!run->writes[i].is_discard)
			continue;
		while (k > 0 && !ends_with_commit(lab, &run->writes[k]))
			k--;
		run->writes[i].submitted = run->writes[k].submitted - 2;
		run->writes[i].completed = run->writes[k].submitted - 1;
	}
	qsort(run->writes, run->nr_writes, sizeof(run->writes[0]), by_submission);
}

/* Changes the recorded bytes, block by block. */
static void change_blocks(struct run *run, const struct lab *lab,
			  void (*fn)(const struct lab *lab, const struct run_write *w, uint8_t *block))
{
	for (uint32_t i = 0; i < run->nr_writes; i++)
		for (uint32_t at = 0; at + lab->config.block_bytes <= run->writes[i].count * SECTOR_SIZE;
		     at += lab->config.block_bytes)
			fn(lab, &run->writes[i], (uint8_t *)(uintptr_t)run->writes[i].bytes + at);
}

static void empty_revoke(const struct lab *lab, const struct run_write *w, uint8_t *block)
{
	if (is_log_block(lab, w, block, LOG_REVOKE))
		memcpy(block + 12, "\0\0\0\x10", 4);
}

/* 1 KiB blocks: the superblock is a block of its own. */
static void forget_orphans(const struct lab *lab, const struct run_write *w, uint8_t *block)
{
	(void)w;
	if (lab->config.block_bytes == 1024 && block[56] == 0x53 && block[57] == 0xef &&
	    memcmp(block + 104, lab->fresh + 1024 + 104, 16) == 0)
		memset(block + 232, 0, 4);
}

bool run_plant(struct run *run, const struct lab *lab, const char *fault)
{
	if (strcmp(fault, "no-flush") == 0)
		run->nr_flushes = 0;
	else if (strcmp(fault, "no-flush-before-commit") == 0)
		drop_flushes_before(run, lab, is_commit);
	else if (strcmp(fault, "commit-first") == 0)
		put_commit_first(run, lab);
	else if (strcmp(fault, "data-behind-commit") == 0)
		put_data_behind(run, lab);
	else if (strcmp(fault, "no-revoke") == 0)
		change_blocks(run, lab, empty_revoke);
	else if (strcmp(fault, "no-orphan") == 0)
		change_blocks(run, lab, forget_orphans);
	else if (strcmp(fault, "early-tail") == 0)
		drop_flushes_before(run, lab, is_new_tail);
	else if (strcmp(fault, "early-discard") == 0)
		put_discards_first(run, lab);
	else if (strcmp(fault, "split-rename") != 0 && strcmp(fault, "replay-without-revoke") != 0)
		return false;
	return true;
}

/* Recovery that does not look at revokes: the log on the disk has none. */
void plant_at_recovery(struct lab *lab)
{
	uint32_t per = lab->config.block_bytes / SECTOR_SIZE;

	for (uint32_t s = 0; s < lab->config.size_bytes / SECTOR_SIZE; s += per) {
		uint8_t block[SECTOR_SIZE];

		if (!lab->flat->is_log[s])
			continue;
		memcpy(block, lab->flat->bytes + (size_t)s * SECTOR_SIZE, SECTOR_SIZE);
		if (be32_at(block) != LOG_MAGIC || be32_at(block + 4) != LOG_REVOKE)
			continue;
		memcpy(block + 12, "\0\0\0\x10", 4);
		flat_write(lab->flat, s, 1, block);
	}
}
