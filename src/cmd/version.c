/* SPDX-License-Identifier: MIT */
/* The one file that is compiled again when the revision changes. */
#include "cmd/version.h"

#include <version.h> /* made by the Makefile */

const char *version_text(void)
{
    return TIDEGATE_VERSION;
}

const char *version_revision(void)
{
    return TIDEGATE_REVISION;
}
