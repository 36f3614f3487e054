/* SPDX-License-Identifier: MIT */
/* Telling clients apart by their key, and what a key may use. */
#include "gateway/identify.h"

#include "base/assert.h"
#include "tap.h"

static const struct config_key KEYS[] = {
    {.name = "web", .secret = {"web-secret", 10}},
    {.name = "batch", .secret = {"batch-secret-2", 14}},
    {.name = "twin", .secret = {"web-secres", 10}},
};
static const struct config KEYED = {.keys = KEYS, .keys_n = COUNT_OF(KEYS)};

static enum err identify(const struct config *cfg, const struct header *h, size_t n,
                         const struct config_key **key)
{
    struct http_request rq = {.method = HTTP_POST, .headers = h, .headers_n = n};

    return identify_client(cfg, &rq, key);
}

TEST(a_key_is_found_in_either_header_in_any_case_of_the_scheme)
{
    static const struct {
        const char *name, *value;
        int key; /* -1: wrong, -2: missing */
    } ROWS[] = {
        {"Authorization", "Bearer web-secret", 0},
        {"authorization", "bearer web-secret", 0},
        {"AUTHORIZATION", "BEARER batch-secret-2", 1},
        {"Authorization", "Bearer   web-secres", 2},
        {"X-Api-Key", "web-secret", 0},
        {"x-api-key", "batch-secret-2", 1},
        /* wrong: longer, shorter, other case, of another form */
        {"Authorization", "Bearer web-secre", -1},
        {"Authorization", "Bearer web-secret2", -1},
        {"Authorization", "Bearer WEB-SECRET", -1},
        {"Authorization", "Bearer web-secret web-secret", -1},
        {"Authorization", "Bearer w", -1},
        {"Authorization", "Bearer web", -1},
        {"Authorization", "Bearer Bearer web-secret", -1},
        {"X-Api-Key", "Bearer web-secret", -1},
        {"X-Api-Key", "nobody", -1},
        /* missing: no scheme, another one, or nothing behind it */
        {"Authorization", "web-secret", -2},
        {"Authorization", "Basic d2ViLXNlY3JldA==", -2},
        {"Authorization", "Bearer", -2},
        {"Authorization", "Bearer ", -2},
        {"Authorization", "", -2},
        {"X-Api-Key", "", -2},
        {"Cookie", "web-secret", -2},
        {"Api-Key", "web-secret", -2},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct header h = {slice_of(ROWS[i].name), slice_of(ROWS[i].value)};
        const struct config_key *key = &KEYS[1];
        enum err e = identify(&KEYED, &h, 1, &key);

        if (!CHECK_INT(e, ROWS[i].key >= 0 ? ERR_OK : ROWS[i].key == -1 ? ERR_KEY_INVALID : ERR_KEY_MISSING))
            printf("# %s: %s\n", ROWS[i].name, ROWS[i].value);
        CHECK(key == (ROWS[i].key >= 0 ? &KEYS[ROWS[i].key] : NULL));
    }
}

TEST(no_header_at_all_is_a_missing_key)
{
    const struct config_key *key;

    CHECK_INT(identify(&KEYED, NULL, 0, &key), ERR_KEY_MISSING);
    CHECK(key == NULL);
}

TEST(with_both_headers_the_bearer_counts_and_another_scheme_does_not_hide_the_key)
{
    static const struct {
        const char *authorization, *api_key;
        enum err err;
    } ROWS[] = {
        {"Bearer web-secret", "nobody", ERR_OK},
        {"Bearer nobody", "web-secret", ERR_KEY_INVALID},
        {"Basic dXNlcjpwYXNz", "web-secret", ERR_OK}, /* some proxy's own */
        {"Bearer", "web-secret", ERR_OK},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct header h[] = {{SLICE("x-api-key"), slice_of(ROWS[i].api_key)},
                             {SLICE("authorization"), slice_of(ROWS[i].authorization)}};
        const struct config_key *key;

        CHECK_INT(identify(&KEYED, h, 2, &key), ROWS[i].err);
    }
}

TEST(without_keys_everybody_is_welcome_whatever_they_carry)
{
    static const struct config OPEN = {.keys_n = 0};
    struct header h = {SLICE("Authorization"), SLICE("Bearer of-a-provider")};
    const struct config_key *key = &KEYS[0];

    CHECK_INT(identify(&OPEN, NULL, 0, &key), ERR_OK);
    CHECK(key == NULL);
    CHECK_INT(identify(&OPEN, &h, 1, &key), ERR_OK);
    CHECK(key == NULL);
}

TEST(a_key_may_use_its_models_and_one_without_a_list_all)
{
    static const int MODELS[] = {0, 3};
    static const struct config_key SOME = {.models = MODELS, .models_n = 2}, ALL = {.models_n = 0};

    for (int model = 0; model < 6; model++) {
        CHECK_INT(identify_may_use(&SOME, model), model == 0 || model == 3);
        CHECK(identify_may_use(&ALL, model));
        CHECK(identify_may_use(NULL, model));
    }
}
