/* Sequences and scripts. */
#include "crash/workloads.h"

#include <stdio.h>
#include <string.h>

#include "base/rand.h"
#include "base/types.h"

#define LONG_TARGET "a/target/that/is/too/long/for/the/inode/and/needs/a/block/of/its/own/0123456789"

const char workload_setup[] = "mkdir A; mkdir B; creat foo; write foo 0 2500; creat A/foo; write A/foo 0 1700";

static const char *const universe[] = {
	"creat bar",
	"creat A/bar",
	"mkdir c",
	"mkdir A/c",
	"mkfifo bar",
	"link foo bar",
	"link foo A/bar",
	"link A/foo B/foo",
	"symlink bar short",
	"symlink A/bar " LONG_TARGET,
	"unlink foo",
	"unlink A/foo",
	"rmdir B",
	"rename foo bar",
	"rename foo A/foo",
	"rename A/foo B/foo",
	"rename A/foo foo",
	"rename A B",
	"rename B A/c",
	"exchange foo A/foo",
	"exchange A B",
	"chmod foo 600",
	"write foo 500 300",
	"write foo 2500 900",
	"write foo 6000 100",
	"write foo 1000 100",
	"write foo 4000 300",
	"write A/foo 0 20000",
	"truncate foo 700",
	"truncate foo 0",
	"truncate foo 5000",
	"truncate A/foo 100",
	"punch foo 1024 1024",
	"creat bar; write bar 0 1500",
	"creat B/foo; write B/foo 0 14000",
	"unlink foo; creat foo; write foo 0 1000",
	"hold foo; unlink foo; write A/foo 1700 3000",
};

#define UNIVERSE_SIZE (sizeof(universe) / sizeof(universe[0]))

static const char *const others[] = {"", "A", "B"};

/* After the last operation of the list: `way` of making it durable; false behind the last. */
static bool add_persistence(struct op_list *list, unsigned way)
{
	struct op last = list->ops[list->nr - 1], op = {0};
	const char *name = last.kind == OP_RENAME || last.kind == OP_LINK ? last.other : last.path;

	switch (way) {
	case 0:
		return true;	/* only time */
	case 1:
		op.kind = OP_SYNC;
		break;
	case 2:
	case 3:
		op.kind = way == 2 ? OP_FSYNC : OP_FDATASYNC;
		snprintf(op.path, sizeof(op.path), "%.60s", name);
		break;
	case 4:
	case 5:
	case 6:
		op.kind = OP_FSYNC;
		snprintf(op.path, sizeof(op.path), "%s", others[way - 4]);
		break;
	default:
		return false;
	}
	op_list_add(list, &op);
	return true;
}

#define WAYS 7u

static bool emit(workload_fn fn, void *arg, const char *const *texts, unsigned nr, unsigned between, unsigned way)
{
	struct op_list list = {0};
	bool goes_on = true;

	for (unsigned i = 0; i < nr; i++) {
		op_list_addf(&list, "%s", texts[i]);
		if (i + 1 < nr && between == 1)
			op_list_addf(&list, "wait 6000");
		if (i + 1 < nr && between >= 2)
			add_persistence(&list, between - 1);
	}
	if (add_persistence(&list, way))
		goes_on = fn(arg, &list);
	op_list_done(&list);
	return goes_on;
}

bool workloads_of_one(workload_fn fn, void *arg)
{
	for (unsigned i = 0; i < UNIVERSE_SIZE; i++)
		for (unsigned way = 0; way < WAYS; way++)
			if (!emit(fn, arg, &universe[i], 1, 0, way))
				return false;
	return true;
}

bool workloads_of_two(workload_fn fn, void *arg)
{
	for (unsigned i = 0; i < UNIVERSE_SIZE; i++) {
		for (unsigned k = 0; k < UNIVERSE_SIZE; k++) {
			const char *texts[] = {universe[i], universe[k]};

			/* Together in one transaction, apart by time, and apart by an fsync of the first. */
			for (unsigned between = 0; between < 4; between++)
				for (unsigned way = 0; way < (between ? 3 : WAYS); way++)
					if (!emit(fn, arg, texts, 2, between, way))
						return false;
		}
	}
	return true;
}

