/* SPDX-License-Identifier: MIT */
/* The fields of an endpoint that say how it is reached: proxy, Unix socket, and what TLS needs besides the
 * URL. */
#ifndef CONFIG_WAY_H
#define CONFIG_WAY_H

#include "config/draft.h"

/* Readers of single fields, for the table of endpoints.c. `into`: a struct config_endpoint. */
void way_read_proxy(struct draft *d, const struct node *n, void *into);
void way_read_socket(struct draft *d, const struct node *n, void *into);
void way_read_ca_file(struct draft *d, const struct node *n, void *into);
void way_read_client_cert(struct draft *d, const struct node *n, void *into);
void way_read_client_key(struct draft *d, const struct node *n, void *into);
void way_read_server_name(struct draft *d, const struct node *n, void *into);

/* When all fields of `entry` are read: what they say together, and the environment's proxy. */
void way_settle(struct draft *d, struct config_endpoint *e, const struct node *entry);

#endif
