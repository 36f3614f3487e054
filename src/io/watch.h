/* SPDX-License-Identifier: MIT */
/* Watching one file for change, on the real loop (inotify).
 *
 * What is watched are directories: that of the path, and that of the file which the path leads to through
 * symbolic links. So a file that is written in place is seen, one that is renamed over it, and Kubernetes'
 * swap of the link ..data, behind which a ConfigMap's files stand. What happens there only leads to a look
 * at the file; on_change comes when it is another one than at the last look (device, inode, size or time of
 * change), and WATCH_SETTLE_US later is still the same; not while there is no file. */
#ifndef IO_WATCH_H
#define IO_WATCH_H

#include "io/loop.h"

#define WATCH_SETTLE_US (200 * INT64_C(1000))

struct watch;

/* NULL with errno when the kernel refuses. The first look is taken now. The path is copied. */
struct watch *watch_new(struct loop *real, const char *path, void (*on_change)(void *ud), void *ud);
void watch_free(struct watch **w);

#endif