bool workloads_of_three(uint64_t seed, uint32_t nr, workload_fn fn, void *arg)
{
	struct rand r;

	rand_init(&r, seed);
	for (uint32_t n = 0; n < nr; n++) {
		const char *texts[3];

		for (unsigned i = 0; i < 3; i++)
			texts[i] = universe[rand_below(&r, UNIVERSE_SIZE)];
		if (!emit(fn, arg, texts, 3, (unsigned)rand_below(&r, 4), (unsigned)rand_below(&r, WAYS)))
			return false;
	}
	return true;
}

static void add_random(struct op_list *ops, struct rand *r)
{
	unsigned a = (unsigned)rand_below(r, 5), b = (unsigned)rand_below(r, 5), pos = (unsigned)rand_below(r, 9000);

	switch (rand_below(r, 16)) {
	case 0 ... 1: op_list_addf(ops, "creat f%u", a); break;
	case 2 ... 4: op_list_addf(ops, "write f%u %u %u", a, pos, 1 + (unsigned)rand_below(r, 12000)); break;
	case 5: op_list_addf(ops, "unlink f%u", a); break;
	case 6: op_list_addf(ops, "rename f%u f%u", a, b); break;
	case 7: op_list_addf(ops, "link f%u f%u", a, b); break;
	case 8: op_list_addf(ops, "truncate f%u %u", a, pos); break;
	case 9: op_list_addf(ops, "mkdir d%u", a % 2); break;
	case 10: op_list_addf(ops, "rename f%u d%u/f%u", a, a % 2, b); break;
	case 11: op_list_addf(ops, "punch f%u %u 2048", a, pos); break;
	case 12: op_list_addf(ops, "symlink f%u %s", a, b % 2 ? "short" : LONG_TARGET); break;
	case 13: op_list_addf(ops, "fdatasync f%u", a); break;
	case 14: op_list_addf(ops, "fsync /"); break;
	default: op_list_addf(ops, "fsync f%u", a); break;
	}
}

#define ACTOR_OPS 70u

void workload_of_actor(struct op_list *ops, uint64_t seed)
{
	struct rand r;

	rand_init(&r, seed);
	op_list_addf(ops, "creat f0; write f0 0 3000; creat f1");
	while (ops->nr < ACTOR_OPS)
		add_random(ops, &r);
}

/* ---- scripts ---- */

/* What editors do: whoever looks finds the old file or the new one, never less. */
static void replace_by_rename(struct op_list *ops, uint64_t seed)
{
	for (unsigned i = 0; i < 6; i++) {
		op_list_addf(ops, "creat tmp; write tmp 0 %u", 3000 + 1100 * i);
		if ((i + seed) % 2)
			op_list_addf(ops, "fsync tmp");
		op_list_addf(ops, "rename tmp doc; wait %u", i % 3 ? 100 : 6000);
		if (i % 3 == 1)
			op_list_addf(ops, "fsync /");
	}
}

static void append_log(struct op_list *ops, uint64_t seed)
{
	unsigned at = 0;

	op_list_addf(ops, "creat log");
	for (unsigned i = 0; i < 40; i++) {
		unsigned len = 100 + (unsigned)(seed + i) * 137 % 900;

		op_list_addf(ops, "write log %u %u", at, len);
		at += len;
		if (i % 4 == 3)
			op_list_addf(ops, i % 8 == 3 ? "fsync log" : "fdatasync log");
	}
}

static void many_names(struct op_list *ops, uint64_t seed)
{
	op_list_addf(ops, "mkdir big");
	for (unsigned i = 0; i < 120; i++) {
		op_list_addf(ops, "creat big/%050u", i * 7919 % 1000);
		if (i % 40 == 39)
			op_list_addf(ops, (seed + i) % 80 == 39 ? "fsync big" : "wait 6000");
	}
	for (unsigned i = 0; i < 120; i++)
		op_list_addf(ops, "unlink big/%050u", i * 7919 % 1000);
	op_list_addf(ops, "rmdir big; fsync /");
}

static void spool_mail(struct op_list *ops, uint64_t seed)
{
	op_list_addf(ops, "mkdir new; mkdir cur; mkdir tmp");
	for (unsigned i = 0; i < 12; i++) {
		op_list_addf(ops, "creat tmp/%u; write tmp/%u 0 %u; fsync tmp/%u; link tmp/%u new/%u; fsync new; unlink tmp/%u", i, i,
			     500 + (unsigned)(seed * 31 + i * 417) % 4000, i, i, i, i);
		if (i >= 3)
			op_list_addf(ops, "rename new/%u cur/%u", i - 3, i - 3);
		if (i >= 6)
			op_list_addf(ops, "unlink cur/%u", i - 6);
	}
}

