/*
 * A question to the person at the terminal.
 *
 * The terminal hands over keys as they come while a question stands, and is put back before anything
 * else happens, so that no way out leaves it without echo. Signals stay the terminal's: Ctrl-C interrupts
 * the read, and the check ends as it does anywhere else.
 */
#include "ask.h"

#include <errno.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "context.h"

#define KEY_END (-1) /* nobody is there any more */
#define KEY_EOT 4 /* Ctrl-D */

static void take_line_mode_off(struct termios *saved, bool *ret_is_saved)
{
	struct termios now;

	*ret_is_saved = !tcgetattr(STDIN_FILENO, saved);
	if (!*ret_is_saved)
		return;
	now = *saved;
	now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	now.c_cc[VMIN] = 1;
	now.c_cc[VTIME] = 0;
	ignore(tcsetattr(STDIN_FILENO, TCSANOW, &now), "then Enter has to be pressed");
}

/* The signals that turn progress on and off are no answer. */
static int read_key(const struct fsck *f)
{
	unsigned char key;
	ssize_t n;

	do
		n = f->cancelled ? 0 : read(STDIN_FILENO, &key, 1);
	while (n < 0 && errno == EINTR);
	return n == 1 ? key : KEY_END;
}

/* False: no answer; ask on. */
static bool understand(int key, enum answer *ret)
{
	switch (key) {
	case 'y':
	case 'Y': *ret = ANSWER_YES; return true;
	case 'n':
	case 'N': *ret = ANSWER_NO; return true;
	case 'a':
	case 'A': *ret = ANSWER_ALL; return true;
	case ' ':
	case '\r':
	case '\n': *ret = ANSWER_YES; return true;
	default: return false;
	}
}

enum answer ask_person(struct fsck *f, const char *question)
{
	static const char *const spoken[] = {"yes", "no", "yes to all"};
	enum answer answer = ANSWER_YES;
	struct termios saved;
	bool is_saved, is_answered = false;
	int key = 0;

	take_line_mode_off(&saved, &is_saved);
	printf("%s ('a' says yes to all) <y>? ", question);
	fflush(stdout);
	while (!is_answered && key != KEY_END && key != KEY_EOT) {
		key = read_key(f);
		is_answered = understand(key, &answer);
	}
	if (is_saved)
		ignore(tcsetattr(STDIN_FILENO, TCSANOW, &saved), "it was possible before");
	puts(is_answered ? spoken[answer] : "");
	if (!is_answered)
		fsck_cancel(f);
	return answer;
}
