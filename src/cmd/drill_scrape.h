/* SPDX-License-Identifier: MIT */
/* What a gateway's /metrics says of its calls, asked for again and again while a drill runs. */
#ifndef CMD_DRILL_SCRAPE_H
#define CMD_DRILL_SCRAPE_H

#include "rehearse/drill_take.h"
#include "upstream/call.h"

struct drill_scrape {
    const struct drill_scenario *scenario;
    struct pool pool;
    struct call *call; /* or NULL */
    struct buf page;
    struct drill_sight sights[DRILL_PROVIDERS_MAX]; /* of the last whole page */
    bool scraped;
};

/* admin: the Unix socket. Both on the loop's thread. */
void drill_scrape_init(struct drill_scrape *s, struct loop *l, const struct drill_scenario *scenario,
                       const struct addr *admin);
void drill_scrape_fini(struct drill_scrape *s);
/* The newest that is known; asks for something newer. */
void drill_scrape_look(struct drill_scrape *s, struct drill_sight *sights);
/* Reads a page. */
void drill_scrape_read(const struct drill_scenario *scenario, struct slice page, struct drill_sight *sights);

#endif
