/*
 * The table of mount options.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/options.h"
#include "cache/cache.h"
#include "block/disk.h"
#include "drivers/simdisk.h"
#include "fuse/session.h"
#include "sched/sched.h"

#define AT(member) offsetof(struct mount_options, member)
#define FLAG(word, member, to, text) \
	{.key = (word), .kind = OPTION_FLAG, .offset = AT(member), .value = (to), .help = (text)}
#define NUMBER(word, member, least, most, text) \
	{.key = (word), .kind = OPTION_U64, .offset = AT(member), .min = (least), .max = (most), .help = (text)}
#define SIZE(word, member, least, text) \
	{.key = (word), .kind = OPTION_SIZE, .offset = AT(member), .min = (least), .help = (text)}
#define TEXT(word, member, text) \
	{.key = (word), .kind = OPTION_STRING, .offset = AT(member), .help = (text)}
#define TAKEN(word) {.key = (word), .kind = OPTION_IGNORE}

static const struct option_row rows[] = {
	FLAG("ro", is_read_only, 1, "read only: no byte of the image changes"),
	FLAG("rw", is_read_only, 0, "read and write (default)"),
	FLAG("sync", is_sync, 1, "each change is durable before the call returns"),
	FLAG("async", is_sync, 0, "changes are written later (default)"),
	FLAG("dirsync", is_sync, 1, "as sync"),
	FLAG("noatime", has_no_atime, 1, "reading moves no access time"),
	FLAG("atime", has_no_atime, 0, NULL),
	FLAG("relatime", has_strict_atime, 0, "access times move when older than the change (default)"),
	FLAG("nostrictatime", has_strict_atime, 0, NULL),
	FLAG("strictatime", has_strict_atime, 1, "each read moves the access time"),
	FLAG("nodiratime", has_no_dir_atime, 1, "taken beside noatime, which implies it"),
	FLAG("diratime", has_no_dir_atime, 0, NULL),
	FLAG("grpid", has_bsd_groups, 1, "new files take the group of their directory"),
	FLAG("bsdgroups", has_bsd_groups, 1, NULL),
	FLAG("nogrpid", has_bsd_groups, 0, "new files take the group of their maker (default)"),
	FLAG("sysvgroups", has_bsd_groups, 0, NULL),
	FLAG("minixdf", has_minix_df, 1, "totals count the file system's own blocks too"),
	FLAG("bsddf", has_minix_df, 0, "totals leave them out (default)"),
	FLAG("acl", has_said_xattr, 1, "taken, without effect yet"),
	FLAG("user_xattr", has_said_xattr, 1, "taken, without effect yet"),
	TAKEN("noacl"),
	TAKEN("nouser_xattr"),

	FLAG("noload", has_no_load, 1, "with ro: do not look at the journal"),
	FLAG("norecovery", has_no_load, 1, NULL),
	{.key = "data", .kind = OPTION_CHOICE, .offset = AT(data_mode), .choices = "ordered|writeback|journal",
	 .help = "data is on disk before what leads to it, or perhaps not, or is logged (ordered)"},
	FLAG("barrier", has_barrier, 1, "flush, so that what is durable survives a power cut (default)"),
	{.key = "barrier", .kind = OPTION_CHOICE, .offset = AT(barrier), .choices = "0|1"},
	FLAG("nobarrier", has_barrier, 0, "never flush: only for disks that keep what they took in a power cut"),
	FLAG("journal_checksum", has_journal_checksum, 1, "each transaction carries its CRC32 (default)"),
	FLAG("nojournal_checksum", has_journal_checksum, 0, "it carries none, and costs a flush more"),
	{.key = "errors", .kind = OPTION_CHOICE, .offset = AT(errors), .choices = "continue|remount-ro|panic",
	 .help = "what to do on damage (default: as the superblock says)"},
	NUMBER("sb", super_block, 1, UINT32_MAX, "read the superblock at this KiB of the image"),
	NUMBER("resuid", resuid, 0, UINT32_MAX - 1, "this user may use reserved blocks"),
	NUMBER("resgid", resgid, 0, UINT32_MAX - 1, "this group may use reserved blocks"),

	{.key = "driver", .kind = OPTION_CHOICE, .offset = AT(driver), .choices = "file|uring|mmap|sim",
	 .help = "what carries out the I/O (file); sim: as slow as a real disk, for experiments"},
	FLAG("discard", has_discard, 1, "freed blocks are given back to the image's host: holes in the file"),
	FLAG("nodiscard", has_discard, 0, "they are not (default)"),
	FLAG("dax", has_dax, 1, "with driver=mmap: file data is copied from and to the mapped image, not cached"),
	FLAG("direct", is_direct, 1, "with driver=file or uring: past the host's page cache (O_DIRECT)"),
	FLAG("sqpoll", has_sqpoll, 1, "with driver=uring: a kernel thread looks for requests, instead of calls"),
	{.key = "profile", .kind = OPTION_CHOICE, .offset = AT(sim_profile), .choices = SIM_PROFILE_NAMES,
	 .help = "with driver=sim: which disk (hdd7200)"},
	{.key = "mode", .kind = OPTION_CHOICE, .offset = AT(sim_mode), .choices = SIM_MODE_NAMES,
	 .help = "with driver=sim: how the driver talks to it (dma-irq)"},
	{.key = "sched", .kind = OPTION_CHOICE, .offset = AT(scheduler), .choices = SCHED_NAMES,
	 .help = "the order in which the image's I/O is served (noop)"},
	TEXT("part", part, "a partition of a whole-disk image: number, GPT name or PARTUUID"),
	SIZE("offset", offset_bytes, 0, "the file system begins at this byte of the image"),
	FLAG("cow", has_cow, 1, "writable, but the image stays as it is: writes are kept in memory"),
	TEXT("cow", cow_path, "the same, with writes kept in this new file"),
	TEXT("iolog", iolog_path, "write the image's requests into this new file, for fio --read_iolog"),
	TEXT("record", record_path, "record what reaches the disk into this new file"),

	SIZE("cache", cache_bytes, PAGE_CACHE_BYTES_MIN,
	     "memory for pages (default: 1/8 of the machine's, 256M at most)"),
	SIZE("readahead", readahead_bytes, 0, "read at most so much ahead of a reader (8M; 0: nothing)"),
	NUMBER("dirty", dirty_percent, 1, 90, "writers wait above this share of the cache (40)"),
	NUMBER("dirty_background", background_percent, 1, 90, "writing back starts above this share (10)"),
	NUMBER("commit", commit_seconds, 0, 3600, "older changes are written back (5 seconds; 0: the same)"),
	NUMBER("threads", nr_threads, 1, SESSION_THREADS_LIMIT, "requests served at once, at most (16)"),
	NUMBER("workers", nr_workers, 1, 64, "threads for the image's I/O (4)"),
	NUMBER("queue", queue_depth, 1, DISK_QUEUE_DEPTH_LIMIT, "requests that wait for the image, at most (256)"),
	NUMBER("inodes", inodes_max, 16, 1u << 24, "unused inodes kept in memory (16384)"),
	NUMBER("dentries", dentries_max, 16, 1u << 24, "names kept in memory (65536)"),

	FLAG("suid", has_no_suid, 0, "set-user-id programs work (default as root)"),
	FLAG("nosuid", has_no_suid, 1, "they do not"),
	FLAG("dev", has_no_dev, 0, "device files work (default as root)"),
	FLAG("nodev", has_no_dev, 1, "they do not"),
	FLAG("exec", has_no_exec, 0, "programs can be run (default)"),
	FLAG("noexec", has_no_exec, 1, "they cannot"),
	FLAG("allow_other", may_others, 1, "every user may enter, as files' modes allow (default as root)"),
	FLAG("allow_root", may_root, 1, "only the mounting user and root may enter"),
	FLAG("auto_unmount", has_auto_unmount, 1, "a helper unmounts should the daemon die"),
	SIZE("max_read", max_read_bytes, 4096, "largest read request"),
	TEXT("fsname", fsname, "the source in the mount table (default: the image's path)"),
	TEXT("subtype", subtype, "shown as fuse.SUBTYPE (default: extant)"),

	/* True of us in any case, or nothing to us. */
	TAKEN("default_permissions"),
	TAKEN("norelatime"),
	TAKEN("lazytime"),
	TAKEN("nolazytime"),
	TAKEN("nocheck"),
	TAKEN("noquota"),
	TAKEN("loop"),

	/* Words of mount(8) and fstab, which has drawn its own conclusions from them. */
	TAKEN("defaults"),
	TAKEN("auto"),
	TAKEN("noauto"),
	TAKEN("user"),
	TAKEN("nouser"),
	TAKEN("users"),
	TAKEN("nousers"),
	TAKEN("owner"),
	TAKEN("noowner"),
	TAKEN("group"),
	TAKEN("nogroup"),
	TAKEN("_netdev"),
	TAKEN("nofail"),
	TAKEN("silent"),
	TAKEN("loud"),
	TAKEN("comment"),
	TAKEN("helper"),
	TAKEN("uhelper"),
};

