/* SPDX-License-Identifier: MIT */
/* A configuration set up for a rehearsal: one of its models alone, its endpoints replaced by stand-ins. */
#ifndef CONFIG_STAGE_H
#define CONFIG_STAGE_H

#include "config/config.h"

#define STAGE_LISTEN "127.0.0.1:8080"

/* Where an endpoint of the original stands on the stage, by its index there. */
typedef struct stage_place (*stage_place_cb)(void *ud, int endpoint);

struct stage_place {
    const char *host; /* an IPv4 address; must outlive the stage */
    uint16_t port;
};

/* Keeps what decides which endpoint answers: tiers, weights, accounts, timeouts, attempts. Leaves out who may
 * call and how much, what else listens, TLS, proxies, sockets and every secret: an endpoint with a key gets a
 * made-up one. One worker; the listener is at STAGE_LISTEN. Refers to `c`, which it keeps a reference to. */
struct config *config_stage(struct config *c, int model, stage_place_cb place, void *ud);

#endif
