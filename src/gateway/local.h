/* SPDX-License-Identifier: MIT */
/* Answers that the gateway gives by itself. */
#ifndef GATEWAY_LOCAL_H
#define GATEWAY_LOCAL_H

struct exchange;

void local_models(struct exchange *ex);  /* the models that this key may use, aliases included */
void local_model(struct exchange *ex);   /* one of them, by the name in the path */
void local_about(struct exchange *ex);   /* OPTIONS: 204 with the path's methods */
void local_healthz(struct exchange *ex); /* 200 while the process runs */
void local_readyz(struct exchange *ex);  /* 200, or 503 gateway_draining once a drain has begun */

#endif