/* Words whose value matters: these are what is done in any case. */
static const char *const true_already[] = {"check=none", "journal_async_commit"};

/* Known words that would promise what is not there: refused with the reason rather than as unknown. */
static const struct { const char *key, *why; } refused[] = {
	{"remount", "a mount cannot change its options; unmount first"},
	{"usrquota", "quotas are not kept"},
	{"grpquota", "quotas are not kept"},
	{"quota", "quotas are not kept"},
	{"blkdev", "extant mounts as plain fuse only"},
};

void mount_options_init(struct mount_options *o)
{
	*o = (struct mount_options){
		.errors = ERRORS_UNSAID,
		.data_mode = DATA_UNSAID,
		.sim_profile = SIM_UNSAID,
		.sim_mode = SIM_UNSAID,
		.has_barrier = true,
		.barrier = 1,
		.has_journal_checksum = true,
		.resuid = UINT32_MAX,
		.resgid = UINT32_MAX,
		.readahead_bytes = PAGE_CACHE_READAHEAD_DEFAULT,
		.dirty_percent = 40,
		.background_percent = 10,
		.commit_seconds = 5,
		.nr_threads = SESSION_THREADS_DEFAULT,
		.nr_workers = DISK_WORKERS_DEFAULT,
		.queue_depth = DISK_QUEUE_DEPTH_DEFAULT,
		.inodes_max = 16384,
		.dentries_max = 65536,
	};
}

