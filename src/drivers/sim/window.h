/*
 * drivers/sim/window.h - which memory the device may touch, as an IOMMU has it.
 *
 * Purpose     A bus address is good while its window is open, and only for the window's bytes and
 *             direction. What was unmapped stays out of reach: the slot's generation is part of
 *             the address, so an old one does not hit the memory that is mapped there next.
 * Ownership   The mapper's memory, pinned from map to unmap.
 * Locking     One leaf lock, also held over each copy: after window_unmap() returned the device does
 *             not touch the memory any more.
 * Errors      -EFAULT to the device; -ENOSPC when all windows are open.
 */
#ifndef SIM_WINDOW_H
#define SIM_WINDOW_H

#include "base/lock.h"
#include "base/types.h"
#include "regs.h"

typedef uint64_t bus_addr_t;

enum window_right { WINDOW_DEVICE_READS = 1, WINDOW_DEVICE_WRITES = 2 };
#define WINDOW_BYTES_MAX (1u << 24)

struct windows;
struct windows *windows_create(uint32_t nr_max) must_check;
void windows_destroy(struct windows *ws);	/* NULL is harmless */
uint32_t windows_nr_open(struct windows *ws);

/* The driver's side. */
int window_map(struct windows *ws, void *base, uint32_t len_bytes, uint32_t rights,
	       bus_addr_t *ret) must_check;
void window_unmap(struct windows *ws, bus_addr_t address);
/* The device's side. */
int window_load(struct windows *ws, bus_addr_t from, void *to, uint32_t len_bytes) must_check;
int window_store(struct windows *ws, bus_addr_t to, const void *from, uint32_t len_bytes) must_check;
/* A completion entry: its last word after the others. */
int window_post(struct windows *ws, bus_addr_t to, const uint32_t words[COMPLETION_WORDS]) must_check;

#endif
