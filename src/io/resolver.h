/* SPDX-License-Identifier: MIT */
/* Names to addresses without blocking (c-ares), for the real loop.
 *
 * /etc/hosts comes before DNS. Answers are kept for their TTL, at least 1 s and at most 60 s, failures for 1
 * s; look-ups of a host that is being looked up share that query. A look-up ends within 5 s.
 *
 * Threads: everything on the loop's thread. */
#ifndef IO_RESOLVER_H
#define IO_RESOLVER_H

#include "io/loop.h"

struct resolver;

/* Asks the loop to watch a descriptor, or to forget it (both false; the resolver closes it right after).
 * *handle belongs to the descriptor: NULL at first, then whatever the loop stores there until it forgets. */
typedef void (*resolver_watch_cb)(void *ud, int fd, bool readable, bool writable, void **handle);

struct resolver *resolver_new(struct loop *l, resolver_watch_cb watch, void *ud);
/* Every look-up must have ended or been cancelled before. */
void resolver_free(struct resolver **r);
/* Name servers instead of the system's: "127.0.0.1:5353,[::1]:53". ERR_MALFORMED if c-ares cannot read it.
 * Not while a look-up runs. */
enum err resolver_set_servers(struct resolver *r, const char *servers);

/* The callback comes in a later turn, once: ERR_OK with at least one address, or ERR_DNS. The look-up is then
 * gone. */
struct lookup *resolver_lookup(struct resolver *r, const char *host, uint16_t port, lookup_cb cb, void *ud);
/* Forgets a look-up whose callback has not come; *k becomes NULL. */
void resolver_cancel(struct lookup **k);

/* A watched descriptor is ready. */
void resolver_ready(struct resolver *r, int fd, bool readable, bool writable);

#endif
