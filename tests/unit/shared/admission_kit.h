/* SPDX-License-Identifier: MIT */
/* What the tests of admission share: a configuration that lives on the stack, with a count of its references
 * in place of the snapshot's own (config/snapshot.c is not linked, since nothing else asks for it). */
#ifndef TESTS_SHARED_ADMISSION_KIT_H
#define TESTS_SHARED_ADMISSION_KIT_H

#include <stdatomic.h>

#include "../policy/config_kit.h"
#include "base/assert.h"

static atomic_int config_refs_n;

void config_ref(struct config *c)
{
    ASSERT(c);
    atomic_fetch_add(&config_refs_n, 1);
}

void config_unref(struct config **c)
{
    if (*c)
        atomic_fetch_sub(&config_refs_n, 1);
    *c = NULL;
}

#endif
