# extant - ext2 and ext3 images in user space. `make help` lists the targets.
#
# BUILD   where everything is built (default build)
# ROOMS   the rooms of src/ that go into the library (default all)
# SAN     address, undefined or thread: build with that sanitizer
# DEBUG   1: lock ranks and whole-object checks on, warnings are errors (the check build)
# V       1: show every command
# DEPS    empty: take the packages as they are, install nothing

BUILD  ?= build
PREFIX ?= /usr/local
ifeq ($(origin CC),default)
  CC := gcc
endif
ROOMS  ?= base layout block sched drivers lab cache journal vfs ext fuse daemon
VERSION := 0.1

include tests/harness/packages.mk

PKGS   := fuse3 zlib liburing
WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wwrite-strings
CSTD   := -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFUSE_USE_VERSION=314 -DEXTANT_VERSION='"$(VERSION)"'
OPT    ?= -O2 -g
# Asked once, and only when something is compiled: before `make deps` there may be no pkg-config.
LDLIBS  = $(eval LDLIBS := $$(shell pkg-config --libs $$(PKGS)) -lpthread)$(LDLIBS)
PKGCF   = $(eval PKGCF := $$(shell pkg-config --cflags $$(PKGS)))$(PKGCF)
CHECKLIBS = $(eval CHECKLIBS := $$(shell pkg-config --libs check))$(CHECKLIBS)
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
CTL_SRC  := $(wildcard src/ctl/*.c)
# Each room's unit tests are a program of their own: their fixtures need not know each other's names.
# mkfs and fsck have no room in src/, but are tested like one where what they rest on is there.
UNIT_ROOMS := $(ROOMS) $(if $(filter layout,$(ROOMS)),mkfs) $(if $(filter journal,$(ROOMS)),fsck)
UNIT_ROOMS := $(foreach r,$(UNIT_ROOMS),$(if $(wildcard tests/unit/$(r)/*.c),$(r)))
UNIT       := $(UNIT_ROOMS:%=$(BUILD)/tests/unit-%)
FS_SRC   := $(wildcard tests/fs/*.c)
HARN_SRC := $(wildcard tests/harness/*.c)
obj = $(1:%.c=$(BUILD)/obj/%.o)
# A sub-make of a plain `make` uses every core; below a `make -j` it shares that one's jobs.
JOBS = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
BIN := $(BUILD)/bin/extant $(BUILD)/bin/extantctl $(BUILD)/bin/mkfs.extant $(if $(wildcard fsck/main.c),$(BUILD)/bin/fsck.extant)
# Small programs of the tests and the benchmark, one source file each.
TOOL_SRC := $(wildcard tests/tools/*.c tests/mount/*.c tests/bench/*.c)
TOOLS    := $(patsubst %.c,$(BUILD)/tools/%,$(notdir $(TOOL_SRC))) $(BUILD)/tools/iowatch.so

# One line a file; errors are not to drown in options.
say = $(if $(filter 1,$(V)),,@printf '  %-4s %s\n' $(1) $(2) && )

## all: build the programs into build/bin
all: $(BIN)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CFLAGS_ALL) $(INC_$(firstword $(subst /, ,$*))) -MMD -MP -c -o $@ $<

# Tests may see the private headers of the room they test; mkfs and fsck see include/ only.
INC_tests := -Isrc -Itests -Imkfs
INC_mkfs  := -I.
INC_fsck  := -I.

$(LIB): $(LIB_OBJ)
	@rm -f $@
	$(call say,AR,$@)ar rcs $@ $^

$(BUILD)/bin/extant: $(call obj,src/daemon/main.c) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/bin/extantctl: $(call obj,$(CTL_SRC)) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/bin/mkfs.extant: $(call obj,$(MKFS_SRC)) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/bin/fsck.extant: $(call obj,$(FSCK_SRC)) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# What unit tests link besides their room's library: parts of mkfs or fsck, and the fakes of other rooms
# whose header they include (unit/block/fakedisk.h is kept by tests/unit/block/test_fakedisk.c).
UNIT_fakes = $(filter-out tests/unit/$(1)/%,$(shell grep -hoE 'unit/[a-z]+/[a-z]+\.h' tests/unit/$(1)/*.c \
	| sort -u | sed -E 's,([a-z]+)\.h$$,test_\1.c,; s,^,tests/,'))
UNIT_mkfs = $(filter-out mkfs/main.c,$(MKFS_SRC))
UNIT_fsck = $(filter-out fsck/main.c,$(FSCK_SRC))
define unit_rule
$(BUILD)/tests/unit-$(1): $(call obj,$(wildcard tests/unit/$(1)/*.c) $(UNIT_$(1)) $(call UNIT_fakes,$(1)) tests/harness/runner.c) $(LIB)
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(CHECKLIBS) $$(LDLIBS)
endef
$(foreach r,$(UNIT_ROOMS),$(eval $(call unit_rule,$(r))))

$(BUILD)/tests/fs: $(call obj,$(FS_SRC)) $(call obj,$(HARN_SRC)) $(call obj,$(filter-out mkfs/main.c,$(MKFS_SRC))) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ $(CHECKLIBS) $(LDLIBS)

$(BUILD)/tools/%: $(BUILD)/obj/tests/tools/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
# Loaded before a program, which may itself be of any build.
$(BUILD)/tools/iowatch.so: tests/fsck/iowatch.c
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -std=gnu11 -O2 -Wall -Wextra -D_FILE_OFFSET_BITS=64 -fPIC -shared -o $@ $<
$(BUILD)/tools/%: $(BUILD)/obj/tests/mount/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/tools/%: $(BUILD)/obj/tests/bench/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
# This one is made of tests, with the runner of the unit tests.
$(BUILD)/tools/semantics: $(call obj,tests/mount/semantics.c tests/harness/runner.c) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ $(CHECKLIBS) $(LDLIBS)

CRASH_SRC := $(wildcard tests/crash/*.c)
# Who waits in the laboratory lets its disk go on first (tests/crash/flatdisk.c).
CRASH_WAITS := -Wl,--wrap=cond_wait,--wrap=cond_wait_ms,--wrap=bit_wait_clear
$(BUILD)/tests/crash: $(call obj,$(CRASH_SRC)) $(call obj,$(filter-out mkfs/main.c,$(MKFS_SRC))) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $(CRASH_WAITS) -o $@ $^ $(LDLIBS)

## deps: install the Debian packages that are missing (nothing, without network, when all are there)
DEPS ?= $(BUILD_PACKAGES) $(TEST_PACKAGES)
deps:
	@$(if $(strip $(DEPS)),tests/harness/deps.sh $(DEPS),:)

## demo: make an image, mount it, copy a tree into it, compare, unmount, check it
demo: deps
	+@$(MAKE) $(JOBS) --no-print-directory -s all tools
	@BUILD=$(BUILD) tests/harness/demo.sh

## tools: build the small programs that the mount tests and the benchmark use
tools: $(TOOLS)

## unit: build and run the unit tests of ROOMS (one of them: build/tests/unit-ROOM -s SUITE)
unit: $(UNIT)
	@tests/harness/check.sh $(UNIT)

## fs: build and run the tests of the whole stack in one process
fs: $(BUILD)/tests/fs
	$(BUILD)/tests/fs

## crash: states that a power cut can leave, tried for some minutes; faults, kill -9, foreign journals
crash: $(BUILD)/tests/crash $(BIN) $(TOOLS)
	@BUILD=$(BUILD) tests/harness/check.sh tests/crash/short.sh tests/crash/foreign.sh tests/crash/programs.sh tests/crash/kill.sh

## crash-full: all sequences of two operations and more, for hours (resumable: tests/crash/CRASH.md)
crash-full: $(BUILD)/tests/crash
	BUILD=$(BUILD) tests/crash/full.sh

programs: $(BIN) $(TOOLS) $(UNIT) $(BUILD)/tests/fs

# The check build has its own directory, so that `make` and `make check` do not undo each other.
CHECK := $(BUILD)/check
CHECK_MAKE = $(MAKE) $(JOBS) --no-print-directory BUILD=$(CHECK) DEBUG=1
# Scripts that need the programs only (mkfs against mke2fs), and those that mount. The quick ones
# go into `make check`.
MKFS_SH  := $(filter-out tests/mkfs/lib.sh,$(wildcard tests/mkfs/*.sh))
FSCK_SH  := $(wildcard tests/fsck/run.sh tests/fsck/options.sh)
MOUNT_SH := $(filter-out tests/mount/lib.sh,$(wildcard tests/mount/*.sh))
QUICK_SH := $(filter %/smoke.sh %/exit.sh %/semantics.sh,$(MOUNT_SH))

## check: unit, fs, mkfs, fsck and quick mount tests of the check build; the last line is the total
check: deps
	+@$(CHECK_MAKE) programs
	@BUILD=$(CHECK) QUICK=1 tests/harness/check.sh $(UNIT_ROOMS:%=$(CHECK)/tests/unit-%) $(CHECK)/tests/fs $(MKFS_SH) $(FSCK_SH:%="bash %") $(QUICK_SH)

## check-mount: every test that mounts through the kernel (tests/mount)
check-mount: deps
	+@$(CHECK_MAKE) programs
	@BUILD=$(CHECK) tests/harness/check.sh $(MOUNT_SH)

## check-full: check, check-mount, the sanitizers, headers and map, in one total (what CI runs)
check-full: deps
	@.ci/run

## asan: unit and fs tests under the address sanitizer
asan: SAN_NAME := address
## ubsan: unit and fs tests under the undefined-behaviour sanitizer
ubsan: SAN_NAME := undefined
## tsan: unit and fs tests under the thread sanitizer
tsan: SAN_NAME := thread
asan ubsan tsan: deps
	+@$(MAKE) $(JOBS) --no-print-directory BUILD=$(BUILD)/$@ DEBUG=1 SAN=$(SAN_NAME) programs
	@BUILD=$(BUILD)/$@ tests/harness/check.sh $(UNIT_ROOMS:%=$(BUILD)/$@/tests/unit-%) $(BUILD)/$@/tests/fs

SOURCES := $(sort $(wildcard src/*/*.c src/*/*/*.c) $(MKFS_SRC) $(FSCK_SRC))
HEADERS := $(sort $(wildcard include/*/*.h))
OURS    := $(sort $(SOURCES) $(HEADERS) $(wildcard src/*/*.h src/*/*/*.h mkfs/*.h fsck/*.h) \
	$(wildcard tests/*/*.c tests/*/*.h tests/unit/*/*.c))

