#include "uuid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* 100 ns units from the reform of the calendar, 15 October 1582, to 1970. */
#define UUID_EPOCH_OFFSET 0x01b21dd213814000ull

int uuid_make_random(uint8_t uuid[UUID_BYTES])
{
	ssize_t n = getrandom(uuid, UUID_BYTES, 0);

	if (n != (ssize_t)UUID_BYTES)
		return n < 0 ? -errno : -EIO;
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);	/* version 4 */
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);	/* variant of the RFC */
	return 0;
}

int uuid_make_time(uint8_t uuid[UUID_BYTES])
{
	struct timespec now;
	uint64_t ticks;
	int err = uuid_make_random(uuid);	/* clock sequence and node stay random */

	if (err)
		return err;
	clock_gettime(CLOCK_REALTIME, &now);
	ticks = UUID_EPOCH_OFFSET + (uint64_t)now.tv_sec * 10000000u + (uint64_t)now.tv_nsec / 100;
	for (int i = 0; i < 4; i++)
		uuid[i] = (uint8_t)(ticks >> (24 - 8 * i));
	uuid[4] = (uint8_t)(ticks >> 40);
	uuid[5] = (uint8_t)(ticks >> 32);
	uuid[6] = (uint8_t)(0x10 | ((ticks >> 56) & 0x0f));
	uuid[7] = (uint8_t)(ticks >> 48);
	uuid[10] |= 0x01;	/* a multicast address: no network card has it */
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int uuid_from_text(const char *text, uint8_t uuid[UUID_BYTES])
{
	uint8_t out[UUID_BYTES];
	unsigned at = 0;

	if (strlen(text) != UUID_TEXT - 1)
		return -EINVAL;
	for (unsigned i = 0; i < UUID_BYTES; i++) {
		int high, low;

		if (i == 4 || i == 6 || i == 8 || i == 10)
			if (text[at++] != '-')
				return -EINVAL;
		high = hex_digit(text[at++]);
		low = hex_digit(text[at++]);
		if (high < 0 || low < 0)
			return -EINVAL;
		out[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(uuid, out, sizeof(out));
	return 0;
}

void uuid_to_text(const uint8_t u[UUID_BYTES], char text[UUID_TEXT])
{
	snprintf(text, UUID_TEXT, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13],
		 u[14], u[15]);
}
