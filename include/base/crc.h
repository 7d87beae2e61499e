/*
 * base/crc.h - the CRC32 that jbd2's first transaction checksum uses, on zlib.
 *
 * Purpose     crc32_be(seed, bytes): polynomial 0x04C11DB7, most significant bit first, no final
 *             inversion. zlib computes the reflected form; bits are mirrored on the way.
 * Locking     None: pure.
 * Sources     JOURNAL.md (transaction checksum).
 */
#ifndef BASE_CRC_H
#define BASE_CRC_H

#include "base/types.h"

#define CRC32_BE_SEED 0xffffffffu

uint32_t crc32_be(uint32_t seed, const void *bytes, size_t len);

/*
 * CRC32C (Castagnoli), lowest bit first, no inversion: what jbd2's second and third checksum
 * formats use. Only recovery of journals that others wrote needs it, so a table does.
 */
uint32_t crc32c(uint32_t seed, const void *bytes, size_t len);

#endif
