/* SPDX-License-Identifier: MIT */
/* The learned limit of calls in flight. */
#include "policy/limiter.h"

#include <math.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"

#define GROWTH 4.0     /* sqrt(limit) / GROWTH per window */
#define PASSED 1.1     /* past the knee by so much: it is no longer where it was */
#define SAME_KNEE 0.05 /* a knee as near to the last one is the same */
#define FAST_PART 8.0  /* of the limit: the largest step */
#define QUEUE_PART 10  /* of what is in flight: a longer queue in an engine is too much */
#define SLOW_HALF 0.5
#define SLOW_SAME 0.8

/* The longer a window lasts, the fewer samples are enough: one slot of an engine gives few. */
static const struct {
    int64_t age_us;
    int samples;
} patience[] = {{10 * LIMITER_WINDOW_US, LIMITER_SAMPLES / 2}, {LIMITER_STALE_US, 3}};

static double ceiling(const struct limiter *l)
{
    int most = l->cap > 0 ? l->cap : LIMITER_MAX;

    return l->engine > 0 && l->engine < most ? l->engine : most;
}

static void set_limit(struct limiter *l, double limit)
{
    l->limit = fmax(1, fmin(limit, ceiling(l)));
}

void limiter_init(struct limiter *l, const struct limiter_opts *opts)
{
    ASSERT(opts->cap >= 0 && opts->start >= 0 && opts->target_us >= 0);
    *l = (struct limiter){
        .cap = opts->cap, .doubling = true, .window_us = -1, .cut_us = -1, .crowd_us = -1, .rest_most = 1};
    l->window.target_us = opts->target_us > 0 ? opts->target_us : LIMITER_TARGET_US;
    refusals_init(&l->refusals);
    set_limit(l, opts->start > 0 ? opts->start : opts->cap > 0 ? opts->cap : LIMITER_START);
}

void limiter_set_cap(struct limiter *l, int cap)
{
    bool at_cap = l->cap > 0 && l->limit >= l->cap;

    ASSERT(cap >= 0);
    l->cap = cap;
    set_limit(l, at_cap && cap > 0 ? cap : l->limit);
}

int limiter_limit(const struct limiter *l)
{
    return (int)l->limit;
}

bool limiter_has_room(const struct limiter *l, int in_flight, int64_t now_us)
{
    if (now_us < l->opens_us || in_flight >= limiter_limit(l))
        return false;
    return l->run < LIMITER_RUN || in_flight <= l->run_level;
}

int64_t limiter_opens_us(const struct limiter *l)
{
    return l->opens_us;
}

static void open_window(struct limiter *l, int64_t now_us)
{
    ttft_clear(&l->window);
    l->window_us = now_us;
    l->peak = l->begun_n = l->whole_n = 0;
}

/* The next limit of one that has not been cut for a while and was used. */
static double grown(struct limiter *l)
{
    double usual = sqrt(l->limit) / GROWTH, gap = l->knee - l->limit;

    if (l->doubling)
        return l->limit * 2;
    if (gap >= 1 && usual < gap / 2)
        return l->limit + gap / 2;
    if (gap >= 1)
        return fmin(l->knee, l->limit + usual);
    if (l->rest > 0) {
        l->rest--;
        return fmax(l->limit, l->knee);
    }
    if (l->limit > l->knee * PASSED)
        usual = fmax(usual, l->limit / FAST_PART);
    l->step = l->step > 0 ? fmin(l->step * 2, usual) : fmin(1, usual);
    return l->limit + l->step;
}

static bool is_held(const struct limiter *l, int64_t now_us)
{
    return l->cut_us >= 0 && now_us - l->cut_us < LIMITER_HOLD_US;
}

static void grow(struct limiter *l, int64_t now_us)
{
    if (!is_held(l, now_us) && l->peak >= LIMITER_BUSY * limiter_limit(l))
        set_limit(l, grown(l));
}

/* Notes a cut that was made at `at` calls in flight. */
static void note_cut(struct limiter *l, double at, int64_t now_us)
{
    bool same = l->knee > 0 && fabs(at - l->knee) <= fmax(1, SAME_KNEE * l->knee);

    l->rest_most = !same ? 1 : l->rest_most < LIMITER_REST_MAX ? l->rest_most * 2 : LIMITER_REST_MAX;
    l->rest = l->rest_most;
    l->step = 0;
    l->knee = at;
    l->cut_us = now_us;
    open_window(l, now_us);
}

