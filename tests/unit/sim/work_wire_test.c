/* SPDX-License-Identifier: MIT */
/* Answers byte by byte, slow heads, sizes that are wrong: what stands on the wire. */
#include <limits.h>

#include "raw_kit.h"

#include <stdlib.h>

static void begin(struct kit *k, struct raw *r, const char *suffix, bool stream)
{
    struct sim_opts o;
    char model[64];

    sim_opts_default(&o);
    snprintf(model, sizeof model, "any~ttft=1s,gap=10ms,tokens=6,%s", suffix);
    kit_init(k, &o);
    raw_chat(r, k, model, stream);
}

static void end(struct kit *k, struct raw *r)
{
    raw_fini(r);
    kit_fini(k);
}

/* What stands behind the empty line of the head. */
static struct slice body_of(const struct raw *r)
{
    struct slice all = buf_slice(&r->got);
    ptrdiff_t at = slice_find(all, SLICE("\r\n\r\n"));

    return at >= 0 ? slice_from(all, (size_t)at + 4) : SLICE_NONE;
}

static long length_said(const struct raw *r)
{
    struct slice rest, name = SLICE("Content-Length: ");
    ptrdiff_t at = slice_find(buf_slice(&r->got), name);
    uint64_t n;

    if (at < 0)
        return -1;
    return slice_to_u64(slice_cut(slice_from(buf_slice(&r->got), (size_t)at + name.n), '\r', &rest), LONG_MAX,
                        &n)
               ? (long)n
               : -1;
}

TEST(each_byte_is_a_write_of_its_own)
{
    for (int stream = 0; stream < 2; stream++) {
        struct kit k;
        struct raw r;

        begin(&k, &r, "bytewise=2ms", stream);
        kit_run(&k, 100 * CLOCK_SECOND_US);
        CHECK_INT(r.longest_n, 1);
        CHECK_INT(r.reads_n, (long long)r.got.n);
        CHECK_INT(r.why, ERR_EOF);
        if (stream)
            CHECK(slice_ends(body_of(&r), SLICE("data: [DONE]\n\n\r\n0\r\n\r\n")));
        else
            CHECK_INT((long long)body_of(&r).n, length_said(&r));
        CHECK_INT(sim_stats(k.sim)->answered_n, 1);
        CHECK_INT(sim_stats(k.sim)->cut_n, 0);
        CHECK_INT(sim_stats(k.sim)->tokens_n, 6);
        end(&k, &r);
    }
}

TEST(bytes_can_be_far_apart)
{
    struct kit k;
    struct raw r;

    begin(&k, &r, "bytewise=10ms", false);
    kit_run(&k, 100 * CLOCK_SECOND_US);
    CHECK_INT(r.why, ERR_EOF);
    CHECK_INT((r.last_us - r.first_us) / MS / 10, (long long)r.got.n - 1);
    end(&k, &r);
}

TEST(bytewise_answers_are_the_answers)
{
    struct sim_opts o;
    struct caller *c[4];
    struct kit k;

    sim_opts_default(&o);
    o.deepseek = true;
    kit_init(&k, &o);
    c[0] = kit_chat(&k, "any~tokens=9,bytewise", false, "x", "");
    c[1] = kit_chat(&k, "any~tokens=9,bytewise", true, "x", "");
    c[2] = kit_chat(&k, "deepseek~tokens=9,slow_head=1s", true, "x", "");
    c[3] = kit_chat(&k, "any~tokens=9,bytewise,queue=3s", false, "x", ""); /* the head has gone before */
    kit_run(&k, 100 * CLOCK_SECOND_US);
    for (int i = 0; i < 4; i++) {
        if (!CHECK(c[i]->complete))
            printf("# call %d\n", i);
        check_text(c[i], "x", 9);
    }
    kit_fini(&k);
}

