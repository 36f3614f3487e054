/* SPDX-License-Identifier: MIT */
/* Whether a loop should rest, from how often events come. */
#include "io/moderation.h"

bool moderation_turn(struct moderation *m, size_t sources, size_t events, int64_t now_us)
{
    int64_t passed_us = now_us - m->since_us;

    m->events += events;
    if (passed_us >= MODERATION_WINDOW_US) {
        m->dense = (int64_t)m->events >= passed_us / MODERATION_DENSE_US;
        m->events = 0;
        m->since_us = now_us;
    }
    if (!m->dense || events == 0 || events < sources || sources >= MODERATION_TURN_EVENTS)
        return false;
    __atomic_store_n(&m->rests, __atomic_load_n(&m->rests, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
    return true;
}
