# extant - ext2 and ext3 images in user space. `make help` lists the targets.
#
# BUILD   where everything is built (default build)
# ROOMS   the rooms of src/ that go into the library (default all)
# SAN     address, undefined or thread: build with that sanitizer
# DEBUG   1: lock ranks and whole-object checks on (the check build)

BUILD  ?= build
PREFIX ?= /usr/local
CC     ?= gcc
ROOMS  ?= base layout block sched drivers cache journal vfs ext fuse daemon
VERSION := 0.1

include tests/harness/packages.mk

PKGS   := fuse3 zlib
WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wwrite-strings
CSTD   := -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFUSE_USE_VERSION=314 -DEXTANT_VERSION='"$(VERSION)"'
OPT    ?= -O2 -g
LDLIBS  = $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread
PKGCF   = $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
ifneq ($(SAN),)
  OPT += -fsanitize=$(SAN) -fno-omit-frame-pointer
  LDFLAGS += -fsanitize=$(SAN)
  ifeq ($(SAN),undefined)
    OPT += -fno-sanitize-recover=all
  endif
endif
ifeq ($(DEBUG),1)
  CSTD += -DEXTANT_DEBUG
  WARN += -Werror
endif
CFLAGS_ALL = $(CSTD) $(OPT) $(WARN) -Iinclude $(PKGCF) $(CFLAGS)

MAINS    := src/daemon/main.c
LIB_SRC  := $(filter-out $(MAINS),$(sort $(foreach r,$(ROOMS),$(wildcard src/$(r)/*.c src/$(r)/*/*.c))))
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/obj/%.o)
LIB      := $(BUILD)/libextant.a
MKFS_SRC := $(wildcard mkfs/*.c)
FSCK_SRC := $(wildcard fsck/*.c)
UNIT_SRC := $(sort $(foreach r,$(ROOMS),$(wildcard tests/unit/$(r)/test_*.c)))
FS_SRC   := $(wildcard tests/fs/*.c)
HARN_SRC := $(wildcard tests/harness/*.c)
obj = $(1:%.c=$(BUILD)/obj/%.o)
BIN := $(BUILD)/bin/extant $(BUILD)/bin/mkfs.extant

## all: build the programs into build/bin
all: $(BIN)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(INC_$(firstword $(subst /, ,$*))) -MMD -MP -c -o $@ $<

# Tests may see the private headers of the room they test; mkfs and fsck see include/ only.
INC_tests := -Isrc -Itests -Imkfs
INC_mkfs  := -I.
INC_fsck  := -I.

$(LIB): $(LIB_OBJ)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/bin/extant: $(call obj,src/daemon/main.c) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/bin/mkfs.extant: $(call obj,$(MKFS_SRC)) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tests/unit: $(call obj,$(UNIT_SRC)) $(call obj,tests/harness/runner.c) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs check) $(LDLIBS)

$(BUILD)/tests/fs: $(call obj,$(FS_SRC)) $(call obj,$(HARN_SRC)) $(call obj,$(filter-out mkfs/main.c,$(MKFS_SRC))) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs check) $(LDLIBS)

## unit: build and run the unit tests of ROOMS
unit: $(BUILD)/tests/unit
	$(BUILD)/tests/unit

## fs: build and run the tests of the whole stack in one process
fs: $(BUILD)/tests/fs
	$(BUILD)/tests/fs

.PHONY: all unit fs
.DELETE_ON_ERROR:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