## tsa: clang's analysis of which lock is held where
tsa:
	@tests/harness/each.sh "$(SOURCES)" \
		clang -fsyntax-only -Wthread-safety -Werror=thread-safety $(CSTD) -Iinclude $(PKGCF) -I. {}

## tidy: clang-tidy over the sources
tidy:
	@tests/harness/each.sh "$(SOURCES)" \
		clang-tidy --quiet {} -- $(CSTD) -Iinclude $(PKGCF) -I.

## headers: every public header compiles alone
headers:
	@tests/harness/each.sh "$(HEADERS)" \
		$(CC) -fsyntax-only -x c $(CSTD) $(WARN) -Werror -Iinclude $(PKGCF) {}

## format: clang-format in place
format:
	clang-format -i $(OURS)

## format-check: what clang-format would change, as errors
format-check:
	@clang-format --dry-run -Werror $(OURS)

## map: includes and direct calls against the floors of src/DESIGN.md, circles between files
map: $(LIB) $(call obj,$(MKFS_SRC) $(FSCK_SRC) $(CTL_SRC) $(MAINS))
	@tests/harness/map.sh $(BUILD)

## sizes: the longest functions and files, and the medians
sizes:
	@tests/harness/sizes.sh $(SOURCES)

## bench: extant, fuse2fs and the kernel in one run, as ratios (ROUNDS=3)
bench: deps
	+@$(MAKE) $(JOBS) --no-print-directory -s all tools
	@BUILD=$(BUILD) tests/bench/bench.sh

