/*
 * lab/experiments.h - one function an experiment; lab.c lists them.
 */
#ifndef LAB_EXPERIMENTS_H
#define LAB_EXPERIMENTS_H

#include "lab/lab.h"

int run_schedulers(uint64_t seed, struct lab_report *report) must_check;
int run_pio_dma(uint64_t seed, struct lab_report *report) must_check;
int run_polling(uint64_t seed, struct lab_report *report) must_check;
int run_coalescing(uint64_t seed, struct lab_report *report) must_check;
int run_doorbells(uint64_t seed, struct lab_report *report) must_check;
int run_buffering(uint64_t seed, struct lab_report *report) must_check;
int run_depth(uint64_t seed, struct lab_report *report) must_check;
int run_merging(uint64_t seed, struct lab_report *report) must_check;
int run_readahead(uint64_t seed, struct lab_report *report) must_check;

#endif
