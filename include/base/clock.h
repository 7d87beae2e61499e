/*
 * base/clock.h - time, real or virtual.
 *
 * Purpose     Whatever waits or stamps asks a clock it was given, so that tests and simulated
 *             disks run in virtual time and are the same on every run.
 * Ownership   The creator's; must outlive its users.
 * Locking     Any thread.
 * Units       Nanoseconds, since an arbitrary start for monotonic time, since 1970 for wall time.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <time.h>

#include "base/types.h"

#define NSEC_PER_SEC 1000000000ull
#define NSEC_PER_MSEC 1000000ull

struct clock;
struct clock *clock_create_real(void) must_check;
/* wall_start: what clock_wall() says at virtual time 0. */
struct clock *clock_create_virtual(struct timespec wall_start) must_check;
void clock_destroy(struct clock *c);
bool clock_is_virtual(const struct clock *c);
uint64_t clock_now_ns(const struct clock *c);		/* monotonic */
/* Wall time; cheap (the kernel's coarse clock: about 4 ms), as file times need no more. */
struct timespec clock_wall(const struct clock *c);
/*
 * Virtual only: moves time on. The threads of work queues made with this clock then run what became
 * due; an inline queue does so at its next work_run_pending() (base/work.h).
 */
void clock_advance(struct clock *c, uint64_t ns);

#endif
