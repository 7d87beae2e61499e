/*
 * layout/refuse.h - how the gates of this room say no.
 *
 * Purpose     A gate answers -EUCLEAN and leaves one clause that says why: both in one call.
 * Ownership   The text goes into the caller's buffer, cut off where it does not fit.
 * Locking     None.
 */
#ifndef LAYOUT_REFUSE_H
#define LAYOUT_REFUSE_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/types.h"

/* Where a gate's reason goes. */
struct why {
	char *text;
	size_t size;	/* bytes of text; 0: nobody wants the reason */
};

/* Always -EUCLEAN. */
static inline int printf_like(2, 3) refuse(struct why why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why.text, why.size, format, args);
	va_end(args);
	return -EUCLEAN;
}

#endif
