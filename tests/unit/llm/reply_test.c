/* SPDX-License-Identifier: MIT */
/* Our own replies, parsed back: every row of errors.def, the in-band form, the list of models. */
#include "llm/reply.h"

#include "base/assert.h"
#include "base/json.h"

#include "tap.h"

static bool string_is(struct json_value v, const char *want)
{
    return json_is_string(v) && slice_eq(json_string(v), slice_of(want));
}

/* The error object of the reply; *doc must be freed. */
static struct json_value parse_back(struct slice text, struct json_doc **doc)
{
    struct json_value error;

    if (!CHECK_INT(json_parse(text, NULL, doc, NULL), ERR_OK))
        return (struct json_value){NULL};
    error = json_get(json_root(*doc), "error");
    CHECK_INT(json_count(json_root(*doc)), 1);
    CHECK_INT(json_count(error), 4);
    return error;
}

TEST(every_row_reads_back)
{
    for (int e = 1; e < ERR_N; e++) {
        const struct err_row *row = err_row((enum err)e);
        struct reply_error r = {.err = (enum err)e};
        struct json_doc *doc;
        struct json_value error;
        char message[600];
        struct buf out;

        if (row->status == 0)
            continue;
        buf_init(&out, 4096, NULL);
        CHECK_INT(reply_error_body(&out, &r), ERR_OK);
        error = parse_back(buf_slice(&out), &doc);
        snprintf(message, sizeof message, "%s %s", row->text, row->advice);
        CHECK(string_is(json_get(error, "message"), message));
        CHECK(string_is(json_get(error, "type"), row->type));
        CHECK(json_is_null(json_get(error, "param")));
        CHECK(string_is(json_get(error, "code"), row->code));
        json_free(&doc);
        buf_fini(&out);
    }
}

TEST(detail_param_and_code_replace_the_rows)
{
    struct reply_error r = {.err = ERR_BAD_FIELD,
                            .detail = SLICE("say \"hi\"\n\\ \xff."),
                            .param = SLICE("stream\"s"),
                            .code = SLICE("context_length_exceeded")};
    struct json_doc *doc;
    struct json_value error;
    struct buf out;

    buf_init(&out, 4096, NULL);
    CHECK_INT(reply_error_body(&out, &r), ERR_OK);
    error = parse_back(buf_slice(&out), &doc);
    CHECK(string_is(json_get(error, "message"),
                    "say \"hi\"\n\\ \357\277\275. Correct the field that the message names."));
    CHECK(string_is(json_get(error, "param"), "stream\"s"));
    CHECK(string_is(json_get(error, "code"), "context_length_exceeded"));
    json_free(&doc);
    buf_fini(&out);
}

TEST(words_without_a_full_stop_get_one)
{
    static const char *const cases[][2] = {
        {"no room", "no room. "},  {"no \"room\"", "no \"room\". "},
        {"no room!", "no room! "}, {"no room (7)", "no room (7). "},
        {"no room.", "no room. "}, {"\345\217\257\343\200\202", "\345\217\257\343\200\202 "},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reply_error r = {.err = ERR_BAD_FIELD, .detail = slice_of(cases[i][0])};
        struct json_doc *doc;
        struct buf out;

        buf_init(&out, 4096, NULL);
        CHECK_INT(reply_error_body(&out, &r), ERR_OK);
        CHECK(slice_starts(json_string(json_get(parse_back(buf_slice(&out), &doc), "message")),
                           slice_of(cases[i][1])));
        json_free(&doc);
        buf_fini(&out);
    }
}

TEST(a_code_of_our_own_is_shown_as_our_failure)
{
    struct reply_error r = {.err = ERR_TIMEOUT};
    struct json_doc *doc;
    struct buf out;

    buf_init(&out, 4096, NULL);
    CHECK_INT(reply_error_body(&out, &r), ERR_OK);
    CHECK(string_is(json_get(parse_back(buf_slice(&out), &doc), "code"), "internal_error"));
    json_free(&doc);
    buf_fini(&out);
}

