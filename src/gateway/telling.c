/* SPDX-License-Identifier: MIT */
#include "gateway/telling.h"

#include "base/clock.h"

#define RETRY_AFTER_MAX_US (60 * CLOCK_SECOND_US) /* DESIGN 4.3 */

struct flight_end telling_of(const struct verdict *v, enum outcome o)
{
    const struct outcome_row *row = outcome_row(o);
    struct flight_end end = {row->err, 0, v->detail, v->param, v->code, v->retry_after_us};

    if (row->kind == KIND_CLIENT && end.detail.n == 0)
        end.detail =
            SLICE("The endpoint refused the request and gave no reason that could be read; a wrong url of "
                  "the endpoint looks like this.");
    if (row->kind == KIND_CLIENT)
        end.status = v->status;
    else
        end.param = end.code = SLICE_NONE; /* the endpoint's own code would contradict ours */
    if (row->kind == KIND_CREDENTIAL || row->kind == KIND_GONE)
        end.detail = SLICE_NONE; /* of our key, for the log alone; of what we could not take, half heard */
    if (end.retry_after_us > RETRY_AFTER_MAX_US)
        end.retry_after_us = RETRY_AFTER_MAX_US;
    return end;
}
