/* SPDX-License-Identifier: MIT */
/* A configuration while it is being read: the snapshot that grows and the places in the file it comes from.
 * Each section has a reader in the file of its name; they run in the order of the declarations below, since
 * each resolves names of those before it. */
#ifndef CONFIG_DRAFT_H
#define CONFIG_DRAFT_H

#include "config/node.h"
#include "config/snapshot.h"

#define DRAFT_ENDPOINTS_MAX 1000 /* names of endpoints and accounts are searched linearly */
#define DRAFT_ACCOUNTS_MAX 1000
#define DRAFT_MODELS_MAX 10000
#define DRAFT_ALIASES_MAX 1000 /* of one model */
#define DRAFT_TARGETS_MAX 64   /* of one model, over all tiers */
#define DRAFT_KEYS_MAX 50000
#define DRAFT_MODEL_LIMITS_MAX 64 /* of one key; searched linearly for each request */
#define DRAFT_LISTEN_MAX 64
#define DRAFT_ORIGINS_MAX 256
#define DRAFT_RULES_MAX 64   /* of one list: looked at one after the other for each request */
#define DRAFT_HEADERS_MAX 16 /* of one rule */
#define DRAFT_PAIRS_MAX 64   /* certificates of one listener: each may be looked at in a handshake */

struct draft {
    struct notes *notes;
    struct snapshot *snapshot;
    struct arena *arena;   /* the snapshot's */
    struct config *config; /* the snapshot's */
    const struct config_env *env;
    /* Sections as they stand in the file, NULL where they do not. */
    const struct node *listen, *tls, *admin, *metrics, *cors, *keys, *accounts, *endpoints, *models;
    const struct node *timeouts, *limits, *rules, *regions;
};

void listeners_read(struct draft *d);
void cors_read(struct draft *d);
void accounts_read(struct draft *d);
/* {MODEL: NUMBER}, or a number for "*" where that is allowed. */
void accounts_read_slots(struct draft *d, const struct node *n, bool number, const struct config_slots **out,
                         size_t *out_n);
/* Makes an account of the slots of each endpoint that has some; when nothing is wrong, after all else. */
void accounts_add_own(struct draft *d);
void endpoints_read(struct draft *d);
/* How far each endpoint is. */
void regions_read(struct draft *d);
void regions_read_own(struct draft *d, const struct node *n, void *unused); /* `region` of the file */
void models_read(struct draft *d);
/* The index of the model of that name, or -1 after a note at `at`. `shown` is the name as messages show it,
 * `verb` what is wanted of the model: "allow". */
int models_find(struct draft *d, struct slice name, const char *shown, struct place at, const char *verb);
void keys_read(struct draft *d);
/* `rules` of the file and of each model. */
void routing_read(struct draft *d);
/* The value of a key `sensitive`, which can only be local-only. */
void routing_read_sensitive(struct draft *d, const struct node *n, bool *out);
/* What rules and `sensitive` leave; when every reference is resolved. */
void routing_check(struct draft *d);
/* What can only be judged when everything has been read. */
void rules_check(struct draft *d);
/* Warnings about what cannot do what it was meant for; when nothing is wrong. */
void sense_check(struct draft *d);

#endif
