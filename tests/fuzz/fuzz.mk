# SPDX-License-Identifier: MIT
# Fuzz targets in three forms: with replay.c beside the unit tests (any flavour), with libFuzzer (SAN=fuzz), and
# with AFL++'s driver (SAN=afl). docs/fuzzing.md tells how they are run.

FUZZ := $(wildcard tests/fuzz/*_fuzz.c)
FUZZ_BIN := $(FUZZ:%.c=$(B)/%)
# What takes the place of main(): the fuzzer's own, or replay.c.
FUZZ_MAIN := $(if $(filter fuzz afl,$(SAN)),,$(B)/tests/fuzz/replay.o)

$(FUZZ_BIN): $(B)/%: $(B)/%.o $(FUZZ_MAIN) $(B)/libsupport.a $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $(if $(filter fuzz afl,$(SAN)),-fsanitize=fuzzer) -o $@ $^ $(LDLIBS)

.PHONY: fuzz-programs fuzz fuzz-afl
fuzz-programs: $(FUZZ_BIN)

TIME ?= 60
fuzz: # TIME=SECONDS [TARGETS="sse url"]
	$(Q)$(MAKE) SAN=fuzz CC=clang-14 fuzz-programs && python3 tests/fuzz/run.py libfuzzer --time $(TIME) $(TARGETS)
fuzz-afl:
	$(Q)AFL_QUIET=1 $(MAKE) SAN=afl CC=afl-clang-fast fuzz-programs && python3 tests/fuzz/run.py afl --time $(TIME) $(TARGETS)

-include $(FUZZ:%.c=$(B)/%.d) $(B)/tests/fuzz/replay.d