/* A window was too slow. Cuts, unless the cuts so far have shown that they make nothing faster. */
static void slow_window(struct limiter *l, double g, int64_t now_us)
{
    double mean = ttft_mean_us(&l->window), from = fmax(1, l->limit - fmax(1, l->step));

    if (l->slow_limit <= 0 || mean * SLOW_SAME > l->slow_us) {
        l->slow_limit = l->limit;
        l->slow_us = mean;
    } else if (l->limit <= l->slow_limit * SLOW_HALF && mean >= l->slow_us * SLOW_SAME) {
        set_limit(l, l->slow_limit);
        l->slow_limit = 0;
        l->deaf_us = clock_add(now_us, LIMITER_DEAF_US);
        return;
    }
    g = fmax(g, l->doubling ? LIMITER_CUT_DOUBLED : LIMITER_CUT_MAX);
    if (l->step > 0 && l->limit < LIMITER_FEW) /* the slot of the last probe was one too many, not two */
        g = fmax(g, 1 - 1 / l->limit);
    set_limit(l, l->limit * g);
    l->cut_refused = l->doubling = false;
    note_cut(l, from, now_us);
}

static void judge_window(struct limiter *l, int64_t now_us)
{
    double p90 = (double)ttft_p90_us(&l->window), target = (double)l->window.target_us;

    if (p90 <= target) {
        l->slow_limit = 0;
        grow(l, now_us);
    } else if (now_us >= l->deaf_us) {
        slow_window(l, target / p90, now_us);
    }
    open_window(l, now_us);
}

/* Whether the window has enough samples to be judged. */
static bool has_enough(const struct limiter *l, int64_t age_us)
{
    int n = l->window.n, enough = LIMITER_SAMPLES;

    for (size_t i = 0; i < COUNT_OF(patience) && age_us >= patience[i].age_us; i++)
        enough = patience[i].samples;
    if (l->doubling && l->peak / 2 < enough)
        enough = l->peak / 2 > 1 ? l->peak / 2 : 1;
    if (n < enough)
        return false;
    /* The slow ones come last: a window that they are not in yet would double once more, far past the end. */
    return !l->doubling || n >= LIMITER_SEEN * l->begun_n || age_us >= LIMITER_UNSEEN_US;
}

/* Ends the window when it is due. */
static void turn(struct limiter *l, int64_t now_us)
{
    int64_t age;

    if (l->window_us < 0)
        l->window_us = now_us;
    age = now_us - l->window_us;
    if (age < LIMITER_WINDOW_US)
        return;
    if (has_enough(l, age)) {
        judge_window(l, now_us);
    } else if (l->window.n == 0 && l->whole_n >= LIMITER_SAMPLES) {
        if (l->limit < LIMITER_BLIND)
            grow(l, now_us);
        open_window(l, now_us);
    } else if (age >= 2 * LIMITER_STALE_US) {
        open_window(l, now_us);
    }
}

void limiter_begin(struct limiter *l, struct limiter_call *c, int in_flight, int64_t now_us)
{
    *c = (struct limiter_call){now_us, in_flight};
    turn(l, now_us);
    l->begun_n++;
    if (in_flight > l->peak)
        l->peak = in_flight;
}

static bool is_of_crowd(const struct limiter *l, const struct limiter_call *c)
{
    return l->crowd_us >= 0 && llabs(c->begun_us - l->crowd_us) <= LIMITER_CROWD_US;
}

/* Calls that begin together overtake each other. When some of them were refused, those that were not are
 * among what was in flight then, whatever the order in which they began. */
static void note_crowd(struct limiter *l, const struct limiter_call *c, int in_flight)
{
    int level = in_flight > 1 ? in_flight : 1;

    l->crowd_level = is_of_crowd(l, c) && l->crowd_level < level ? l->crowd_level : level;
    l->crowd_us = c->begun_us;
}

static void accept_call(struct limiter *l, const struct limiter_call *c)
{
    int level = is_of_crowd(l, c) && l->crowd_level < c->level ? l->crowd_level : c->level;

    refusals_add(&l->refusals, level, false);
    l->run = 0;
}

