/* SPDX-License-Identifier: MIT */
/* The table of routes: every spelling that is one of ours, and the many that are not. */
#include "gateway/routes.h"

#include "base/assert.h"
#include "tap.h"

static const struct route *find(enum http_method method, const char *path, enum err *why, const char **allow)
{
    struct http_request rq = {.method = method, .path = slice_of(path)};

    *why = ERR_OK;
    *allow = NULL;
    return routes_find(&rq, why, allow);
}

TEST(every_spelling_of_a_route_leads_to_it)
{
    static const struct {
        const char *path;
        enum http_method method;
        enum route_id id;
    } ROWS[] = {
        {"/v1/chat/completions", HTTP_POST, ROUTE_CHAT},
        {"/chat/completions", HTTP_POST, ROUTE_CHAT},
        {"/v1/chat/completions/", HTTP_POST, ROUTE_CHAT},
        {"/chat/completions/", HTTP_POST, ROUTE_CHAT},
        {"/v1/models", HTTP_GET, ROUTE_MODELS},
        {"/models", HTTP_GET, ROUTE_MODELS},
        {"/v1/models/", HTTP_GET, ROUTE_MODELS},
        {"/v1/models", HTTP_HEAD, ROUTE_MODELS},
        {"/healthz", HTTP_GET, ROUTE_HEALTHZ},
        {"/healthz/", HTTP_HEAD, ROUTE_HEALTHZ},
        {"/readyz", HTTP_GET, ROUTE_READYZ},
        {"/readyz", HTTP_HEAD, ROUTE_READYZ},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        const char *allow;
        enum err why;
        const struct route *r = find(ROWS[i].method, ROWS[i].path, &why, &allow);

        if (!CHECK(r != NULL)) {
            printf("# %s\n", ROWS[i].path);
            continue;
        }
        CHECK_INT(r->id, ROWS[i].id);
        CHECK_INT(r->open, r->id == ROUTE_HEALTHZ || r->id == ROUTE_READYZ);
        CHECK_INT(r->answer == NULL, r->id == ROUTE_CHAT);
    }
}

TEST(another_method_is_told_which_one_it_is)
{
    static const struct {
        const char *path;
        enum http_method method;
        const char *allow;
    } ROWS[] = {
        {"/v1/chat/completions", HTTP_GET, "POST"},  {"/chat/completions", HTTP_HEAD, "POST"},
        {"/v1/chat/completions/", HTTP_PUT, "POST"}, {"/chat/completions", HTTP_OPTIONS, "POST"},
        {"/v1/models", HTTP_POST, "GET, HEAD"},      {"/models", HTTP_DELETE, "GET, HEAD"},
        {"/healthz", HTTP_POST, "GET, HEAD"},        {"/readyz", HTTP_PATCH, "GET, HEAD"},
        {"/readyz", HTTP_OTHER, "GET, HEAD"},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        const char *allow;
        enum err why;

        CHECK(find(ROWS[i].method, ROWS[i].path, &why, &allow) == NULL);
        CHECK_INT(why, ERR_METHOD_NOT_ALLOWED);
        CHECK_STR(allow, ROWS[i].allow);
    }
}

TEST(paths_that_only_look_like_routes_are_not_found)
{
    static const char *const PATHS[] = {
        "",
        "/",
        "//",
        "/v1",
        "/v1/",
        "*",
        "models",
        "v1/models",
        "//models",
        "//v1/models",
        "/v1//models",
        "/v1/v1/models",
        "/v2/models",
        "/V1/models",
        "/Models",
        "/v1models",
        "/models//",
        "/models/gpt",
        "/v1/models/gpt",
        "/chat",
        "/chat/completions/x",
        "/chat//completions",
        "/v1/chat%2Fcompletions",
        "/v1/%6dodels",
        "/models%2f",
        "/./models",
        "/v1/../models",
        "/models;x",
        "/v1/healthz",
        "/v1/readyz",
        "/healthz/x",
        "/metrics",
        "/v1/completions",
        "/models\\",
        " /models",
        "/models ",
    };

    for (size_t i = 0; i < COUNT_OF(PATHS); i++) {
        static const enum http_method METHODS[] = {HTTP_GET, HTTP_HEAD, HTTP_POST};

        for (size_t m = 0; m < COUNT_OF(METHODS); m++) {
            const char *allow;
            enum err why;

            if (!CHECK(find(METHODS[m], PATHS[i], &why, &allow) == NULL))
                printf("# '%s'\n", PATHS[i]);
            CHECK_INT(why, ERR_ROUTE_NOT_FOUND);
            CHECK(allow == NULL);
        }
    }
}

TEST(no_byte_behind_a_path_is_looked_at)
{
    static const char *const TEXTS[] = {"/v1/models", "/v1/", "/v1", "/", "/models/"};

    for (size_t i = 0; i < COUNT_OF(TEXTS); i++) {
        size_t n = strlen(TEXTS[i]);
        char *path = tap_guard(TEXTS[i], n);
        struct http_request rq = {.method = HTTP_GET, .path = {path, n}};
        const char *allow = NULL;
        enum err why;

        CHECK_INT(routes_find(&rq, &why, &allow) != NULL, n > 4);
        tap_guard_free(path, n);
    }
}

TEST(an_exchange_without_a_route_is_recorded_under_a_row_of_its_own)
{
    CHECK_INT(ROUTE_UNKNOWN.id, ROUTE_OTHER);
    CHECK(ROUTE_UNKNOWN.open && ROUTE_UNKNOWN.answer == NULL);
    CHECK_STR(stats_route_name(ROUTE_UNKNOWN.id), "other");
}
