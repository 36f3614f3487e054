/* SPDX-License-Identifier: MIT */
/* The scenarios, as data.
 *
 * Lengths are those of chat, told in tenths: a token stands for ten, and the time between two of them is ten
 * times as long, so that an answer takes as long as it would and costs a tenth of the events. An answer of
 * CHAT takes 2.4 s on average: 40 slots do 16.5 a second. */
#include "base/clock.h"
#include "rehearse/drill.h"

#define S CLOCK_SECOND_US
#define MS CLOCK_MS_US
#define CHAT .prompt = {200, 0.8}, .answer = {16, 0.75}
#define PACE .ttft_us = 250 * MS, .prefill_us = 100 * MS, .gap_us = 100 * MS, .sigma = 0.2
/* Nobody can connect, and who is connected is reset instead of answered. */
#define GONE(at, span)        \
    {(at), (span), "refuse"}, \
    {                         \
        (at), (span), "drop"  \
    }
#define AT(measure, limit)          \
    {                               \
        DRILL_##measure, (limit), 0 \
    }
#define OF(measure, limit, who)         \
    {                                   \
        DRILL_##measure, (limit), (who) \
    }
#define PER_40 16.5 /* answers a second of 40 slots */

/* Relative rates of a day's hours: requests of the 73 sampled clients of ServeGen's deepseek-r1
 * (alibaba/ServeGen, Apache-2.0), by hour, the busiest 1. An hour is played in a minute. */
#define HOUR(h, share)                  \
    {                                   \
        (h) * 60, (share)*1.25 * PER_40 \
    }
#define DAY                                                                                                  \
    HOUR(0, 0.55), HOUR(1, 0.63), HOUR(2, 0.93), HOUR(3, 0.82), HOUR(4, 0.49), HOUR(5, 0.41), HOUR(6, 0.34), \
        HOUR(7, 0.26), HOUR(8, 0.27), HOUR(9, 0.30), HOUR(10, 0.37), HOUR(11, 0.38), HOUR(12, 0.20),         \
        HOUR(13, 0.25), HOUR(14, 0.31), HOUR(15, 0.32), HOUR(16, 0.40), HOUR(17, 0.25), HOUR(18, 0.34),      \
        HOUR(19, 0.27), HOUR(20, 0.57), HOUR(21, 0.74), HOUR(22, 1.00), HOUR(23, 0.54)

