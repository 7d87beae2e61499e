/* extantctl lab: experiments by name, or all of them; as text, JSON or a picture. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "ctl.h"
#include "lab/lab.h"

struct lab_command {
	bool is_json, is_list;
	const char *svg;
	uint64_t seed;
	char **names;
	int nr_names;
};

static void print_usage(FILE *to)
{
	fprintf(to, "usage: extantctl lab [--json] [--svg FILE] [--seed N] [--list] [NAME...]\n");
	for (size_t i = 0; lab_at(i); i++)
		fprintf(to, "  %-12s %s\n", lab_at(i)->name, lab_at(i)->question);
}

/* 0, or an exit status with the reason told; -1: help was asked for and given. */
static int parse(int argc, char **argv, struct lab_command *cmd)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},   {"svg", required_argument, NULL, 's'},
		{"seed", required_argument, NULL, 'S'}, {"list", no_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},   {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			cmd->is_json = true;
			break;
		case 's':
			cmd->svg = optarg;
			break;
		case 'S':
			if (parse_u64(optarg, &cmd->seed)) {
				fprintf(stderr, "extantctl lab: %s is not a number\n", optarg);
				return CTL_USAGE;
			}
			break;
		case 'l':
			cmd->is_list = true;
			break;
		case 'h':
			print_usage(stdout);
			return -1;
		default:
			print_usage(stderr);
			return CTL_USAGE;
		}
	}
	cmd->names = argv + optind;
	cmd->nr_names = argc - optind;
	return 0;
}

static int check(const struct lab_command *cmd)
{
	for (int i = 0; i < cmd->nr_names; i++) {
		if (!lab_find(cmd->names[i])) {
			fprintf(stderr, "extantctl lab: there is no experiment %s\n", cmd->names[i]);
			print_usage(stderr);
			return CTL_USAGE;
		}
	}
	if (cmd->svg && cmd->nr_names != 1) {
		fprintf(stderr, "extantctl lab: --svg is for one experiment: name it\n");
		return CTL_USAGE;
	}
	return 0;
}

static int write_svg(const struct lab_report *report, const char *path)
{
	FILE *to = fopen(path, "w");
	bool is_bad;

	if (!to) {
		fprintf(stderr, "extantctl lab: cannot write %s: %s\n", path, strerror(errno));
		return CTL_FAILED;
	}
	lab_print_svg(report, to);
	is_bad = ferror(to);
	is_bad |= fclose(to) != 0;
	if (is_bad)
		fprintf(stderr, "extantctl lab: cannot write %s: %s\n", path, strerror(errno));
	return is_bad ? CTL_FAILED : 0;
}

static int run_one(const struct lab_command *cmd, const struct lab_experiment *e, bool is_first)
{
	struct lab_report report;
	int err = lab_run(e, cmd->seed, &report), status = 0;

	if (err) {
		fprintf(stderr, "extantctl lab: %s: %s\n", e->name, strerror(-err));
		return CTL_FAILED;
	}
	if (cmd->is_json) {
		fputs(is_first ? "" : ",\n", stdout);
		lab_print_json(&report, stdout);
	} else {
		fputs(is_first ? "" : "\n\n", stdout);
		lab_print_text(&report, stdout);
	}
	if (cmd->svg)
		status = write_svg(&report, cmd->svg);
	lab_report_done(&report);
	return status;
}

static int run_all(const struct lab_command *cmd)
{
	int status = 0;

	if (cmd->is_json)
		fputs("[\n", stdout);
	for (int i = 0; !status && i < cmd->nr_names; i++)
		status = run_one(cmd, lab_find(cmd->names[i]), i == 0);
	for (size_t i = 0; !status && !cmd->nr_names && lab_at(i); i++)
		status = run_one(cmd, lab_at(i), i == 0);
	if (cmd->is_json)
		fputs("\n]\n", stdout);
	if (!status && (fflush(stdout) || ferror(stdout))) {
		fprintf(stderr, "extantctl lab: cannot write: %s\n", strerror(errno));
		status = CTL_FAILED;
	}
	return status;
}

int ctl_lab(int argc, char **argv)
{
	struct lab_command cmd = {.seed = LAB_SEED_DEFAULT};
	int status = parse(argc, argv, &cmd);

	if (status)
		return status < 0 ? 0 : status;
	if (cmd.is_list) {
		for (size_t i = 0; lab_at(i); i++)
			printf("%-12s %s\n", lab_at(i)->name, lab_at(i)->question);
		return 0;
	}
	status = check(&cmd);
	return status ? status : run_all(&cmd);
}
