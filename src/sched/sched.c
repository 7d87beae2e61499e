/* The schedulers, by name. */
#include "sched/sched.h"

#include <string.h>

static const struct elevator_ops *const schedulers[] = {
	&fifo_elevator, &sstf_elevator, &scan_elevator, &cscan_elevator, &deadline_elevator,
};

const struct elevator_ops *sched_at(size_t index)
{
	return index < array_size(schedulers) ? schedulers[index] : NULL;
}

const struct elevator_ops *sched_find(const char *name)
{
	for (size_t i = 0; i < array_size(schedulers); i++)
		if (strcmp(schedulers[i]->name, name) == 0)
			return schedulers[i];
	return NULL;
}
