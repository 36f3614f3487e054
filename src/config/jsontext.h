/* SPDX-License-Identifier: MIT */
/* A value of the configuration as JSON text. */
#ifndef CONFIG_JSONTEXT_H
#define CONFIG_JSONTEXT_H

#include "base/buf.h"
#include "config/node.h"

/* Appends n. Plain texts become null, true, false and numbers where JSON has them so, else strings; quoted
 * texts are strings. *env is set when a value of the environment stands in it.
 * False after noting an error. */
bool jsontext_add(struct notes *notes, const struct node *n, struct buf *out, bool *env);

#endif
