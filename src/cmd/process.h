/* SPDX-License-Identifier: MIT */
/* The process's own figures for /metrics. */
#ifndef CMD_PROCESS_H
#define CMD_PROCESS_H

#include "base/buf.h"

/* process_* and tidegate_build_info in Prometheus' text format. `ud` is not used. */
void process_metrics(void *ud, struct buf *out);

#endif
