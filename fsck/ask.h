/*
 * fsck/ask.h - a question to the person at the terminal.
 *
 * Purpose     One key answers, as with e2fsck: y and n, Enter and the space bar take the answer that is
 *             proposed, which is yes; a says yes to everything from here on. Ctrl-C, Ctrl-D and a terminal
 *             that goes away end the check.
 */
#ifndef FSCK_ASK_H
#define FSCK_ASK_H

#include "base/types.h"

struct fsck;

enum answer { ANSWER_YES, ANSWER_NO, ANSWER_ALL };

/* Prints the question and waits. Does not come back when the check is to end. */
enum answer ask_person(struct fsck *f, const char *question);

#endif
