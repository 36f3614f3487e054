/* SPDX-License-Identifier: MIT */
/* What the workers share: bounds that follow from the configuration, TLS settings, and counting connections.
 */
#include "gateway/app.h"

#include <stdlib.h>

#include "base/assert.h"
#include "gateway/worker.h"
#include "support/certs.h"
#include "tap.h"

static struct config *parse(const char *yaml)
{
    struct config_report report = {.text = ""};
    struct config *cfg = NULL;

    if (!CHECK_INT(config_parse(slice_of(yaml), "test", &config_env_process, &cfg, &report), ERR_OK))
        printf("# %s\n", report.text);
    ASSERT(cfg != NULL);
    return cfg;
}

#define HEAD "listen: 127.0.0.1:0\nworkers: 3\n"
#define PLAIN_ENDPOINT "{name: plain, provider: openai, url: 'http://127.0.0.1:1/v1', key: none}"
#define MODEL "models: [{name: m, tiers: [[{endpoint: plain}]]}]\n"
#define YAML HEAD "endpoints: [" PLAIN_ENDPOINT "]\n" MODEL

static struct app *app_of(struct config *cfg, int64_t files_max, const char **why)
{
    struct app_opts o = {.access_fd = -1, .seed = 1, .wall_us = 1, .files_max = files_max};

    return app_new(cfg, &o, why);
}

TEST(what_may_wait_for_a_client_covers_the_largest_event_and_answer)
{
    static const struct {
        const char *limits;
        size_t least;
    } ROWS[] = {{"limits: {pending: 4KiB, event: 1KiB, answer: 4KiB}\n", 8192},
                {"limits: {pending: 4KiB, event: 64MiB, answer: 4KiB}\n", (64 << 20) + 4096},
                {"limits: {pending: 64MiB, event: 1KiB, answer: 256MiB}\n", 320 << 20}};

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        char yaml[512];
        struct config *cfg;

        snprintf(yaml, sizeof yaml, YAML "%s", ROWS[i].limits);
        cfg = parse(yaml);
        CHECK(app_pending_max(cfg) > ROWS[i].least);
        CHECK(app_pending_max(cfg) <= ROWS[i].least + (1 << 20));
        config_unref(&cfg);
    }
}

TEST(connections_are_counted_for_the_process)
{
    struct config *cfg = parse(YAML "limits: {connections: 3}\n");
    const char *why = "";
    struct app *a = app_of(cfg, 0, &why);

    config_unref(&cfg);
    for (int i = 0; i < 3; i++)
        CHECK(app_conn_enter(a));
    for (int i = 0; i < 5; i++)
        CHECK(!app_conn_enter(a));
    app_conn_leave(a);
    CHECK(app_conn_enter(a));
    CHECK(!app_conn_enter(a));
    for (int i = 0; i < 3; i++)
        app_conn_leave(a);
    CHECK_INT(a->conns_n, 0);
    app_free(&a);
}

TEST(connections_leave_descriptors_for_endpoints)
{
    static const struct {
        int64_t files_max, want;
    } ROWS[] = {{0, 1000}, {100000, 1000}, {1024, 480}, {70, 3}, {10, 1}, {1, 1}};

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct config *cfg = parse(YAML "limits: {connections: 1000}\n");
        const char *why = "";
        struct app *a = app_of(cfg, ROWS[i].files_max, &why);

        CHECK_INT(a->conns_max, ROWS[i].want);
        config_unref(&cfg);
        app_free(&a);
    }
}

TEST(endpoints_with_the_same_authorities_share_one_tls_configuration)
{
    struct certs certs;
    char yaml[1024];
    const char *why = "";
    struct config *cfg;
    struct app *a;

    certs_make(&certs);
    snprintf(yaml, sizeof yaml,
             HEAD
             "endpoints:\n  - " PLAIN_ENDPOINT "\n"
             "  - {name: a, provider: openai, url: 'https://localhost/v1', key: none, ca_file: %s}\n"
             "  - {name: b, provider: openai, url: 'https://localhost/v2', key: none, ca_file: %s}\n"
             "  - {name: c, provider: openai, url: 'https://localhost/v3', key: none, ca_file: %s}\n" MODEL,
             certs.ca, certs.other_ca, certs.ca);
    cfg = parse(yaml);
    a = app_of(cfg, 0, &why);
    config_unref(&cfg);
    if (CHECK(a != NULL)) {
        CHECK(a->edition->tls[0] == NULL);
        CHECK(a->edition->tls[1] != NULL && a->edition->tls[2] != NULL &&
              a->edition->tls[1] != a->edition->tls[2]);
        CHECK(a->edition->tls[3] == a->edition->tls[1]);
    }
    app_free(&a);
    CHECK(a == NULL);
    certs_remove(&certs);
}

TEST(authorities_that_are_none_stop_the_start_with_their_reason)
{
    char path[] = "/tmp/tidegate-app-test-XXXXXX", yaml[1024];
    int fd = mkstemp(path);
    const char *why = "";
    struct config *cfg;
    struct app *a;

    ASSERT(fd >= 0 && write(fd, "no PEM\n", 7) == 7);
    snprintf(yaml, sizeof yaml,
             HEAD
             "endpoints:\n  - " PLAIN_ENDPOINT "\n"
             "  - {name: a, provider: openai, url: 'https://localhost/v1', key: none, ca_file: %s}\n" MODEL,
             path);
    cfg = parse(yaml);
    a = app_of(cfg, 0, &why);
    CHECK(a == NULL);
    CHECK(why[0] != '\0');
    config_unref(&cfg);
    close(fd);
    unlink(path);
}

TEST(metrics_are_those_of_the_workers_and_the_control_thread)
{
    struct config *cfg = parse(YAML);
    struct metrics *blocks[4];
    const char *why = "";
    struct app *a = app_of(cfg, 0, &why);

    config_unref(&cfg); /* the app has a reference of its own */
    CHECK_INT(app_metrics(a, blocks), 1);
    CHECK(blocks[0] == a->control_metrics);
    CHECK(!app_is_draining(a));
    CHECK_INT(a->edition->cfg->workers, 3);
    app_free(&a);
}