void mount_options_done(struct mount_options *o)
{
	options_done(rows, array_size(rows), o);
}

/* options_unknown_fn; arg: whether to be sloppy. */
static int take_unknown(void *arg, const char *word, char *err, size_t err_size)
{
	const bool *is_sloppy = arg;
	size_t len = strcspn(word, "=");

	if (word[0] == 'x' || word[0] == 'X')
		if (word[1] == '-')
			return 1;	/* notes of fstab's readers to themselves */
	for (size_t i = 0; i < array_size(true_already); i++)
		if (strcmp(true_already[i], word) == 0)
			return 1;
	for (size_t i = 0; i < array_size(refused); i++) {
		if (strlen(refused[i].key) != len || memcmp(refused[i].key, word, len) != 0)
			continue;
		snprintf(err, err_size, "option %s: %s", word, refused[i].why);
		return -EINVAL;
	}
	return *is_sloppy ? 1 : 0;
}

int mount_options_parse(struct mount_options *o, const char *list, bool is_sloppy, char *err, size_t err_size)
{
	return options_parse(rows, array_size(rows), list, o, take_unknown, &is_sloppy, err, err_size);
}

static int refuse(char *err, size_t err_size, const char *what)
{
	snprintf(err, err_size, "%s", what);
	return -EINVAL;
}

