/*
 * The command line.
 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

/* What getopt found, before it is judged. */
struct parse {
	struct command *command;
	bool is_helper;			/* called as mount.extant */
	bool is_sloppy;
	bool is_done;			/* --help or --version was asked and answered */
	const char *name_space;
};

static bool called_as_helper(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');

	return strncmp(slash ? slash + 1 : argv0, "mount.", 6) == 0;
}

static void print_help(void)
{
	printf("Usage: extant [options] IMAGE DIRECTORY\n"
	       "Mounts the ext2 or ext3 file system in IMAGE on DIRECTORY.\n"
	       "\n"
	       "  -o OPTION[,OPTION...]  mount options, below\n"
	       "  -f                     stay in the foreground\n"
	       "  -d                     stay in the foreground and print every request\n"
	       "  -h, --help             print this\n"
	       "  -V, --version          print the version\n"
	       "\n"
	       "Unmount with: umount DIRECTORY, or fusermount3 -u DIRECTORY without privilege.\n"
	       "\n"
	       "Mount options:\n");
	mount_options_help(stdout);
}

static bool parse_mount_options(struct parse *p, const char *list)
{
	char err[256] = "";

	if (mount_options_parse(&p->command->options, list, p->is_sloppy, err, sizeof(err)) == 0)
		return true;
	log_error("%s", err);
	return false;
}

static bool take_own_flag(struct parse *p, int opt)
{
	struct command *c = p->command;

	switch (opt) {
	case 'f':
		c->is_foreground = true;
		return true;
	case 'd':
		c->is_foreground = c->is_debug = true;
		return true;
	case 'o':
		return parse_mount_options(p, optarg);
	case 'h':
		print_help();
		p->is_done = true;
		return true;
	case 'V':
		printf("extant %s\n", EXTANT_VERSION);
		p->is_done = true;
		return true;
	default:
		return false;	/* getopt has said why */
	}
}

/* -s was taken before, since it decides about every -o. */
static bool take_helper_flag(struct parse *p, int opt)
{
	switch (opt) {
	case 'f':
		p->command->is_fake = true;
		return true;
	case 'N':
		p->name_space = optarg;
		return true;
	case 's':
	case 'n':	/* there is no mtab to leave alone */
	case 'v':
	case 't':	/* the type we were called by */
		return true;
	default:
		return take_own_flag(p, opt);
	}
}

static bool take_flags(struct parse *p, int argc, char **argv)
{
	static const struct option longs[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	const char *shorts = p->is_helper ? "sfnvN:t:o:hV" : "fdo:hV";
	int opt;

	while ((opt = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (!(p->is_helper ? take_helper_flag(p, opt) : take_own_flag(p, opt)))
			return false;
		if (p->is_done)
			return true;
	}
	return true;
}

/* Whether -s stands anywhere among a helper's arguments. */
static bool has_sloppy_flag(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-' && argv[i][1] != '-' && strchr(argv[i], 's') &&
		    strspn(argv[i] + 1, "sfnv") == strlen(argv[i] + 1))
			return true;
		if (strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "-t") == 0 || strcmp(argv[i], "-N") == 0)
			i++;
	}
	return false;
}

/* mount -N: NAME is a process or the path of a mount namespace. */
static bool enter_name_space(const char *name)
{
	char path[4200];
	int fd;

	if (name[strspn(name, "0123456789")] == '\0')
		snprintf(path, sizeof(path), "/proc/%s/ns/mnt", name);
	else
		snprintf(path, sizeof(path), "%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNS) != 0) {
		log_error("cannot enter the namespace %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	close(fd);
	return true;
}

static bool resolve(const char *path, char **ret_path)
{
	*ret_path = realpath(path, NULL);
	if (*ret_path)
		return true;
	log_error("%s: %s", path, strerror(errno));
	return false;
}

static bool is_directory(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		if (errno == ENOTCONN)
			log_error("%s: a mount whose daemon has died lies there; unmount it first", path);
		else
			log_error("%s: %s", path, strerror(errno));
		return false;
	}
	if (!S_ISDIR(st.st_mode))
		log_error("%s: the mount point is not a directory", path);
	return S_ISDIR(st.st_mode);
}

/* The path of a file that need not be there yet. */
static bool make_absolute(char **path)
{
	char *here, *whole;
	size_t size;

	if (!*path || (*path)[0] == '/')
		return true;
	here = getcwd(NULL, 0);
	size = here ? strlen(here) + strlen(*path) + 2 : 0;
	whole = here ? mem_alloc(size) : NULL;
	if (whole) {
		snprintf(whole, size, "%s/%s", here, *path);
		mem_free(*path);
		*path = whole;
	} else {
		log_error("%s: %s", *path, strerror(errno));
	}
	free(here);
	return whole != NULL;
}

/* Absolute paths, since the daemon leaves the directory it was started in. */
static bool take_paths(struct command *c, const char *image, const char *mountpoint)
{
	return resolve(image, &c->image) && resolve(mountpoint, &c->mountpoint) && is_directory(c->mountpoint) &&
	       make_absolute(&c->options.cow_path) && make_absolute(&c->options.record_path) &&
	       make_absolute(&c->options.iolog_path);
}

bool command_parse(struct command *c, int argc, char **argv, enum mount_status *ret_status)
{
	struct parse p = {.command = c, .is_helper = called_as_helper(argv[0])};
	char err[256] = "";

	memset(c, 0, sizeof(*c));
	mount_options_init(&c->options);
	p.is_sloppy = p.is_helper && has_sloppy_flag(argc, argv);
	*ret_status = STATUS_USAGE;
	if (!take_flags(&p, argc, argv))
		return false;
	if (p.is_done) {
		*ret_status = STATUS_OK;
		return false;
	}
	if (argc - optind != 2) {
		log_error("an image and a mount point are needed: extant [-o options] IMAGE DIRECTORY");
		return false;
	}
	if (mount_options_check(&c->options, err, sizeof(err)) != 0) {
		log_error("%s", err);
		return false;
	}
	*ret_status = STATUS_FAILED;
	if (p.name_space && !enter_name_space(p.name_space))
		return false;
	return take_paths(c, argv[optind], argv[optind + 1]);
}

void command_done(struct command *c)
{
	mount_options_done(&c->options);
	free(c->image);
	free(c->mountpoint);
}
