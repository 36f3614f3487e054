/* SPDX-License-Identifier: MIT */
/* The log: every line is one whole JSON object (or one printable line), whatever the message holds. */
#include "base/log.h"

#include <errno.h>
#include <limits.h>

#include "base/assert.h"
#include "base/json.h"
#include "tap.h"

struct sink {
    int fds[2];
    struct log log;
    char line[2 * PIPE_BUF];
    size_t n;
};

static bool sink_open(struct sink *s, enum log_level level, bool text)
{
    if (!CHECK(pipe(s->fds) == 0))
        return false;
    log_init(&s->log, s->fds[1], level, text);
    return true;
}

static void sink_close(struct sink *s)
{
    close(s->fds[0]);
    close(s->fds[1]);
}

/* Takes what the last message wrote. */
static void sink_read(struct sink *s)
{
    ssize_t n = read(s->fds[0], s->line, sizeof(s->line) - 1);

    s->n = n > 0 ? (size_t)n : 0;
    s->line[s->n] = 0;
}

/* Whether the line is one JSON object and a line feed; shows its message. */
static bool is_whole_line(struct sink *s, char *msg, size_t msg_n)
{
    struct json_doc *doc = NULL;
    bool whole = s->n > 1 && s->n <= PIPE_BUF && memchr(s->line, '\n', s->n) == s->line + s->n - 1;

    if (json_parse((struct slice){s->line, s->n - 1}, NULL, &doc, NULL) != ERR_OK)
        return false;
    struct slice m = json_string(json_get(json_root(doc), "msg"));
    whole = whole && m.p && m.n < msg_n && json_string(json_get(json_root(doc), "ts")).n == 24;
    snprintf(msg, msg_n, "%.*s", SLICE_ARG(m));
    json_free(&doc);
    return whole;
}

TEST(a_line_is_a_json_object)
{
    struct sink s;
    char msg[PIPE_BUF];

    if (!sink_open(&s, LOG_INFO, false))
        return;
    LOG_WRN(&s.log, "endpoint %s is \"slow\"", "main");
    sink_read(&s);
    CHECK(is_whole_line(&s, msg, sizeof(msg)));
    CHECK_STR(msg, "endpoint main is \"slow\"");
    CHECK(strncmp(s.line, "{\"ts\":\"20", 9) == 0);
    CHECK_STR(s.line + 31, "\",\"level\":\"warn\",\"msg\":\"endpoint main is \\\"slow\\\"\"}\n");
    sink_close(&s);
}

TEST(text_for_people)
{
    struct sink s;

    if (!sink_open(&s, LOG_DEBUG, true))
        return;
    LOG_DBG(&s.log, "say \"hello\\\" in %d lines\r\n\x1b[2Jdone \xc2\x9b", 2);
    sink_read(&s);
    CHECK_STR(s.line + 24, " DEBUG say \"hello\\\" in 2 lines\\r\\n\\u001b[2Jdone \\u009b\n");
    sink_close(&s);
}

TEST(levels_filter)
{
    struct sink s;

    if (!sink_open(&s, LOG_WARN, true))
        return;
    LOG_DBG(&s.log, "not shown");
    LOG_INF(&s.log, "not shown");
    LOG_ERR(&s.log, "shown");
    log_write(NULL, LOG_ERROR, "nobody listens");
    sink_read(&s);
    CHECK_STR(s.line + 24, " ERROR shown\n");
    sink_close(&s);
}

/* Fills a message of n bytes with a pattern that escaping makes longer or that a cut could split. */
static void fill(char *message, size_t n, const char *pattern)
{
    size_t pattern_n = strlen(pattern);

    for (size_t i = 0; i < n; i++)
        message[i] = pattern[i % pattern_n];
    message[n] = 0;
}

/* Every length where a line or the formatted message may just be full, a sample of the others. */
static size_t step_after(size_t n)
{
    bool near = (n / 100 == 6) || (n / 100 == 30);

    return near ? 1 : 37;
}

#define VALID_N 6 /* the first six patterns are valid UTF-8 */

TEST(long_and_hostile_messages_are_cut_between_characters)
{
    static const char *const patterns[] = {
        "a", "\x01", "\"", "\\", "\xe4\xbd\xa0", "\xf0\x9f\x8c\x8a", "\xff", "a\xf0\x9f\x8c", "\xc2\x9b"};
    static char message[6000], msg[PIPE_BUF];
    struct sink s;
    int cut_n = 0;

    if (!sink_open(&s, LOG_INFO, false))
        return;
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        for (size_t n = 0; n < sizeof(message); n += step_after(n)) {
            fill(message, n, patterns[i]);
            LOG_INF(&s.log, "%s", message);
            sink_read(&s);
            bool whole = is_whole_line(&s, msg, sizeof(msg));
            size_t got = strlen(msg);
            bool dotted = got >= 3 && strcmp(msg + got - 3, "...") == 0;
            bool valid = i < VALID_N && n % strlen(patterns[i]) == 0;
            cut_n += dotted;
            if (!CHECK(whole && (n > 600 || !dotted) && (!valid || dotted || got == n)))
                printf("# pattern %zu, %zu bytes in, %zu out\n", i, n, got);
        }
    }
    CHECK(cut_n > 100);
    sink_close(&s);
}

TEST(a_cut_adds_no_replacement_characters)
{
    static char message[6000], msg[PIPE_BUF];
    struct sink s;

    if (!sink_open(&s, LOG_INFO, false))
        return;
    for (size_t skip = 0; skip < 4; skip++) {
        memcpy(message, "xxx", skip);
        fill(message + skip, 5000 / 4 * 4, "\xf0\x9f\x8c\x8a");
        LOG_INF(&s.log, "%s", message);
        sink_read(&s);
        CHECK(is_whole_line(&s, msg, sizeof(msg)));
        CHECK(strstr(msg, "\xef\xbf\xbd") == NULL);
        CHECK_STR(msg + strlen(msg) - 3, "...");
    }
    sink_close(&s);
}

TEST(errno_survives)
{
    struct log l;

    log_init(&l, -1, LOG_INFO, false);
    errno = EDOM;
    LOG_ERR(&l, "to a descriptor that is closed");
    CHECK_INT(errno, EDOM);
}

TEST(level_names)
{
    enum log_level level = LOG_ERROR;

    CHECK(log_level_parse(SLICE("debug"), &level) && level == LOG_DEBUG);
    CHECK(log_level_parse(SLICE("info"), &level) && level == LOG_INFO);
    CHECK(log_level_parse(SLICE("warn"), &level) && level == LOG_WARN);
    CHECK(log_level_parse(SLICE("error"), &level) && level == LOG_ERROR);
    CHECK(!log_level_parse(SLICE("warning"), &level));
    CHECK(!log_level_parse(SLICE_NONE, &level));
    CHECK_INT(level, LOG_ERROR);
}