TEST(an_error_event_is_one_line_of_data)
{
    struct reply_error r = {.err = ERR_UPSTREAM_TRUNCATED, .detail = SLICE("two\nlines\r")};
    struct json_doc *doc;
    struct slice text;
    struct buf out;

    buf_init(&out, 4096, NULL);
    CHECK_INT(buf_add(&out, SLICE("data: {}\n\n")), ERR_OK);
    CHECK_INT(reply_error_event(&out, &r), ERR_OK);
    text = slice_from(buf_slice(&out), strlen("data: {}\n\n"));
    CHECK(slice_starts(text, SLICE("data: {")) && slice_ends(text, SLICE("}\n\n")));
    CHECK_INT(slice_find(text, SLICE("\n")), text.n - 2);
    CHECK_INT(slice_find(text, SLICE("\r")), -1);
    text = (struct slice){text.p + 6, text.n - 8};
    CHECK(string_is(json_get(parse_back(text, &doc), "code"), "upstream_truncated"));
    json_free(&doc);
    buf_fini(&out);
}

static void check_text(enum err (*write)(struct buf *, const struct reply_error *),
                       const struct reply_error *r, const char *want)
{
    struct buf out;

    buf_init(&out, 4096, NULL);
    CHECK_INT(write(&out, r), ERR_OK);
    CHECK_MEM(out.p, out.n, want, strlen(want));
    buf_fini(&out);
}

TEST(anthropics_clients_get_their_own_shape)
{
    struct reply_error r = {.err = ERR_QUEUE_FULL, .shape = ERRORS_ANTHROPIC, .request_id = SLICE("req_1")};

    check_text(reply_error_body, &r,
               "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"The waiting line "
               "for this "
               "model is full. Retry after the time that Retry-After names.\",\"code\":\"queue_full\"},"
               "\"request_id\":\"req_1\"}");
    r = (struct reply_error){.err = ERR_UPSTREAM_REFUSED,
                             .shape = ERRORS_ANTHROPIC,
                             .status = 413,
                             .detail = SLICE("Too much."),
                             .code = SLICE("own")};
    check_text(
        reply_error_event, &r,
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"request_too_large\",\"message\":"
        "\"Too much. Correct what the provider's message names.\",\"code\":\"own\"},"
        "\"request_id\":null}\n\n");
}

/* The types that Anthropic documents, by the statuses of our own rows. */
TEST(anthropics_types_follow_from_the_status)
{
    static const struct {
        enum err err;
        int status, shown;
        const char *type;
    } ROWS[] = {
        {ERR_BAD_JSON, 0, 400, "invalid_request_error"},
        {ERR_KEY_MISSING, 0, 401, "authentication_error"},
        {ERR_UPSTREAM_REFUSED, 402, 402, "billing_error"},
        {ERR_MODEL_FORBIDDEN, 0, 403, "permission_error"},
        {ERR_MODEL_NOT_FOUND, 0, 404, "not_found_error"},
        {ERR_BODY_TOO_LARGE, 0, 413, "request_too_large"},
        {ERR_QUEUE_FULL, 0, 429, "rate_limit_error"},
        {ERR_INTERNAL, 0, 500, "api_error"},
        {ERR_UPSTREAM_ERROR, 0, 502, "api_error"},
        {ERR_UPSTREAM_BUSY, 0, 529, "overloaded_error"},
        {ERR_DEADLINE_EXCEEDED, 0, 504, "timeout_error"},
        {ERR_UPSTREAM_REFUSED, 422, 422, "invalid_request_error"},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct reply_error r = {.err = ROWS[i].err, .status = ROWS[i].status, .shape = ERRORS_ANTHROPIC};
        int status = ROWS[i].status != 0 ? ROWS[i].status : err_row(ROWS[i].err)->status;
        struct json_doc *doc;
        struct buf out;

        buf_init(&out, 4096, NULL);
        CHECK_INT(reply_error_body(&out, &r), ERR_OK);
        CHECK_INT(json_parse(buf_slice(&out), NULL, &doc, NULL), ERR_OK);
        CHECK(string_is(json_get(json_get(json_root(doc), "error"), "type"), ROWS[i].type));
        CHECK_INT(reply_status(ERRORS_ANTHROPIC, status), ROWS[i].shown);
        CHECK_INT(reply_status(ERRORS_OPENAI, status), status);
        json_free(&doc);
        buf_fini(&out);
    }
}