BINDIR  := $(DESTDIR)$(PREFIX)/bin
SBINDIR := $(DESTDIR)$(PREFIX)/sbin
# mount(8) and umount(8) look for helpers here and nowhere else, whatever PREFIX is.
HELPERDIR ?= /sbin
HELPERS := $(DESTDIR)$(HELPERDIR)
MANDIR  := $(DESTDIR)$(PREFIX)/share/man
MAN1    := $(wildcard src/daemon/*.1)
MAN8    := $(wildcard src/daemon/*.8 src/ctl/*.8 mkfs/*.8 fsck/*.8)

## install: programs and manual pages below $(DESTDIR)$(PREFIX) (default /usr/local)
install: all
	install -d $(BINDIR) $(SBINDIR)
	install -m 755 $(BUILD)/bin/extant $(BINDIR)/extant
	install -m 755 $(filter-out %/extant,$(BIN)) $(SBINDIR)
	@mkdir -p $(HELPERS) 2>/dev/null; if [ -w $(HELPERS) ]; then \
		ln -sf $(PREFIX)/bin/extant $(HELPERS)/mount.extant; \
		ln -sf $(PREFIX)/sbin/extantctl $(HELPERS)/umount.fuse.extant; \
		for name in fsck.extant fsck.fuse.extant; do \
			[ $(SBINDIR)/$$name -ef $(HELPERS)/$$name ] || \
			ln -sf $(PREFIX)/sbin/fsck.extant $(HELPERS)/$$name; \
		done; \
	else echo "$(HELPERS) is not yours to write: without mount -t extant, and umount will not wait"; fi
	$(if $(MAN1),install -d $(MANDIR)/man1 && install -m 644 $(MAN1) $(MANDIR)/man1)
	$(if $(MAN8),install -d $(MANDIR)/man8 && install -m 644 $(MAN8) $(MANDIR)/man8)

## uninstall: remove what install put there
uninstall:
	rm -f $(BINDIR)/extant $(addprefix $(SBINDIR)/,extantctl mkfs.extant fsck.extant)
	rm -f $(HELPERS)/mount.extant $(HELPERS)/umount.fuse.extant $(HELPERS)/fsck.extant $(HELPERS)/fsck.fuse.extant
	rm -f $(addprefix $(MANDIR)/man1/,$(notdir $(MAN1))) $(addprefix $(MANDIR)/man8/,$(notdir $(MAN8)))

## clean: remove the build directory
clean:
	rm -rf $(BUILD)

## help: this list
help:
	@awk '/^## /{ sub(/^## /, ""); at = index($$0, ": "); \
		printf "%-14s %s\n", substr($$0, 1, at - 1), substr($$0, at + 2) }' Makefile

.PHONY: all deps demo tools unit fs crash crash-full programs check check-mount check-full asan ubsan tsan tsa tidy \
	headers format format-check map sizes bench install uninstall clean help
.DELETE_ON_ERROR:
.SECONDARY:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
