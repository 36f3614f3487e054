/* SPDX-License-Identifier: MIT */
/* The bytes of one event as clients get them. */
#ifndef GATEWAY_RENDER_H
#define GATEWAY_RENDER_H

#include "base/arena.h"
#include "http/sse.h"
#include "llm/surface.h"

/* ev->raw itself when `data` is ev->data and the event came in the one form that SDKs know; else bytes in the
 * arena; SLICE_NONE when there is no memory for them. Thread: any. */
struct slice render_event(const struct surface *surface, const struct sse_event *ev, struct slice data,
                          struct arena *arena);

#endif
