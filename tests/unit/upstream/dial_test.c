/* SPDX-License-Identifier: MIT */
/* Happy eyeballs: which address is tried when, who wins, and what that costs, in virtual time. */
#include "upstream/dial.h"

#include "upstream_kit.h"

#define SIX "fd00::1"
#define SIX_TOO "fd00::2"
#define FOUR "10.0.0.1"
#define FOUR_TOO "10.0.0.2"

/* One dial to "many.test" and what came of it. */
struct tried {
    struct scene sc;
    struct endpoint six; /* at SIX and SIX_TOO, for tests that say so */
    struct dial_host host;
    struct dial dial;
    struct stream *s;
    enum err e;
    size_t ends_n;
    int64_t from_us, took_us;
};

static void on_end(void *ud, enum err e, struct stream *s)
{
    struct tried *t = ud;

    t->ends_n++;
    t->e = e;
    t->s = s;
    t->took_us = t->sc.l->now_us - t->from_us;
}

static void tried_init(struct tried *t, const char *addresses)
{
    memset(t, 0, sizeof *t);
    scene_init(&t->sc);
    vnet_name(t->sc.v, "many.test", addresses);
    t->host = (struct dial_host){.name = "many.test", .port = 80};
}

static void set_late(struct tried *t, const char *ip, int64_t us)
{
    struct addr at;

    CHECK(addr_of_ip(slice_of(ip), 80, &at));
    if (us == CLOCK_NEVER_US)
        vnet_blackhole(t->sc.v, &at, true);
    else
        vnet_slow(t->sc.v, &at, us);
}

static void dial_for(struct tried *t, int64_t us)
{
    t->ends_n = 0;
    t->sc.l->now_us = t->from_us = vnet_now_us(t->sc.v);
    dial_start(&t->dial, t->sc.l, &t->host, on_end, t);
    CHECK_INT(t->ends_n, 0); /* never inside the call */
    scene_run(&t->sc, us);
}

static void let_go(struct tried *t)
{
    stream_close(&t->s);
    dial_end(&t->dial);
}

static void tried_fini(struct tried *t)
{
    let_go(t);
    if (t->six.ls != NULL) {
        endpoint_close(&t->six);
        scene_run(&t->sc, CLOCK_SECOND_US);
    }
    scene_fini(&t->sc);
}

/* The address that attempt i goes to. */
static const char *address(const struct tried *t, size_t i)
{
    static char text[64];

    addr_format(&t->dial.addrs[i], text, sizeof text);
    return text;
}

TEST(the_families_alternate_and_the_resolvers_first_leads)
{
    struct tried t;

    tried_init(&t, SIX " " SIX_TOO " " FOUR " " FOUR_TOO);
    dial_for(&t, CLOCK_SECOND_US);
    CHECK_INT(t.dial.addrs_n, 4);
    CHECK_STR(address(&t, 0), "[" SIX "]:80");
    CHECK_STR(address(&t, 1), FOUR ":80");
    CHECK_STR(address(&t, 2), "[" SIX_TOO "]:80");
    CHECK_STR(address(&t, 3), FOUR_TOO ":80");
    tried_fini(&t);
    tried_init(&t, FOUR " " SIX " " SIX_TOO);
    dial_for(&t, CLOCK_SECOND_US);
    CHECK_STR(address(&t, 0), FOUR ":80");
    CHECK_STR(address(&t, 1), "[" SIX "]:80");
    CHECK_STR(address(&t, 2), "[" SIX_TOO "]:80");
    tried_fini(&t);
}

TEST(an_address_that_refuses_costs_no_time)
{
    struct tried t;

    tried_init(&t, SIX " " SIX_TOO " " FOUR);
    dial_for(&t, CLOCK_SECOND_US);
    CHECK_INT(t.e, ERR_OK);
    CHECK(t.took_us < 10 * MS); /* name, a refusal, a connection: 2 ms each */
    CHECK_INT(t.host.attempts_n, 2);
    CHECK_INT(t.sc.at.accepts_n, 1);
    tried_fini(&t);
}

TEST(an_address_that_swallows_packets_costs_the_stagger_and_no_more)
{
    struct tried t;

    tried_init(&t, SIX " " FOUR);
    set_late(&t, SIX, CLOCK_NEVER_US);
    dial_for(&t, CLOCK_SECOND_US);
    CHECK_INT(t.e, ERR_OK);
    CHECK(t.took_us >= DIAL_STAGGER_US && t.took_us < DIAL_STAGGER_US + 10 * MS);
    CHECK_INT(t.dial.open_n, 0); /* the loser is closed */
    CHECK_INT(vnet_streams(t.sc.v), 2);
    tried_fini(&t);
}

TEST(a_slow_address_still_wins_when_it_is_first)
{
    struct tried t;

    tried_init(&t, FOUR " " SIX); /* the second one refuses when its time comes */
    set_late(&t, FOUR, 400 * MS);
    dial_for(&t, CLOCK_SECOND_US);
    CHECK_INT(t.e, ERR_OK);
    CHECK(t.took_us >= 400 * MS && t.took_us < 420 * MS);
    CHECK_INT(t.host.attempts_n, 2);
    tried_fini(&t);
}