TEST(a_slow_head_takes_its_time_and_the_rest_none)
{
    for (int stream = 0; stream < 2; stream++) {
        struct kit k;
        struct raw r;

        begin(&k, &r, "slow_head=5s", stream);
        kit_run(&k, 100 * CLOCK_SECOND_US);
        CHECK_INT(r.why, ERR_EOF);
        CHECK(r.last_us - r.first_us > 4900 * MS && r.last_us - r.first_us < 5100 * MS);
        CHECK_INT(r.reads_n, (long long)(r.got.n - body_of(&r).n) + 1);
        CHECK_INT(r.longest_n, (long long)body_of(&r).n);
        end(&k, &r);
    }
}

TEST(plain_lengths_are_wrong_by_seven)
{
    static const struct {
        const char *suffix;
        int off;
    } ROWS[] = {{"too_long", 7}, {"too_short", -7}};

    for (size_t i = 0; i < 2; i++) {
        struct kit k;
        struct raw r;

        begin(&k, &r, ROWS[i].suffix, false);
        kit_run(&k, 20 * CLOCK_SECOND_US);
        CHECK_INT(length_said(&r), (long long)body_of(&r).n + ROWS[i].off);
        CHECK(slice_ends(body_of(&r), SLICE("}")));
        CHECK_INT(r.ended_us != 0, ROWS[i].off > 0); /* what is too short leaves the connection open */
        CHECK_INT(sim_stats(k.sim)->cut_n, ROWS[i].off > 0);
        CHECK_INT(sim_stats(k.sim)->answered_n, ROWS[i].off < 0);
        end(&k, &r);
    }
}

/* The size and the bytes of a chunk, by its CRLF; false behind the last. */
static bool next_chunk(struct slice *rest, long *says, struct slice *bytes, const char *until)
{
    ptrdiff_t at = slice_find(*rest, SLICE("\r\n")), end_at;
    char size[20] = "";

    if (at < 0 || at >= (ptrdiff_t)sizeof size)
        return false;
    memcpy(size, rest->p, (size_t)at);
    *says = strtol(size, NULL, 16);
    *rest = slice_from(*rest, (size_t)at + 2);
    end_at = slice_find(*rest, slice_of(until));
    if (end_at < 0)
        return false;
    *bytes = (struct slice){rest->p, (size_t)end_at + strlen(until) - 2};
    *rest = slice_from(*rest, (size_t)end_at + strlen(until));
    return true;
}

TEST(chunk_sizes_are_wrong_by_seven)
{
    struct slice rest, bytes = SLICE_NONE;
    struct kit k;
    struct raw r;
    long says = 0;
    int n = 0;

    begin(&k, &r, "too_short", true);
    kit_run(&k, 20 * CLOCK_SECOND_US);
    rest = body_of(&r);
    CHECK(next_chunk(&rest, &says, &bytes, "\n\n\r\n"));
    CHECK_INT(says, (long long)bytes.n - 7);
    CHECK_INT((long long)rest.n, 0);
    CHECK_INT(r.why, ERR_EOF);
    end(&k, &r);
    begin(&k, &r, "too_long", true);
    kit_run(&k, 20 * CLOCK_SECOND_US);
    for (rest = body_of(&r); next_chunk(&rest, &says, &bytes, "\n\n\r\n"); n++) {
        if (rest.n > 0)
            CHECK_INT(says, (long long)bytes.n);
    }
    CHECK_INT(n, 1 + 6 + 1);
    CHECK_INT(says, (long long)bytes.n + 7);
    CHECK_INT(r.why, ERR_EOF);
    end(&k, &r);
}

TEST(a_caller_that_leaves_ends_what_is_played)
{
    struct kit k;
    struct raw r;

    begin(&k, &r, "bytewise=10ms", false);
    kit_run(&k, 2 * CLOCK_SECOND_US);
    CHECK(r.got.n > 10);
    CHECK_INT(sim_stats(k.sim)->working_n, 1);
    raw_fini(&r);
    kit_run(&k, CLOCK_SECOND_US);
    CHECK_INT(sim_stats(k.sim)->cancelled_n, 1);
    kit_fini(&k);
}
