/* SPDX-License-Identifier: MIT */
/* JSON: the checker without memory and the parser with a document take the same texts; an object that comes
 * in pieces is whole exactly when it is; words of a failure come out printable and without a secret. */
#include "base/buf.h"
#include "base/json.h"
#include "base/json_check.h"
#include "base/json_nest.h"
#include "fuzz/fuzz.h"
#include "llm/answer.h"
#include "llm/redact.h"

#define SECRET "sk-0123456789abcdef0123456789"

static void check_nest(struct slice s, bool is_object, uint8_t how)
{
    struct json_nest nest = {0};
    struct rng dice;

    rng_seed(&dice, how);
    while (s.n > 0)
        json_nest_feed(&nest, fuzz_piece(&s, how, &dice));
    if (is_object)
        FUZZ_CHECK(json_nest_is_whole(&nest));
}

static void check_agreement(struct slice s, uint8_t how)
{
    static struct json_pool *pool;
    struct json_doc *doc = NULL;
    const char *why;
    enum err strict, plain;

    if (pool == NULL)
        pool = json_pool_new(4096);
    strict = json_parse(s, pool, &doc, NULL);
    plain = json_check(s, &why);
    FUZZ_CHECK(strict != ERR_OK || plain == ERR_OK); /* the other way only a number may be too large */
    check_nest(s, strict == ERR_OK && json_is_object(json_root(doc)), how);
    json_free(&doc);
}

static void check_redacted(struct slice s)
{
    char *text = malloc(s.n + sizeof SECRET + 2), *out = malloc(s.n + 512);
    size_t half = s.n / 2, n;

    FUZZ_CHECK(text != NULL && out != NULL);
    n = (size_t)snprintf(text, s.n + sizeof SECRET + 2, "%.*s %s %.*s", (int)half, s.p, SECRET,
                         (int)(s.n - half), s.p + half);
    n = redact_text((struct slice){text, n}, out, s.n + 512);
    FUZZ_CHECK(out[n] == '\0' && strstr(out, SECRET) == NULL);
    for (size_t i = 0; i < n; i++)
        FUZZ_CHECK((unsigned char)out[i] >= 0x20 && out[i] != 0x7f);
    free(text);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice s = {(const char *)data, n};
    uint8_t how = fuzz_byte(&s);
    char *copy = fuzz_copy(s);
    struct slice param, code;
    struct arena arena;

    s.p = copy;
    check_agreement(s, how);
    check_redacted(s);
    arena_init(&arena, NULL, 0, 1024);
    FUZZ_CHECK(answer_error_text(s, NULL, &arena, &param, &code).n <= 300);
    arena_fini(&arena);
    free(copy);
    return 0;
}