int mount_options_check(const struct mount_options *o, char *err, size_t err_size)
{
	if (o->has_no_load && !o->is_read_only)
		return refuse(err, err_size, "option noload needs ro: the journal cannot be passed over in writing");
	if (o->has_no_dir_atime && !o->has_no_atime)
		return refuse(err, err_size, "option nodiratime is not there by itself; noatime implies it");
	if ((o->has_cow || o->cow_path) && o->is_read_only)
		return refuse(err, err_size, "options cow and ro exclude each other: cow is for writing");
	if (o->part && o->offset_bytes)
		return refuse(err, err_size, "options part and offset exclude each other");
	if (o->has_dax && o->driver != DRIVER_MMAP)
		return refuse(err, err_size, "option dax needs driver=mmap");
	if (o->has_dax && (o->has_cow || o->cow_path))
		return refuse(err, err_size, "options dax and cow exclude each other: dax writes into the image");
	if (o->has_dax && o->record_path)
		return refuse(err, err_size, "options dax and record exclude each other: what is written so passes no disk");
	if (o->has_dax && o->data_mode == DATA_JOURNAL)
		return refuse(err, err_size, "options dax and data=journal exclude each other: the log takes what is cached");
	if (o->is_direct && o->driver == DRIVER_MMAP)
		return refuse(err, err_size, "option direct excludes driver=mmap, which maps the host's page cache");
	if (o->has_sqpoll && o->driver != DRIVER_URING)
		return refuse(err, err_size, "option sqpoll needs driver=uring");
	if (o->sim_profile != SIM_UNSAID && o->driver != DRIVER_SIM)
		return refuse(err, err_size, "option profile needs driver=sim");
	if (o->sim_mode != SIM_UNSAID && o->driver != DRIVER_SIM)
		return refuse(err, err_size, "option mode needs driver=sim");
	if (o->may_others && o->may_root)
		return refuse(err, err_size, "options allow_other and allow_root exclude each other");
	if (o->background_percent > o->dirty_percent)
		return refuse(err, err_size, "option dirty_background is more than dirty");
	return 0;
}

static void add_word(char *buf, size_t size, const char *fmt, ...) printf_like(3, 4);
static void add_word(char *buf, size_t size, const char *fmt, ...)
{
	size_t len = strlen(buf);
	va_list args;

	if (len > 0 && len + 1 < size) {
		buf[len++] = ',';
		buf[len] = '\0';
	}
	va_start(args, fmt);
	vsnprintf(buf + len, size - len, fmt, args);
	va_end(args);
}

void mount_options_for_fuse(const struct mount_options *o, bool is_root, char *buf, size_t size)
{
	buf[0] = '\0';
	add_word(buf, size, "%s", o->is_read_only ? "ro" : "rw");
	/* Without privilege fusermount3 sets nosuid and nodev, and complains of their opposites. */
	if (o->has_no_suid || is_root)
		add_word(buf, size, "%s", o->has_no_suid ? "nosuid" : "suid");
	if (o->has_no_dev || is_root)
		add_word(buf, size, "%s", o->has_no_dev ? "nodev" : "dev");
	if (o->has_no_exec)
		add_word(buf, size, "noexec");
	if (o->is_sync)
		add_word(buf, size, "sync");
	if (o->has_no_atime && !o->has_strict_atime)
		add_word(buf, size, "noatime");
	if (o->may_root)
		add_word(buf, size, "allow_root");
	else if (o->may_others || is_root)
		add_word(buf, size, "allow_other");
	if (o->has_auto_unmount)
		add_word(buf, size, "auto_unmount");
	if (o->max_read_bytes)
		add_word(buf, size, "max_read=%llu", (unsigned long long)o->max_read_bytes);
}

void mount_options_help(FILE *to)
{
	char left[40];

	for (size_t i = 0; i < array_size(rows); i++) {
		const struct option_row *row = &rows[i];
		const char *value = "";

		if (!row->help)
			continue;
		if (row->kind == OPTION_SIZE)
			value = "=SIZE";
		else if (row->kind == OPTION_U64)
			value = "=N";
		else if (row->kind == OPTION_STRING)
			value = "=TEXT";
		snprintf(left, sizeof(left), "%s%s%s", row->key, row->choices ? "=" : value,
			 row->choices ? row->choices : "");
		fprintf(to, "  %-32s %s\n", left, row->help);
	}
}
