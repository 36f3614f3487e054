/* SPDX-License-Identifier: MIT */
/* What program this is. */
#ifndef CMD_VERSION_H
#define CMD_VERSION_H

const char *version_text(void);     /* "0.1.0" */
const char *version_revision(void); /* of the sources, or "unknown" */

#endif
