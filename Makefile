# SPDX-License-Identifier: MIT
# Plain GNU make. `make` builds build/tidegate; see `make help` for the rest.
#
# Flavours live side by side: `make SAN=address ...` (address and undefined) and `make SAN=thread ...` build into
# build/address and build/thread. V=1 shows whole commands, WERROR=1 makes every warning an error.

VERSION := 0.1.0
SAN ?=
V ?=

B := build$(if $(SAN),/$(SAN))$(if $(WERROR),/werror)
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))
JOBS := $(shell nproc)
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(JOBS)
endif
MAKEFLAGS += --no-builtin-rules --no-print-directory

CC ?= cc
ifeq ($(origin CC),default)
CC := cc
endif
LIBS := yyjson libllhttp yaml-0.1 libcares openssl libxxhash
LIB_CFLAGS := $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
LIB_LDLIBS := $(shell pkg-config --libs $(LIBS) 2>/dev/null)
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef \
        -Wpointer-arith -Wwrite-strings $(if $(WERROR),-Werror)
SAN_address := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SAN_thread := -fsanitize=thread -fno-omit-frame-pointer
SAN_fuzz := $(SAN_address) -fsanitize=fuzzer-no-link
SAN_afl := $(SAN_address)
SAN_coverage := -fprofile-instr-generate -fcoverage-mapping
CFLAGS ?= $(if $(SAN),-O1,-O2) -g
override CFLAGS += -std=gnu11 -pthread $(WARN) $(SAN_$(SAN))
CPPFLAGS += -D_GNU_SOURCE= -Isrc -Itests -I$(B) $(LIB_CFLAGS)
LDFLAGS += -pthread -Wl,--as-needed $(SAN_$(SAN))
LDLIBS += $(LIB_LDLIBS) -lm

