/* SPDX-License-Identifier: MIT */
/* An edition: one configuration in force, and everything that is built from it and shared by the workers.
 *
 * A reload makes a new edition beside the one in force; nothing in an edition changes once it is in force. An
 * exchange takes the edition that is in force on its worker when its head arrives, and keeps it to its end,
 * and so does its flight: indices of models, endpoints and keys are only good together with their edition.
 *
 * Threads: made, counted and freed on the control thread (or before the threads start and after they have
 * ended). Workers hold an edition through their desk for it (gateway/desk.h) and count nothing here. */
#ifndef GATEWAY_EDITION_H
#define GATEWAY_EDITION_H

#include "config/config.h"
#include "gateway/stats.h"
#include "io/tls.h"

struct admission;
struct limits;
struct storms;

struct edition {
    uint64_t number; /* 1: the one that the program started with */
    struct config *cfg;
    struct admission *admission;
    struct limits *limits;
    struct storms *storms;     /* begins anew: another configuration may take what this one refuses */
    struct stats stats;        /* label rows */
    struct tls_config **tls;   /* one per endpoint, NULL for plain ones */
    struct tls_config **certs; /* one per listener (gateway/certs.h), NULL for plain ones */
    int refs_n;
};

/* The edition that follows `before` (NULL: the first one), from whose being made on both share slots and
 * counts against limits, under the new configuration. Takes a reference to it; the result has one reference.
 * On failure NULL, *why names what is wrong, and nothing has changed. */
struct edition *edition_new(struct config *cfg, const struct edition *before, const char **why);
void edition_ref(struct edition *e);
void edition_unref(struct edition **e);

#endif
