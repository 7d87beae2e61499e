/*
 * mkfs/uuid.h - the sixteen bytes that tell one file system from all others.
 *
 * Purpose     Making, reading and printing them, as RFC 4122 has it.
 * Ownership   Plain bytes.
 * Locking     None.
 */
#ifndef MKFS_UUID_H
#define MKFS_UUID_H

#include "base/types.h"

#define UUID_BYTES 16u
#define UUID_TEXT  37u	/* with the terminator */

/* A random one (version 4). -errno when the kernel has no random bytes. */
int uuid_make_random(uint8_t uuid[UUID_BYTES]) must_check;
/* One made from the clock and a random node (version 1). */
int uuid_make_time(uint8_t uuid[UUID_BYTES]) must_check;
/* 8-4-4-4-12 hexadecimal digits; -EINVAL for anything else. */
int uuid_from_text(const char *text, uint8_t uuid[UUID_BYTES]) must_check;
void uuid_to_text(const uint8_t uuid[UUID_BYTES], char text[UUID_TEXT]);

#endif
