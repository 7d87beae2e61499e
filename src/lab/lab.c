/* The list of experiments. */
#include "lab/lab.h"

#include <string.h>

#include "experiments.h"

static const struct lab_experiment experiments[] = {
	{"schedulers", "in what order should a disk that seeks serve what waits?", run_schedulers},
	{"pio-dma", "what does it cost to let the CPU carry the words?", run_pio_dma},
	{"polling", "look, be told, or look for a while and then be told?", run_polling},
	{"coalescing", "how many completions should one interrupt tell?", run_coalescing},
	{"doorbells", "how many commands should one doorbell announce?", run_doorbells},
	{"buffering", "how many buffers let device and program work at once?", run_buffering},
	{"depth", "how many commands should a device have at once?", run_depth},
	{"merging", "what do merging and plugging save?", run_merging},
	{"read-ahead", "what is it worth to read before one is asked?", run_readahead},
};

const struct lab_experiment *lab_at(size_t index)
{
	return index < array_size(experiments) ? &experiments[index] : NULL;
}

const struct lab_experiment *lab_find(const char *name)
{
	for (size_t i = 0; i < array_size(experiments); i++)
		if (strcmp(experiments[i].name, name) == 0)
			return &experiments[i];
	return NULL;
}

int lab_run(const struct lab_experiment *experiment, uint64_t seed, struct lab_report *report)
{
	int err;

	*report = (struct lab_report){.name = experiment->name};
	err = experiment->run(seed, report);
	if (err)
		lab_report_done(report);
	return err;
}
