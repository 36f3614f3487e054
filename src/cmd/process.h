/* SPDX-License-Identifier: MIT */
/* The process: its figures for /metrics, its descriptors, its core. */
#ifndef CMD_PROCESS_H
#define CMD_PROCESS_H

#include "base/buf.h"

/* process_* and tidegate_build_info in Prometheus' text format. `ud` is not used. */
void process_metrics(void *ud, struct buf *out);
/* Raises the limit of open files as far as the system allows and returns it; 0: there is none. */
int64_t process_raise_files(void);
/* Whether a crash may leave a core file, and another process of the same user read this one's memory: both
 * show secrets. */
void process_allow_cores(bool allow);

#endif
