/*
 * block/plug.h - hold back a batch of bios, then hand them on together.
 *
 * Purpose     A submitter that knows more is coming plugs; adjacent bios meet in the plug and
 *             become one request before anybody works on them.
 * Ownership   The plug lies on the submitter's stack; unplug empties it.
 * Locking     None: one thread's.
 * Context     plug_submit may sleep (a full plug is handed on at once); unplug may sleep. Who waits
 *             for a bio that still lies in his own plug waits for ever.
 */
#ifndef BLOCK_PLUG_H
#define BLOCK_PLUG_H

#include "base/list.h"
#include "block/bio.h"

#define PLUG_BIOS_MAX 256u

struct plug {
	struct list bios;
	uint32_t nr_bios;
};

void plug_start(struct plug *plug);
void plug_submit(struct plug *plug, struct bio *bio);	/* plug NULL: bio_submit */
void plug_finish(struct plug *plug);
/*
 * The same for a submitter that is about to wait: with a driver that has execute() this thread
 * carries out queued requests itself, so that a small batch wakes nobody. end_io runs here then.
 */
void plug_finish_here(struct plug *plug);

#endif