static const struct drill_scenario SCENARIOS[] = {
    {
        .name = "account-limit",
        .what = "For half a minute half as many requests again come as the account's slots can do.",
        .providers = {{.name = "main", .slots = 40, .account = DRILL_KNOWN, PACE}},
        .crowds = {{.name = "apps",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.7 * PER_40}, {30, 1.5 * PER_40}, {60, 0.5 * PER_40}},
                    CHAT,
                    .deadline_us = 60 * S}},
        .duration_s = 120,
        .trouble_s = 30,
        .calm_s = 60,
        .slow_us = 30 * S,
        .bounds = {AT(ANSWERED, 1), AT(RETRIES, 1), AT(REFUSED, 0), AT(AMPLIFICATION, 1)},
    },
    {
        .name = "queued-keepalives",
        .what = "The provider lets requests wait and sends keep-alives instead of refusing them.",
        .providers = {{.name = "main", .slots = 40, .queues = true, .account = DRILL_LEARNED, PACE}},
        .crowds = {{.name = "apps",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.7 * PER_40}, {30, 1.5 * PER_40}, {60, 0.5 * PER_40}},
                    CHAT,
                    .deadline_us = 60 * S}},
        .duration_s = 120,
        .trouble_s = 30,
        .calm_s = 60,
        .slow_us = 30 * S,
        .bounds = {AT(ANSWERED, 1), AT(RETRIES, 1), AT(AMPLIFICATION, 1)},
    },
    {
        .name = "random-503",
        .what = "Half of all calls are refused with 503, at random.",
        .providers =
            {{.name = "main", .slots = 40, .account = DRILL_KNOWN, PACE, .events = {{0, 0, "503", 0.5}}}},
        .crowds = {{.name = "apps",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.4 * PER_40}},
                    CHAT,
                    .deadline_us = 60 * S}},
        .duration_s = 600,
        .slow_us = 60 * S,
        .bounds = {AT(FULL, 0.9995)},
    },
    {
        .name = "outage-3s",
        .what = "The only provider refuses every connection for three seconds.",
        .providers = {{.name = "main", .slots = 40, .account = DRILL_KNOWN, PACE, .events = {GONE(8, 3)}}},
        .crowds = {{.name = "apps",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.5 * PER_40}},
                    CHAT,
                    .deadline_us = 10 * S}},
        .duration_s = 24,
        .trouble_s = 8,
        .calm_s = 11,
        .slow_us = 2 * S,
        .bounds = {AT(ANSWERED, 1), AT(RETRIES, 1), AT(RECOVERY_MS, 1000)},
    },
    {
        .name = "outage-10m",
        .what = "The only provider refuses every connection for ten minutes.",
        .providers = {{.name = "main", .slots = 40, .account = DRILL_KNOWN, PACE, .events = {GONE(60, 600)}}},
        .crowds = {{.name = "apps",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.4 * PER_40}},
                    CHAT,
                    .deadline_us = 60 * S}},
        .duration_s = 780,
        .trouble_s = 60,
        .calm_s = 660,
        .slow_us = 2 * S,
        .bounds = {AT(CALM, 1), AT(AMPLIFICATION, 1.1), AT(RECOVERY_MS, 30000)},
    },
    {
        .name = "flapping",
        .what = "The first provider goes away for five seconds of every fifteen.",
        .providers = {{.name = "main",
                       .slots = 40,
                       .account = DRILL_KNOWN,
                       PACE,
                       .events = {GONE(15, 5), GONE(30, 5), GONE(45, 5), GONE(60, 5), GONE(75, 5),
                                  GONE(90, 5), GONE(105, 5)}},
                      {.name = "second", .tier = 1, .slots = 40, .account = DRILL_KNOWN, PACE}},
        .crowds = {{.name = "apps",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.6 * PER_40}},
                    CHAT,
                    .deadline_us = 30 * S}},
        .duration_s = 150,
        .trouble_s = 15,
        .calm_s = 110,
        .troubled = 1,
        .slow_us = 2 * S,
        .bounds = {AT(FULL, 1), AT(RETRIES, 1), AT(SLOW, 0.01), AT(FAILOVER_MS, 1000), AT(RECOVERY_MS, 1000)},
    },
    {
        .name = "brown-out",
        .what = "The first provider still answers, thirty times as slowly.",
        .providers = {{.name = "main",
                       .slots = 40,
                       .account = DRILL_KNOWN,
                       PACE,
                       .events = {{30, 60, "ttft=8s,gap=1s"}}},
                      {.name = "second", .tier = 1, .slots = 40, .account = DRILL_KNOWN, PACE}},
        .crowds = {{.name = "apps",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.6 * PER_40}},
                    CHAT,
                    .deadline_us = 60 * S}},
        .duration_s = 180,
        .trouble_s = 30,
        .calm_s = 90,
        .troubled = 1,
        .slow_us = 2 * S,
        .bounds = {AT(FULL, 1), AT(RETRIES, 1), AT(RECOVERY_MS, 30000)},
    },
    {
        .name = "stalls",
        .what = "One call in twenty to the first provider takes its slot and never says a word.",
        .providers = {{.name = "main",
                       .slots = 40,
                       .account = DRILL_KNOWN,
                       PACE,
                       .events = {{30, 60, "stall=0", 0.05}}},
                      {.name = "second", .tier = 1, .slots = 40, .account = DRILL_KNOWN, PACE}},
        .crowds = {{.name = "apps",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.5 * PER_40}},
                    CHAT,
                    .deadline_us = 60 * S}},
        .more = "timeouts: {transport: 10s}\n",
        .duration_s = 150,
        .trouble_s = 30,
        .calm_s = 90,
        .troubled = 1,
        .slow_us = 2 * S,
        .bounds = {AT(FULL, 1), AT(RETRIES, 1), AT(SLOW, 0.07), AT(RECOVERY_MS, 1000)},
    },
    {
        .name = "region-gone",
        .what = "Both providers of the near region are gone for a minute.",
        .providers =
            {{.name = "near-a",
              .region = "near",
              .slots = 20,
              .account = DRILL_KNOWN,
              PACE,
              .events = {GONE(30, 60)}},
             {.name = "near-b",
              .region = "near",
              .slots = 20,
              .account = DRILL_KNOWN,
              PACE,
              .events = {GONE(30, 60)}},
             {.name = "far-a", .region = "far", .tier = 1, .slots = 20, .account = DRILL_KNOWN, PACE},
             {.name = "far-b", .region = "far", .tier = 1, .slots = 20, .account = DRILL_KNOWN, PACE}},
        .crowds = {{.name = "apps",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.6 * PER_40}},
                    CHAT,
                    .deadline_us = 30 * S}},
        .duration_s = 150,
        .trouble_s = 30,
        .calm_s = 90,
        .troubled = 3,
        .slow_us = 2 * S,
        .bounds = {AT(FULL, 1), AT(RETRIES, 1), AT(FAILOVER_MS, 1000), AT(SLOW, 0.01), AT(RECOVERY_MS, 1000)},
    },
    {
        .name = "partition",
        .what = "The first provider cannot be reached any more, and says nothing, for a minute.",
        .providers = {{.name = "main",
                       .slots = 40,
                       .account = DRILL_KNOWN,
                       PACE,
                       .events = {{30, 60, "connect_hang"}, {30, 60, "hang"}}},
                      {.name = "second", .tier = 1, .slots = 40, .account = DRILL_KNOWN, PACE}},
        .crowds = {{.name = "apps",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.5 * PER_40}},
                    CHAT,
                    .deadline_us = 30 * S}},
        .more = "timeouts: {connect: 2s, transport: 5s}\n",
        .duration_s = 180,
        .trouble_s = 30,
        .calm_s = 90,
        .troubled = 1,
        .slow_us = 2 * S,
        .bounds = {AT(FULL, 1), AT(RETRIES, 1), AT(FAILOVER_MS, 1000), AT(RECOVERY_MS, 30000)},
    },
    {
        .name = "key-revoked",
        .what = "The first provider refuses the key (401) for a minute.",
        .providers =
            {{.name = "main", .slots = 40, .account = DRILL_KNOWN, PACE, .events = {{30, 60, "401"}}},
             {.name = "second", .tier = 1, .slots = 40, .account = DRILL_KNOWN, PACE}},
        .crowds = {{.name = "apps",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.6 * PER_40}},
                    CHAT,
                    .deadline_us = 30 * S}},
        .duration_s = 150,
        .trouble_s = 30,
        .calm_s = 90,
        .troubled = 1,
        .slow_us = 2 * S,
        .bounds = {AT(FULL, 1), AT(RETRIES, 1), AT(FAILOVER_MS, 1000), AT(SLOW, 0.01)},
    },
    {
        .name = "balance-gone",
        .what = "The first provider's account has no balance (402) for a minute.",
        .providers =
            {{.name = "main", .slots = 40, .account = DRILL_KNOWN, PACE, .events = {{30, 60, "402"}}},
             {.name = "second", .tier = 1, .slots = 40, .account = DRILL_KNOWN, PACE}},
        .crowds = {{.name = "apps",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.6 * PER_40}},
                    CHAT,
                    .deadline_us = 30 * S}},
        .duration_s = 150,
        .trouble_s = 30,
        .calm_s = 90,
        .troubled = 1,
        .slow_us = 2 * S,
        .bounds = {AT(FULL, 1), AT(RETRIES, 1), AT(FAILOVER_MS, 1000), AT(SLOW, 0.01)},
    },
    {
        .name = "flooding-tenant",
        .what = "One tenant asks for five times what there is, beside two that use three tenths each.",
        .providers = {{.name = "main", .slots = 40, .account = DRILL_KNOWN, PACE}},
        .crowds = {{.name = "ann",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.3 * PER_40}},
                    CHAT,
                    .deadline_us = 30 * S},
                   {.name = "bob",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.3 * PER_40}},
                    CHAT,
                    .deadline_us = 30 * S},
                   {.name = "flood",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{30, 5 * PER_40}, {90, 0}},
                    CHAT,
                    .deadline_us = 30 * S,
                    .floods = true}},
        .duration_s = 150,
        .trouble_s = 30,
        .calm_s = 90,
        .slow_us = 5 * S,
        .bounds = {AT(MOVED_MS, 2400), AT(OTHERS, 1)},
    },
    {
        .name = "overload-10x",
        .what = "For a minute ten times as many requests come as 100 slots can do; one in twenty is `high`.",
        .providers = {{.name = "main", .slots = 100, .account = DRILL_KNOWN, PACE}},
        .crowds = {{.name = "vips",
                    .priority = PRIORITY_HIGH,
                    .steps = {{0, 0.5 * 2.5 * PER_40}},
                    CHAT,
                    .deadline_us = 20 * S},
                   {.name = "apps",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.2 * 2.5 * PER_40}, {20, 9.5 * 2.5 * PER_40}, {80, 0.2 * 2.5 * PER_40}},
                    CHAT,
                    .deadline_us = 20 * S}},
        .duration_s = 140,
        .trouble_s = 20,
        .calm_s = 80,
        .from_s = 25,
        .to_s = 80,
        .slow_us = 20 * S,
        .bounds = {OF(WAIT_P99_MS, 300, PRIORITY_HIGH), AT(GOODPUT, 0.97), AT(RECOVERY_MS, 30000)},
    },
    {
        .name = "main-gone",
        .what = "The main provider is gone for an hour; a second one has 30 per cent of its slots.",
        .providers = {{.name = "main", .slots = 20, .account = DRILL_KNOWN, PACE, .events = {GONE(60, 3600)}},
                      {.name = "second", .tier = 1, .slots = 6, .account = DRILL_KNOWN, PACE}},
        .crowds = {{.name = "vips",
                    .priority = PRIORITY_HIGH,
                    .steps = {{0, 0.04 * 0.5 * PER_40}},
                    CHAT,
                    .deadline_us = 20 * S},
                   {.name = "apps",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.7 * 0.5 * PER_40}},
                    CHAT,
                    .deadline_us = 20 * S}},
        .duration_s = 3780,
        .trouble_s = 60,
        .calm_s = 3660,
        .troubled = 1,
        .slow_us = 2 * S,
        .bounds = {OF(USED, 0.95, 1), AT(CALM, 1), AT(FAILOVER_MS, 1000), AT(RECOVERY_MS, 30000),
                   AT(AMPLIFICATION, 1.1)},
    },
    {
        .name = "herd",
        .what = "The only provider comes back after a minute, and everybody who waited wants it at once.",
        .providers =
            {{.name = "main", .slots = 40, .account = DRILL_LEARNED, PACE, .events = {GONE(20, 60)}}},
        .crowds = {{.name = "apps",
                    .priority = PRIORITY_NORMAL,
                    .steps = {{0, 0.6 * PER_40}},
                    CHAT,
                    .deadline_us = 30 * S}},
        .duration_s = 200,
        .trouble_s = 20,
        .calm_s = 80,
        .from_s = 80,
        .to_s = 110,
        .slow_us = 5 * S,
        .bounds = {AT(CALM, 0.999), AT(REFUSED, 1), AT(RECOVERY_MS, 60000), AT(AMPLIFICATION, 1.1)},
    },
    {
        .name = "tide",
        .what =
            "A day's tide, an hour in a minute; at its height a quarter more than the first provider can do.",
        .providers = {{.name = "main", .slots = 40, .account = DRILL_KNOWN, PACE},
                      {.name = "second", .tier = 1, .slots = 20, .account = DRILL_KNOWN, PACE}},
        .crowds =
            {{.name = "apps", .priority = PRIORITY_NORMAL, .steps = {DAY}, CHAT, .deadline_us = 60 * S}},
        .duration_s = 1440,
        .slow_us = 10 * S,
        .bounds = {AT(FULL, 1), AT(RETRIES, 1), AT(AMPLIFICATION, 1), OF(WAIT_P99_MS, 1000, PRIORITY_NORMAL)},
    },
};

size_t drill_scenarios_n(void)
{
    return sizeof SCENARIOS / sizeof SCENARIOS[0];
}

const struct drill_scenario *drill_scenario_at(size_t i)
{
    return &SCENARIOS[i];
}

const struct drill_scenario *drill_scenario_find(const char *name)
{
    for (size_t i = 0; i < drill_scenarios_n(); i++) {
        if (slice_eq(slice_of(name), slice_of(SCENARIOS[i].name)))
            return &SCENARIOS[i];
    }
    return NULL;
}
