/* SPDX-License-Identifier: MIT */
/* Counting refusals and answering from memory.
 *
 * Only the refusal of the one that was let through makes the pause longer: those that were on their way when
 * the damping began all come back at once, and would make half a minute of the first second. */
#include "policy/storm.h"

#include "base/assert.h"

void storm_init(struct storm *s, int refusals_max)
{
    ASSERT(refusals_max >= 1 && refusals_max <= STORM_REFUSALS_MAX);
    *s = (struct storm){.refusals_max = refusals_max};
}

static bool is_free(const struct storm_slot *e)
{
    return e->key.hash == 0 && e->key.bytes_n == 0;
}

static int64_t last_us(const struct storm_slot *e)
{
    return e->times_us[(e->refused_n - 1) % STORM_REFUSALS_MAX];
}

/* Frees what has not been refused for a minute. */
static bool is_forgotten(struct storm_slot *e, int64_t now_us)
{
    if (!is_free(e) && now_us - last_us(e) >= STORM_MEMORY_US)
        *e = (struct storm_slot){0};
    return is_free(e);
}

static struct storm_slot *find(struct storm *s, struct storm_key key)
{
    for (size_t i = 0; i < STORM_SLOTS_N; i++) {
        struct storm_slot *e = &s->slots[i];

        if (e->key.hash == key.hash && e->key.bytes_n == key.bytes_n)
            return e;
    }
    return NULL;
}

/* A slot for a request that has none. */
static struct storm_slot *take_slot(struct storm *s, struct storm_key key, int64_t now_us)
{
    struct storm_slot *oldest = &s->slots[0];

    for (size_t i = 0; i < STORM_SLOTS_N; i++) {
        struct storm_slot *e = &s->slots[i];

        if (is_forgotten(e, now_us)) {
            oldest = e;
            break;
        }
        if (e->used_us < oldest->used_us)
            oldest = e;
    }
    *oldest = (struct storm_slot){.key = key};
    return oldest;
}

/* Returns how many of the bytes had room. */
static size_t keep(struct storm_slot *e, size_t *at, struct slice s)
{
    size_t room = STORM_WORDS_MAX - *at, n = s.n;

    if (s.p == NULL)
        return 0;
    if (n > room) {
        n = room;
        while (n > 0 && (s.p[n] & 0xC0) == 0x80) /* no half of a UTF-8 sequence */
            n--;
    }
    memcpy(e->words + *at, s.p, n);
    *at += n;
    return n;
}

/* Param and code first: they are short, and programs read them. */
static void keep_refusal(struct storm_slot *e, const struct storm_refusal *r)
{
    size_t at = 0;

    e->status = r->status;
    e->has_param = r->param.p != NULL;
    e->has_code = r->code.p != NULL;
    e->param_n = (uint16_t)keep(e, &at, r->param);
    e->code_n = (uint16_t)keep(e, &at, r->code);
    e->detail_n = (uint16_t)keep(e, &at, r->detail);
}

static struct storm_refusal told(const struct storm_slot *e)
{
    const char *code = e->words + e->param_n, *detail = code + e->code_n;

    return (struct storm_refusal){
        .status = e->status,
        .param = e->has_param ? (struct slice){e->words, e->param_n} : SLICE_NONE,
        .code = e->has_code ? (struct slice){code, e->code_n} : SLICE_NONE,
        .detail = {detail, e->detail_n},
    };
}

bool storm_let(struct storm *s, struct storm_key key, int64_t now_us, struct storm_answer *out)
{
    struct storm_slot *e = find(s, key);

    if (e == NULL || is_forgotten(e, now_us))
        return true;
    e->used_us = now_us;
    if (e->pause_us == 0)
        return true;
    if (now_us >= e->until_us) {
        e->until_us = now_us + e->pause_us;
        e->trying = true;
        return true;
    }
    *out = (struct storm_answer){told(e), e->until_us - now_us, e->refused_n};
    return false;
}

/* Whether so many refusals lie within STORM_MEMORY_US. */
static bool is_storm(const struct storm *s, const struct storm_slot *e, int64_t now_us)
{
    uint32_t n = (uint32_t)s->refusals_max;

    return e->refused_n >= n &&
           now_us - e->times_us[(e->refused_n - n) % STORM_REFUSALS_MAX] < STORM_MEMORY_US;
}

void storm_refused(struct storm *s, struct storm_key key, const struct storm_refusal *r, int64_t now_us)
{
    struct storm_slot *e = find(s, key);

    if (e == NULL || is_forgotten(e, now_us))
        e = take_slot(s, key, now_us);
    else if (e->status != r->status) /* not in the same way: counted from the beginning */
        *e = (struct storm_slot){.key = key};
    e->times_us[e->refused_n++ % STORM_REFUSALS_MAX] = now_us;
    e->used_us = now_us;
    keep_refusal(e, r);
    if (e->pause_us == 0 && is_storm(s, e, now_us)) {
        e->pause_us = STORM_PAUSE_US;
        e->until_us = now_us + e->pause_us;
    } else if (e->trying) {
        e->pause_us = e->pause_us < STORM_PAUSE_MAX_US / 2 ? e->pause_us * 2 : STORM_PAUSE_MAX_US;
        e->until_us = now_us + e->pause_us;
    }
    e->trying = false;
}

void storm_answered(struct storm *s, struct storm_key key)
{
    struct storm_slot *e = find(s, key);

    if (e != NULL)
        *e = (struct storm_slot){0};
}

bool storm_is_over(struct storm *s, int64_t now_us)
{
    bool over = true;

    for (size_t i = 0; i < STORM_SLOTS_N; i++)
        over &= is_forgotten(&s->slots[i], now_us);
    return over;
}
