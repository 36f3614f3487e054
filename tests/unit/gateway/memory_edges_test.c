/* SPDX-License-Identifier: MIT */
/* Memory refused beside the request path: while the configuration is read again, and inside OpenSSL, which
 * gets its memory from base/mem. See memory_test.c. */
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/reserve.h"
#include "config/config.h"
#include "gateway/reload.h"
#include "io/tls.h"
#include "support/story.h"
#include "tap.h"

/* -- OpenSSL --------------------------------------------------------------------------------------------- */

static const struct world *struck_world;

static void on_turn(void *ud, struct loop *l)
{
    (void)ud;
    mem_faults()->on = struck_world != NULL && l == struck_world->worker_loops[0];
}

#define STRIDE 7 /* each costs two handshakes; all 2,400 have been seen */

/* The gateway's call over TLS. */
static uint64_t call_over_tls(const char *yaml, struct tls_config *tls, uint64_t k, int *status, bool *fine)
{
    struct story s;
    struct world *w;
    struct caller *c, *later;
    uint64_t n;

    story_init(&s, yaml);
    s.ways.tls = tls;
    s.on_turn = on_turn;
    w = story_begin(&s);
    *mem_faults() = (struct mem_faults){.from = k, .n = 1};
    c = story_ask(w, story_body("any", true, "under cover", NULL));
    struck_world = w;
    world_run(w, 60 * STORY_S);
    struck_world = NULL;
    mem_faults()->on = false;
    n = mem_faults()->seen_n;
    *status = c->status;
    *fine = c->complete && c->done;
    if (c->status == 503)
        CHECK_STR(story_error_code(c), "gateway_exhausted");
    CHECK(*fine || c->status == 503 || c->error_event || !c->complete);
    CHECK(c->ended_us != 0);
    caller_free(&c);
    later = story_ask(w, story_body("any", true, "and again", NULL));
    if (!CHECK(story_wait(w, later, 60 * STORY_S) && later->complete && later->done))
        printf("# behind allocation %llu: %d %s\n", (unsigned long long)k, later->status,
               story_error_code(later));
    caller_free(&later);
    story_end(&w);
    return n;
}

TEST(a_call_over_tls)
{
    char file[] = "/tmp/tidegate-memory-XXXXXX", yaml[512];
    struct tls_config *tls;
    size_t told_n = 0;
    int fd = mkstemp(file), status;
    uint64_t n;
    bool fine;

    tls_use_counted_memory();
    CHECK(fd >= 0 && close(fd) == 0 && reserve_open());
    tls = tls_config_self_made("10.0.0.1");
    CHECK(tls != NULL && tls_config_save(tls, file));
    snprintf(
        yaml, sizeof yaml,
        "listen: 10.0.0.9:80\nkeys: [{name: tester, key: key-for-tests}]\n"
        "endpoints: [{name: one, provider: openai, url: 'https://10.0.0.1:80/v1', key: none, ca_file: %s}]\n"
        "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n",
        file);
    n = call_over_tls(yaml, tls, UINT64_MAX, &status, &fine);
    CHECK(n > 200 && fine);
    for (uint64_t k = 0; k < n; k += STRIDE) {
        call_over_tls(yaml, tls, k, &status, &fine);
        told_n += status == 503;
        if (!CHECK(fine || status == 503 || status == 0 || status == 200))
            printf("# allocation %llu: %d\n", (unsigned long long)k, status);
    }
    printf("# tls: %llu allocations, %zu told as a row\n", (unsigned long long)n, told_n);
    CHECK(told_n > n / STRIDE / 4);
    tls_config_free(&tls);
    unlink(file);
    reserve_close();
}

/* -- reading the configuration again --------------------------------------------------------------------- */

TEST(a_reload_that_finds_no_memory_changes_nothing)
{
    char file[] = "/tmp/tidegate-memory-XXXXXX";
    int fd = mkstemp(file);
    struct reload_result result;
    uint64_t n = 1;
    size_t refused_n = 0;
    struct story s;
    struct world *w;
    struct reload *r;

    CHECK(fd >= 0 && write(fd, STORY_TWO, sizeof STORY_TWO - 1) == (ssize_t)sizeof STORY_TWO - 1);
    close(fd);
    CHECK(reserve_open());
    story_init(&s, STORY_TWO);
    w = story_begin(&s);
    r = reload_new(w->app, &(struct reload_opts){.file = file, .env = &config_env_process});
    for (uint64_t k = UINT64_MAX; k == UINT64_MAX || k < n; k++) {
        uint64_t before = w->app->edition->number;
        struct caller *c;

        *mem_faults() = (struct mem_faults){.on = true, .from = k, .n = 1};
        reload_run(r, "a test", &result);
        mem_faults()->on = false;
        if (k == UINT64_MAX) {
            n = mem_faults()->seen_n;
            CHECK_INT(result.err, ERR_OK);
        }
        CHECK(result.err == ERR_OK || result.err == ERR_EXHAUSTED);
        CHECK_INT((long long)(w->app->edition->number - before), result.err == ERR_OK);
        refused_n += result.err != ERR_OK;
        c = story_ask(w, story_body("any", false, "served", NULL));
        CHECK(story_wait(w, c, 10 * STORY_S) && c->status == 200);
        caller_free(&c);
        reserve_fill();
    }
    printf("# reload: %llu allocations, %zu refused\n", (unsigned long long)n, refused_n);
    CHECK(n > 50 && refused_n > 10);
    reload_free(&r);
    story_end(&w);
    unlink(file);
    reserve_close();
}