TEST(the_first_to_open_wins_and_the_loser_is_closed)
{
    struct tried t;

    tried_init(&t, FOUR " " SIX);
    t.six.l = t.sc.at.l;
    scene_listen(&t.sc, &t.six, "[" SIX "]:80");
    set_late(&t, FOUR, 400 * MS);
    dial_for(&t, CLOCK_SECOND_US);
    CHECK_INT(t.e, ERR_OK);
    CHECK(t.took_us >= DIAL_STAGGER_US && t.took_us < 300 * MS);
    CHECK_INT(t.six.accepts_n, 1);
    CHECK_INT(t.sc.at.accepts_n, 0); /* closed before its handshake was over */
    CHECK_INT(t.ends_n, 1);
    tried_fini(&t);
}

TEST(the_family_that_won_leads_for_ten_minutes)
{
    struct tried t;

    tried_init(&t, SIX " " FOUR);
    set_late(&t, SIX, CLOCK_NEVER_US);
    dial_for(&t, CLOCK_SECOND_US);
    let_go(&t);
    dial_for(&t, CLOCK_SECOND_US);
    CHECK_INT(t.e, ERR_OK);
    CHECK(t.took_us < 10 * MS); /* the broken family was not tried again */
    let_go(&t);
    scene_run(&t.sc, 600 * CLOCK_SECOND_US);
    dial_for(&t, CLOCK_SECOND_US);
    CHECK(t.took_us >= DIAL_STAGGER_US);
    tried_fini(&t);
}

TEST(equal_addresses_take_turns)
{
    struct tried t;
    size_t firsts_n = 0;

    tried_init(&t, FOUR " " FOUR_TOO);
    t.six.l = t.sc.at.l;
    scene_listen(&t.sc, &t.six, FOUR_TOO ":80");
    for (size_t i = 0; i < 10; i++) {
        dial_for(&t, 100 * MS);
        firsts_n += strcmp(address(&t, 0), FOUR ":80") == 0;
        let_go(&t);
    }
    CHECK_INT(firsts_n, 5);
    CHECK_INT(t.sc.at.accepts_n, 5);
    CHECK_INT(t.six.accepts_n, 5);
    tried_fini(&t);
}

TEST(a_changed_address_is_used_for_new_connections)
{
    struct tried t;

    tried_init(&t, FOUR_TOO);
    dial_for(&t, 100 * MS);
    CHECK_INT(t.e, ERR_REFUSED);
    vnet_name(t.sc.v, "many.test", FOUR);
    dial_for(&t, 100 * MS);
    CHECK_INT(t.e, ERR_OK);
    tried_fini(&t);
}

TEST(every_address_is_tried_once_and_the_last_ones_reason_is_told)
{
    struct tried t;

    tried_init(&t, "10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7 10.0.0.8 10.0.0.9 10.0.1.0 10.0.1.1 " SIX);
    dial_for(&t, CLOCK_SECOND_US);
    CHECK_INT(t.e, ERR_REFUSED);
    CHECK_INT(t.ends_n, 1);
    CHECK_INT(t.host.attempts_n, DIAL_ADDRS_MAX); /* more are left out, but not a whole family */
    CHECK_STR(address(&t, 1), "[" SIX "]:80");
    tried_fini(&t);
}

TEST(a_winner_that_was_no_good_gives_way_to_the_losers)
{
    struct tried t;

    tried_init(&t, SIX " " FOUR);
    t.six.l = t.sc.at.l;
    scene_listen(&t.sc, &t.six, "[" SIX "]:80");
    set_late(&t, SIX, 300 * MS);
    dial_for(&t, CLOCK_SECOND_US);
    CHECK_INT(t.sc.at.accepts_n, 1); /* the second one won */
    CHECK_INT(dial_left(&t.dial), 1);
    stream_close(&t.s);
    CHECK(dial_again(&t.dial));
    scene_run(&t.sc, CLOCK_SECOND_US);
    CHECK_INT(t.ends_n, 2);
    CHECK_INT(t.six.accepts_n, 1); /* the loser was begun again */
    stream_close(&t.s);
    CHECK(!dial_again(&t.dial));
    tried_fini(&t);
}

TEST(ended_at_any_time_it_leaves_nothing)
{
    for (int64_t after_us = 0; after_us < 600 * MS; after_us += 50 * MS + 700) {
        struct tried t;

        tried_init(&t, SIX " " SIX_TOO " " FOUR);
        set_late(&t, SIX, CLOCK_NEVER_US);
        set_late(&t, SIX_TOO, CLOCK_NEVER_US);
        dial_for(&t, after_us);
        let_go(&t);
        dial_end(&t.dial); /* again is fine */
        scene_run(&t.sc, CLOCK_SECOND_US);
        CHECK(t.ends_n <= 1);
        tried_fini(&t);
    }
}