TEST(a_stream_of_a_response_fails_with_an_event_that_every_client_reads)
{
    struct reply_error r = {.err = ERR_UPSTREAM_TRUNCATED, .shape = ERRORS_RESPONSES};

    check_text(
        reply_error_event, &r,
        "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"object\":\"response\","
        "\"status\":\"failed\",\"error\":{\"code\":\"upstream_truncated\",\"message\":\"The answer broke off "
        "before its end. What was received is incomplete: retry the whole request.\"}},\"error\":{"
        "\"message\":\"The answer broke off before its end. What was received is incomplete: retry the "
        "whole request.\",\"type\":\"server_error\",\"param\":null,\"code\":\"upstream_truncated\"}}\n\n");
    check_text(
        reply_error_body, &r,
        "{\"error\":{\"message\":\"The answer broke off before its end. What was received is incomplete: "
        "retry the whole request.\",\"type\":\"server_error\",\"param\":null,\"code\":"
        "\"upstream_truncated\"}}");
}

static void check_does_not_fit(enum surface_errors shape)
{
    struct reply_error r = {.err = ERR_QUEUE_FULL, .shape = shape};
    enum err e = ERR_TOO_LARGE;

    for (size_t max = 2; e != ERR_OK && max < 1000; max++) {
        struct buf out;

        buf_init(&out, max, NULL);
        CHECK_INT(buf_add(&out, SLICE("x[")), ERR_OK);
        e = reply_error_event(&out, &r);
        CHECK(e == ERR_TOO_LARGE ? out.n == 2 : e == ERR_OK && out.n > 100);
        if (e == ERR_TOO_LARGE && reply_models_add(&out, SLICE("m"), 1, SLICE("o")) != ERR_OK)
            CHECK_INT(out.n, 2);
        buf_fini(&out);
    }
    CHECK_INT(e, ERR_OK);
}

TEST(a_reply_that_does_not_fit_leaves_nothing)
{
    check_does_not_fit(ERRORS_OPENAI);
    check_does_not_fit(ERRORS_RESPONSES);
    check_does_not_fit(ERRORS_ANTHROPIC);
}

TEST(the_list_of_models)
{
    struct buf out;

    buf_init(&out, 4096, NULL);
    CHECK_INT(reply_models_begin(&out), ERR_OK);
    CHECK_INT(reply_models_end(&out), ERR_OK);
    CHECK_MEM(out.p, out.n, "{\"object\":\"list\",\"data\":[]}", 27);
    out.n = 0;
    CHECK_INT(reply_models_begin(&out), ERR_OK);
    CHECK_INT(reply_models_add(&out, SLICE("a[\"b"), 1700000000, SLICE("tidegate")), ERR_OK);
    CHECK_INT(reply_models_add(&out, SLICE("c"), 0, SLICE("d")), ERR_OK);
    CHECK_INT(reply_models_end(&out), ERR_OK);
    static const char want[] =
        "{\"object\":\"list\",\"data\":["
        "{\"id\":\"a[\\\"b\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"tidegate\"},"
        "{\"id\":\"c\",\"object\":\"model\",\"created\":0,\"owned_by\":\"d\"}]}";
    CHECK_MEM(out.p, out.n, want, sizeof want - 1);
    buf_fini(&out);
}