/* A database with a rollback journal: the journal's end is the moment of commit. */
static void roll_back_journal(struct op_list *ops, uint64_t seed)
{
	op_list_addf(ops, "creat db; write db 0 8192; fsync db");
	for (unsigned i = 0; i < 8; i++) {
		unsigned page = (unsigned)(seed + i * 5) % 8;

		op_list_addf(ops, "creat db-journal; write db-journal 0 512; write db-journal 512 1032; fdatasync db-journal; fsync /");
		op_list_addf(ops, "write db-journal 0 12; fdatasync db-journal");
		op_list_addf(ops, "write db %u 1024; fdatasync db; unlink db-journal", page * 1024);
	}
}

static void write_ahead_log(struct op_list *ops, uint64_t seed)
{
	op_list_addf(ops, "creat db; write db 0 8192; creat db-wal; fsync db; fsync /");
	for (unsigned i = 0; i < 16; i++) {
		op_list_addf(ops, "write db-wal %u 1048; fdatasync db-wal", 32 + (i % 8) * 1048);
		if (i % 8 == 7)
			op_list_addf(ops, "write db %u 2048; fdatasync db; truncate db-wal 0",
				     (unsigned)(seed + i) % 3 * 2048);
	}
}

/* 1 KiB blocks: the third level of indirection begins behind 64 MiB. Holes make it affordable. */
static void deep_truncate(struct op_list *ops, uint64_t seed)
{
	(void)seed;
	op_list_addf(ops, "creat deep; write deep 0 300000; write deep 2000000 40000; write deep 67400000 60000; fsync deep");
	op_list_addf(ops, "truncate deep 67410000; wait 6000; creat b; write b 0 30000; truncate deep 1000; creat c; write c 0 200000");
	op_list_addf(ops, "fsync c; write deep 67390000 9000; fsync deep; unlink deep; creat d; write d 0 250000; fsync d");
}

static void full_disk(struct op_list *ops, uint64_t seed)
{
	op_list_addf(ops, "creat keep; write keep 0 5000; fsync keep; creat fat; write fat 0 600000; creat fat2; write fat2 0 600000");
	op_list_addf(ops, "creat e1; write e1 0 4000; fsync fat; unlink fat; creat e2; write e2 0 300000; mkdir m; creat m/x");
	op_list_addf(ops, "write m/x 0 %u; fsync m/x; truncate fat2 100; creat e3; write e3 0 500000; fsync e3", 1000 + (unsigned)seed % 7 * 1000);
}

static void orphans(struct op_list *ops, uint64_t seed)
{
	for (unsigned i = 0; i < 6; i++)
		op_list_addf(ops, "creat o%u; write o%u 0 %u; hold o%u", i, i, 2000 + 9000 * i, i);
	op_list_addf(ops, "sync");
	for (unsigned i = 0; i < 6; i++)
		op_list_addf(ops, "unlink o%u", (unsigned)(i * 5 + seed) % 6);
	op_list_addf(ops, "fsync /; release o%u; creat n; write n 0 9000; fsync n; release o%u; wait 6000; release o%u; creat n2; write n2 0 30000",
		     (unsigned)(2 + seed) % 6, (unsigned)(4 + seed) % 6, (unsigned)(1 + seed) % 6);
}

/* A block that was a directory's or an indirect one becomes data, under a log that still knows it. */
static void reuse_blocks(struct op_list *ops, uint64_t seed)
{
	for (unsigned i = 0; i < 10; i++) {
		op_list_addf(ops, "mkdir d%u; creat d%u/a; symlink d%u/l %s; creat t%u; write t%u 0 15000; fsync d%u", i, i, i,
			     LONG_TARGET, i, i, i);
		op_list_addf(ops, "unlink d%u/a; unlink d%u/l; rmdir d%u; unlink t%u; fsync /", i, i, i, i);
		/* More than an fsync logs: in place, over what the log has of the freed blocks. */
		op_list_addf(ops, "creat f%u; write f%u 0 %u; fdatasync f%u", i, i, 70000 + (unsigned)(seed + i) % 5 * 1000, i);
		if (i % 3 == 2)
			op_list_addf(ops, "unlink f%u; unlink f%u", i - 1, i - 2);
	}
}

