/* SPDX-License-Identifier: MIT */
/* The table of routes: every spelling that is one of ours, and the many that are not. */
#include "gateway/routes.h"

#include "base/assert.h"
#include "tap.h"

static struct route_found find(enum http_method method, const char *path)
{
    struct http_request rq = {.method = method, .path = slice_of(path)};

    return routes_find(&rq);
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
        {"/v1/completions", HTTP_POST, ROUTE_COMPLETIONS},
        {"/completions/", HTTP_POST, ROUTE_COMPLETIONS},
        {"/v1/embeddings", HTTP_POST, ROUTE_EMBEDDINGS},
        {"/embeddings", HTTP_POST, ROUTE_EMBEDDINGS},
        {"/v1/responses", HTTP_POST, ROUTE_RESPONSES},
        {"/responses", HTTP_POST, ROUTE_RESPONSES},
        {"/v1/messages", HTTP_POST, ROUTE_MESSAGES},
        {"/messages", HTTP_POST, ROUTE_MESSAGES},
        {"/v1/models", HTTP_GET, ROUTE_MODELS},
        {"/models", HTTP_GET, ROUTE_MODELS},
        {"/v1/models/", HTTP_GET, ROUTE_MODELS},
        {"/v1/models", HTTP_HEAD, ROUTE_MODELS},
        {"/v1/models/gpt", HTTP_GET, ROUTE_MODELS},
        {"/models/org/name:7b", HTTP_HEAD, ROUTE_MODELS},
        {"/models/a%2Fb/", HTTP_GET, ROUTE_MODELS},
        {"/healthz", HTTP_GET, ROUTE_HEALTHZ},
        {"/healthz/", HTTP_HEAD, ROUTE_HEALTHZ},
        {"/readyz", HTTP_GET, ROUTE_READYZ},
        {"/readyz", HTTP_HEAD, ROUTE_READYZ},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct route_found f = find(ROWS[i].method, ROWS[i].path);

        if (!CHECK(f.route != NULL && f.err == ERR_OK)) {
            printf("# %s\n", ROWS[i].path);
            continue;
        }
        CHECK_INT(f.route->id, ROWS[i].id);
        CHECK_INT(f.route->open, f.route->id == ROUTE_HEALTHZ || f.route->id == ROUTE_READYZ);
        CHECK_INT(f.route->answer == NULL, ROWS[i].method == HTTP_POST);
        CHECK_INT(routes_surface(f.route) != NULL, ROWS[i].method == HTTP_POST);
    }
}

TEST(a_route_leads_to_the_surface_of_its_path)
{
    for (int i = 0; i < SURFACE_N; i++) {
        const struct surface *surface = surface_get((enum surface_id)i);

        CHECK(routes_surface(find(HTTP_POST, surface->path).route) == surface);
    }
}

TEST(what_follows_a_path_is_all_of_it)
{
    static const char *const ROWS[][2] = {
        {"/v1/models/gpt", "gpt"},   {"/models/a/b:c", "a/b:c"},
        {"/models/a%2Fb/", "a%2Fb"}, {"/v1/models/v1/models", "v1/models"},
        {"/models//x", "/x"},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct http_request rq = {.method = HTTP_GET, .path = slice_of(ROWS[i][0])};

        CHECK(slice_eq(routes_rest(routes_find(&rq).route, &rq), slice_of(ROWS[i][1])));
    }
}

TEST(another_method_is_told_which_one_it_is)
{
    static const struct {
        const char *path;
        enum http_method method;
        const char *allow;
    } ROWS[] = {
        {"/v1/chat/completions", HTTP_GET, "POST, OPTIONS"},
        {"/chat/completions", HTTP_HEAD, "POST, OPTIONS"},
        {"/v1/chat/completions/", HTTP_PUT, "POST, OPTIONS"},
        {"/v1/messages", HTTP_GET, "POST, OPTIONS"},
        {"/v1/models", HTTP_POST, "GET, HEAD, OPTIONS"},
        {"/models", HTTP_DELETE, "GET, HEAD, OPTIONS"},
        {"/v1/models/gpt", HTTP_DELETE, "GET, HEAD, OPTIONS"},
        {"/healthz", HTTP_POST, "GET, HEAD, OPTIONS"},
        {"/readyz", HTTP_PATCH, "GET, HEAD, OPTIONS"},
        {"/readyz", HTTP_OTHER, "GET, HEAD, OPTIONS"},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct route_found f = find(ROWS[i].method, ROWS[i].path), about = find(HTTP_OPTIONS, ROWS[i].path);

        CHECK_INT(f.err, ERR_METHOD_NOT_ALLOWED);
        CHECK(f.route != NULL); /* its errors have the shape of the path */
        CHECK_STR(f.allow, ROWS[i].allow);
        CHECK(about.route == &ROUTE_ABOUT && about.err == ERR_OK);
        CHECK_STR(about.allow, ROWS[i].allow);
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
        "/models\\",
        " /models",
        "/models ",
    };

    for (size_t i = 0; i < COUNT_OF(PATHS); i++) {
        static const enum http_method METHODS[] = {HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_OPTIONS};

        for (size_t m = 0; m < COUNT_OF(METHODS); m++) {
            struct route_found f = find(METHODS[m], PATHS[i]);

            if (!CHECK(f.route == NULL))
                printf("# '%s'\n", PATHS[i]);
            CHECK_INT(f.err, ERR_ROUTE_NOT_FOUND);
            CHECK(f.allow == NULL);
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

        CHECK_INT(routes_find(&rq).route != NULL, n > 4);
        tap_guard_free(path, n);
    }
}

TEST(an_exchange_without_a_route_is_recorded_under_a_row_of_its_own)
{
    CHECK_INT(ROUTE_UNKNOWN.id, ROUTE_OTHER);
    CHECK(ROUTE_UNKNOWN.open && ROUTE_UNKNOWN.answer == NULL);
    CHECK_STR(stats_route_name(ROUTE_UNKNOWN.id), "other");
}