ifneq ($(SAN),$(filter address thread fuzz afl coverage,$(SAN)))
$(error SAN is "$(SAN)"; it can be address, thread, or the fuzzers' fuzz, afl and coverage)
endif

# Everything but main.o goes into one static library, which tests and bench tools link as well.
SRC := $(wildcard src/*/*.c)
SUPPORT := $(wildcard tests/support/*.c)
UNIT := $(wildcard tests/unit/*/*_test.c)
BENCH := $(wildcard bench/*.c)
ALL_C := $(wildcard src/main.c) $(SRC) $(SUPPORT) $(UNIT) $(BENCH) $(wildcard tests/fuzz/*.c)
obj = $(patsubst %.c,$(B)/%.o,$(1))
UNIT_BIN := $(UNIT:%.c=$(B)/%)
BENCH_BIN := $(BENCH:%.c=$(B)/%)
LIB := $(B)/libtidegate.a

.SECONDARY:
.DELETE_ON_ERROR:
.PHONY: all tools help test unit integration soak valgrind unit-programs bench-programs check objects tidy format \
        format-check bench bench-peers docs deps clean FORCE

all: $(if $(wildcard src/main.c),$(B)/tidegate,$(LIB))

help:
	@echo 'make [SAN=address|thread] [WERROR=1] [V=1]   builds the program'
	@echo 'make test | unit | integration               builds and tests (./test also installs what they need)'
	@echo 'make soak [TIME=1h] | valgrind               hours of mixed load; all tests under memcheck'
	@echo 'make check                                   format, clang-tidy, layers, style, docs, warnings'
	@echo 'make fuzz | fuzz-afl | fuzz-coverage [TIME=20m]   looks for bytes that break it (docs/fuzzing.md)'
	@echo 'make install | uninstall                     DESTDIR, prefix, sysconfdir, unitdir ... (docs/install.md)'
	@echo 'make format | docs | bench | deps | clean | compile_commands.json'

$(B)/tidegate: $(call obj,src/main.c) $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The archive is made anew, so that an object whose source is gone does not stay in it.
$(LIB): $(call obj,$(SRC))
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D) && rm -f $@ && ar rcs $@ $^

$(B)/libsupport.a: $(call obj,$(SUPPORT))
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D) && rm -f $@ && ar rcs $@ $^

$(B)/%.o: %.c | $(B)/version.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(UNIT_BIN) $(BENCH_BIN): $(B)/%: $(B)/%.o $(B)/libsupport.a $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# It counts what no other program has to: locks and bytes copied.
$(B)/tests/unit/gateway/cost_test: LDFLAGS += -Wl,--wrap=pthread_mutex_lock,--wrap=memcpy,--wrap=memmove
$(B)/tests/unit/gateway/day_test: LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free
# The calls that tests/unit/io/faults_test.c makes fail: the linker puts the test's own in their place.
FAILING := socket bind listen accept4 connect getsockopt setsockopt shutdown epoll_create1 epoll_ctl epoll_wait \
           eventfd signalfd inotify_init1 inotify_add_watch sendto getrandom recv send sendmsg write pthread_create
$(B)/tests/unit/io/faults_test: override LDFLAGS += $(FAILING:%=-Wl,--wrap=%)

# version.h is written again only when what it says has changed, so only the one file that includes it rebuilds.
$(B)/version.h: FORCE
	$(Q)mkdir -p $(@D); r=$$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown); \
	printf '#define TIDEGATE_VERSION "%s"\n#define TIDEGATE_REVISION "%s"\n' '$(VERSION)' "$$r" > $@.$$$$; \
	cmp -s $@.$$$$ $@ && rm $@.$$$$ || mv $@.$$$$ $@

include tests/fuzz/fuzz.mk

unit-programs: $(UNIT_BIN) $(FUZZ_BIN)
bench-programs: $(BENCH_BIN)

export ASAN_OPTIONS ?= detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=0
export UBSAN_OPTIONS ?= print_stacktrace=1
export TSAN_OPTIONS ?= halt_on_error=1:second_deadlock_stack=1

unit: $(UNIT_BIN) $(FUZZ_BIN)
	$(Q)prove -j$(JOBS) --timer $(PROVE_FLAGS) $^

PYTHON := $(or $(wildcard build/venv/bin/python),python3)
# The tests wait more than they work, so several files run at a time where pytest-xdist is installed.
PYTEST_JOBS ?= 4
PYTEST_SPREAD = $(if $(shell $(PYTHON) -c 'import xdist' 2>/dev/null && echo yes),-n $(PYTEST_JOBS) --dist loadfile)
integration: all
	$(Q)TIDEGATE=$(CURDIR)/$(B)/tidegate $(PYTHON) -m pytest -q -ra -p no:cacheprovider $(PYTEST_SPREAD) \
	  $(PYTEST_FLAGS) tests/integration

# Neither is part of a test run: an hour of mixed load, under AddressSanitizer and, for the slope of its memory,
# without it beside that; and all of it under memcheck.
soak: all
	+$(Q)$(MAKE) SAN=address all
	$(Q)run="$(PYTHON) tests/soak/soak.py --time $(or $(TIME),10m) --helper $(B)/tidegate --program"; \
	$$run build/address/tidegate > $(B)/soak-address.log 2>&1 & other=$$!; \
	$$run $(B)/tidegate; rc=$$?; wait $$other || rc=1; cat $(B)/soak-address.log; exit $$rc

MEMCHECK := valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
            --show-leak-kinds=definite
valgrind: all $(UNIT_BIN)
	$(Q)prove -j$(JOBS) --timer $(PROVE_FLAGS) --exec '$(MEMCHECK)' $(UNIT_BIN)
	$(Q)$(PYTHON) tests/soak/memcheck.py --program $(B)/tidegate

test: unit
	@$(MAKE) --no-print-directory integration

# Each checker prints file:line: message; all of them run, and any complaint fails. A stamp beside the object of
# the warning-free compile remembers that clang-tidy had nothing to say about that file and the headers it reads.
# Tests are spared the slow path analysis: they run under the sanitizers.
CHECKS := "$(MAKE) format-check" "$(MAKE) -k WERROR=1 objects" "$(MAKE) -k WERROR=1 tidy" tools/layers.sh \
          tools/style.sh "python3 tools/docs.py --check" \
          "python3 tools/manual.py --check --program $(B)/tidegate"
check: all
	+@rc=0; for c in $(CHECKS); do \
	  $$c || { rc=1; echo "check: FAILED: $$c" >&2; }; done; [ $$rc = 0 ] && echo 'check: fine'; exit $$rc

objects: $(call obj,$(ALL_C))
# Tests and bench tools pass the warnings alone: clang-tidy would take longer over them than over the product.
tidy: $(patsubst %.c,$(B)/%.tidy,src/main.c $(SRC))
$(B)/%.tidy: $(B)/%.o .clang-tidy
	$(call say,TIDY,$*.c)
	$(Q)clang-tidy-14 --quiet $(if $(filter tests/%,$*),--checks=-clang-analyzer-*) $*.c -- -std=gnu11 $(CPPFLAGS) > $@.log 2>&1 \
	|| { grep -v 'warnings generated\.$$' $@.log; exit 1; }
	$(Q)touch $@

format-check:
	$(Q)clang-format-14 --dry-run -Werror $$(tools/style.sh --list-c)
format:
	clang-format-14 -i $$(tools/style.sh --list-c)

bench: all bench-programs
	python3 bench/run.py

# Fetches other LLM gateways; no test and no other target does.
bench-peers: all bench-programs
	python3 bench/peers.py

docs: all
	python3 tools/docs.py
	python3 tools/manual.py --program $(B)/tidegate

deps:
	tools/deps.sh

compile_commands.json: FORCE
	$(Q)for f in $(ALL_C); do printf '%s{"directory":"%s","file":"%s","command":"%s"}' "$${sep-}" '$(CURDIR)' $$f \
	"$(CC) $(CPPFLAGS) $(CFLAGS) -c $$f"; sep=', '; done | { echo '['; cat; echo ']'; } > $@

include deploy/install.mk

clean:
	rm -rf $(filter-out build/venv build/engine build/node,$(wildcard build/*)) compile_commands.json

-include $(patsubst %.c,$(B)/%.d,$(ALL_C))