/* Revokes by the hundred in one transaction: a block of them is longer than a sector. */
static void many_revokes(struct op_list *ops, uint64_t seed)
{
	(void)seed;
	op_list_addf(ops, "mkdir r");
	for (unsigned i = 0; i < 150; i++)
		op_list_addf(ops, "symlink r/%03u " LONG_TARGET, i);
	op_list_addf(ops, "fsync r");
	for (unsigned i = 0; i < 150; i++)
		op_list_addf(ops, "unlink r/%03u", i);
	op_list_addf(ops, "fsync r; creat data; write data 0 300000; fsync data; write data 0 5000; fdatasync data");
}

/* More than the log holds: it goes round, and the tail must follow. */
static void round_the_log(struct op_list *ops, uint64_t seed)
{
	for (unsigned i = 0; i < 90; i++) {
		op_list_addf(ops, "mkdir w%u; creat w%u/f; write w%u/f 0 %u; fsync w%u/f", i % 30 + 100 * (i / 30), i % 30 + 100 * (i / 30),
			     i % 30 + 100 * (i / 30), 1000 + (unsigned)(seed * 7 + i * 911) % 12000, i % 30 + 100 * (i / 30));
		if (i >= 30)
			op_list_addf(ops, "unlink w%u/f; rmdir w%u", i % 30 + 100 * (i / 30 - 1), i % 30 + 100 * (i / 30 - 1));
	}
}

/* Free space is handed back while the log still knows it, and some of it is not durably free. */
static void trims(struct op_list *ops, uint64_t seed)
{
	op_list_addf(ops, "creat keep; write keep 0 20000");
	for (unsigned i = 0; i < 6; i++) {
		op_list_addf(ops, "mkdir t%u; creat t%u/a; write t%u/a 0 %u; fsync t%u/a", i, i, i,
			     9000 + (unsigned)(seed + i) % 4 * 3000, i);
		op_list_addf(ops, "%s; unlink t%u/a; rmdir t%u", i % 2 ? "fsync /" : "hold keep", i, i);
		op_list_addf(ops, "trim; creat f%u; write f%u 0 6000", i, i);
		if (i % 2)
			op_list_addf(ops, "unlink f%u; trim; release keep", i);
	}
	op_list_addf(ops, "truncate keep 3000; trim; fsync keep");
}

static const struct script scripts[] = {
	{"replace-by-rename", replace_by_rename, 0, ""},
	{"append-log", append_log, 0, ""},
	{"many-names", many_names, 0, ""},
	{"spool-mail", spool_mail, 0, ""},
	{"rollback-journal", roll_back_journal, 0, ""},
	{"write-ahead-log", write_ahead_log, 0, ""},
	{"deep-truncate", deep_truncate, 4u << 20, ""},
	{"full-disk", full_disk, 0, ""},
	{"orphans", orphans, 0, ""},
	{"reuse-blocks", reuse_blocks, 0, ""},
	{"many-revokes", many_revokes, 0, ""},
	{"round-the-log", round_the_log, 4u << 20, ""},
	{"trims", trims, 0, ""},
};

const struct script *workload_script(unsigned i)
{
	return i < array_size(scripts) ? &scripts[i] : NULL;
}

/* ---- planted faults ---- */

static const struct planted planted[] = {
	{"no-flush", "append-log", NULL, false, "R"},
	{"no-flush-before-commit", NULL, "creat bar; write bar 0 5000; fsync bar; wait 6000; mkdir c; fsync c", true, "R1"},
	{"commit-first", NULL, "creat bar; fsync bar; mkdir c; fsync c; unlink bar; fsync /", true, "R1"},
	{"data-behind-commit", NULL, "creat bar; write bar 0 5000; wait 6000; creat A/bar; write A/bar 0 3000; wait 12000", false, "R2"},
	{"no-revoke", "reuse-blocks", NULL, false, "R7"},
	{"replay-without-revoke", "reuse-blocks", NULL, false, NULL},
	{"no-orphan", "orphans", NULL, true, NULL},
	{"early-tail", "round-the-log", NULL, false, "R4"},
	{"early-discard", NULL, "unlink foo; fsync /; truncate A/foo 100; sync", false, "R8"},
	{"split-rename", NULL, "rename foo bar", false, NULL},
};

const struct planted *workload_planted(unsigned i)
{
	return i < array_size(planted) ? &planted[i] : NULL;
}
