/* extantctl: looks into things. */
#include <stdio.h>
#include <string.h>

#include "base/types.h"
#include "ctl.h"

static const struct subcommand {
	const char *name;
	const char *help;
	int (*run)(int argc, char **argv);
} subcommands[] = {
	{"lab", "lab [--json] [--svg FILE] [--seed N] [NAME...]   measured tables on a simulated disk", ctl_lab},
	{"stat", "stat DIR          counters of a running mount", ctl_stat},
	{"top", "top DIR [SECONDS [ROUNDS]]   the same as rates", ctl_top},
	{"trace", "trace DIR         the last events in its rooms", ctl_trace},
	{"iolog", "iolog DIR [FILE]  write requests to FILE, for fio --read_iolog; without FILE: stop", ctl_iolog},
	{"replay", "replay [--timed] [--driver D] [--direct] [--sched S] [--depth N] [--write] IOLOG IMAGE\n"
	 "                    do them again, as fast as it goes or at the times they came",
	 ctl_replay},
	{"sched", "sched DIR NAME    go over to another I/O scheduler", ctl_sched},
	{"sync", "sync DIR          make everything durable", ctl_sync},
	{"umount", "umount DIR        unmount, and return when the image is whole", ctl_umount},
	{"crash", "crash [--states N | --every] IMAGE RECORD COMMAND...   images that a power cut could have left",
	 ctl_crash},
	{"recover", "recover IMAGE     replay the journal of an image and free its orphans", ctl_recover},
};

static void print_help(FILE *to)
{
	fprintf(to, "usage: extantctl SUBCOMMAND ...\n");
	for (size_t i = 0; i < array_size(subcommands); i++)
		fprintf(to, "  %s\n", subcommands[i].help);
	fprintf(to, "  --version\n  --help\n");
}

/* umount(8) runs /sbin/umount.fuse.extant for our mounts, which is a link to us. */
static bool is_umount_helper(const char *self)
{
	const char *slash = strrchr(self, '/');

	return strncmp(slash ? slash + 1 : self, "umount.", strlen("umount.")) == 0;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (is_umount_helper(argv[0]))
		return ctl_umount_helper(argc, argv);
	for (size_t i = 0; i < array_size(subcommands); i++)
		if (strcmp(subcommands[i].name, name) == 0)
			return subcommands[i].run(argc - 1, argv + 1);
	if (strcmp(name, "--help") == 0) {
		print_help(stdout);
		return 0;
	}
	if (strcmp(name, "--version") == 0) {
		printf("extantctl %s\n", EXTANT_VERSION);
		return 0;
	}
	if (*name)
		fprintf(stderr, "extantctl: there is no subcommand %s\n", name);
	print_help(stderr);
	return CTL_USAGE;
}
