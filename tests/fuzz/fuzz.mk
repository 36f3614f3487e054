# SPDX-License-Identifier: MIT
# Fuzz targets in three forms: with replay.c beside the unit tests (any flavour, and SAN=coverage), with libFuzzer
# (SAN=fuzz), and with AFL++'s driver (SAN=afl). docs/fuzzing.md tells how they are run.

FUZZ := $(wildcard tests/fuzz/*_fuzz.c)
FUZZ_BIN := $(FUZZ:%.c=$(B)/%)
# What takes the place of main(): the fuzzer's own, or replay.c.
FUZZ_MAIN := $(if $(filter fuzz afl,$(SAN)),,$(B)/tests/fuzz/replay.o)

$(FUZZ_BIN): $(B)/%: $(B)/%.o $(FUZZ_MAIN) $(B)/libsupport.a $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $(if $(filter fuzz afl,$(SAN)),-fsanitize=fuzzer) -o $@ $^ $(LDLIBS)

.PHONY: fuzz-programs fuzz fuzz-afl fuzz-coverage
fuzz-programs: $(FUZZ_BIN)

FUZZ_RUN = nice -n 19 python3 tests/fuzz/run.py
fuzz: # TIME=20m [TARGETS="sse url"]
	$(Q)$(MAKE) SAN=fuzz CC=clang-14 fuzz-programs && $(FUZZ_RUN) libfuzzer --time $(or $(TIME),60s) $(TARGETS)
fuzz-afl:
	$(Q)AFL_QUIET=1 $(MAKE) SAN=afl CC=afl-clang-fast fuzz-programs && $(FUZZ_RUN) afl --time $(or $(TIME),60s) $(TARGETS)
# Which lines the corpora reach, the committed one and what fuzzers have gathered.
fuzz-coverage:
	$(Q)$(MAKE) SAN=coverage CC=clang-14 fuzz-programs && $(FUZZ_RUN) coverage $(TARGETS)

-include $(FUZZ:%.c=$(B)/%.d) $(B)/tests/fuzz/replay.d