void limiter_answered(struct limiter *l, const struct limiter_call *c, int64_t now_us)
{
    accept_call(l, c);
    l->whole_n++;
    turn(l, now_us);
}

void limiter_first(struct limiter *l, const struct limiter_call *c, int64_t prompt_tokens, int64_t now_us)
{
    int64_t ttft = now_us > c->begun_us ? now_us - c->begun_us : 0;

    accept_call(l, c);
    ttft_learn(&l->slope, prompt_tokens, ttft);
    /* What was slow before the slope is known may have had a long prompt: it says nothing. */
    if (c->begun_us > l->cut_us && (!l->doubling || c->begun_us >= l->window_us) &&
        (l->slope.n >= TTFT_SLOPE_MIN_N || ttft <= l->window.target_us))
        ttft_add(&l->window, ttft_normal_us(&l->slope, prompt_tokens, ttft));
    turn(l, now_us);
}

/* Counts the run of refusals, and says when the next call may begin. */
static void pause_calls(struct limiter *l, int in_flight, int64_t retry_after_us, int64_t now_us)
{
    int64_t wait = retry_after_us < LIMITER_RETRY_MAX_US ? retry_after_us : LIMITER_RETRY_MAX_US;
    int past = ++l->run - LIMITER_RUN;

    l->run_level = in_flight;
    if (past >= 0 && wait < LIMITER_PAUSE_MAX_US) {
        int64_t pause = past < 5 ? LIMITER_PAUSE_US << past : LIMITER_PAUSE_MAX_US;

        wait = wait > pause ? wait : pause;
    }
    if (wait > 0 && clock_add(now_us, wait) > l->opens_us)
        l->opens_us = clock_add(now_us, wait);
}

static void cut_by_refusal(struct limiter *l, bool certain, int in_flight, int64_t now_us)
{
    double accepted = fmin(l->limit, fmax(1, in_flight));

    l->cut_factor = l->doubling || accepted < LIMITER_FEW ? 1 : LIMITER_CUT;
    l->cut_refused = true;
    l->doubling = l->doubling && !certain; /* with the first few calls one at random must not end it */
    set_limit(l, l->cut_factor * accepted);
    note_cut(l, accepted, now_us);
    refusals_begin(&l->refusals);
}

void limiter_refused(struct limiter *l, const struct limiter_call *c, int in_flight, int64_t retry_after_us,
                     int64_t now_us)
{
    int level = c->level <= in_flight ? c->level : in_flight + 1;
    bool held = is_held(l, now_us);
    enum refusals_verdict verdict;

    refusals_add(&l->refusals, level, true);
    note_crowd(l, c, in_flight);
    pause_calls(l, in_flight, retry_after_us, now_us);
    if (held && l->cut_refused && c->begun_us <= l->cut_us) { /* of the same crowd as the one that cut */
        if (in_flight < l->knee) {
            l->knee = fmax(1, in_flight);
            set_limit(l, fmin(l->limit, l->cut_factor * l->knee));
        }
        return;
    }
    if (held || now_us < l->flat_us)
        return;
    verdict = refusals_judge(&l->refusals, level, (int)l->knee);
    if (verdict == REFUSALS_FLAT) {
        l->flat_us = clock_add(now_us, LIMITER_FLAT_US);
    } else if (verdict == REFUSALS_RISE || in_flight >= l->limit / 2 || l->run >= 2 * LIMITER_RUN) {
        cut_by_refusal(l, verdict == REFUSALS_RISE, in_flight, now_us);
    }
}

void limiter_hint(struct limiter *l, int slots, int queued, int in_flight, int64_t now_us)
{
    bool held = is_held(l, now_us);

    if (slots > 0) {
        bool fresh = l->engine != slots && (l->doubling || l->limit >= l->engine);

        l->engine = slots;
        set_limit(l, fresh ? slots : l->limit);
    }
    if (queued > 0 && queued > in_flight / QUEUE_PART && !held) {
        l->cut_refused = l->doubling = false;
        set_limit(l, fmin(l->limit, in_flight - queued));
        note_cut(l, l->limit, now_us);
    }
}
