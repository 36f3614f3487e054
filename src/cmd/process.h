/* SPDX-License-Identifier: MIT */
/* The process: its figures for /metrics, its descriptors, its core. */
#ifndef CMD_PROCESS_H
#define CMD_PROCESS_H

#include "base/buf.h"

/* process_* and tidegate_build_info in Prometheus' text format. `ud` is not used. */
void process_metrics(void *ud, struct buf *out);
/* Raises the limit of open files as far as the system allows and returns it; 0: there is none. */
int64_t process_raise_files(void);
/* Makes the kernel's table of this process's descriptors as large as for n of them, if so many are allowed.
 * Before any other thread: the kernel doubles a table that threads share only after a grace period of RCU, 10
 * to 20 ms in which accept4 holds the loop; and a crowd of 2,000 passes three doublings. */
void process_spread_files(int64_t n);
/* Whether a crash may leave a core file, and another process of the same user read this one's memory: both
 * show secrets. */
void process_allow_cores(bool allow);

#endif
