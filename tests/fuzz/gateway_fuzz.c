/* SPDX-License-Identifier: MIT */
/* The whole gateway in virtual time under a script of bytes and times (support/script.h). */
#include "fuzz/fuzz.h"
#include "support/script.h"

#define SCRIPT_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct script_tally tally;

    script_run((struct slice){(const char *)data, n < SCRIPT_MAX ? n : SCRIPT_MAX}, &tally);
    return 0;
}
