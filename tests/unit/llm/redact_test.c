/* SPDX-License-Identifier: MIT */
/* Other people's sentences: no credential, no control character, cut between characters. */
#include "llm/redact.h"

#include "tap.h"

static void check(const char *in, const char *want)
{
    size_t n = strlen(in);
    char *copy = tap_guard(in, n);
    char out[512];

    CHECK_INT(redact_text((struct slice){copy, n}, out, sizeof out), strlen(want));
    CHECK_STR(out, want);
    tap_guard_free(copy, n);
}

TEST(credentials_go)
{
    check("Incorrect API key provided: sk-abcDEF123456. You can find yours at ...",
          "Incorrect API key provided: sk-***. You can find yours at ...");
    check("Incorrect API key provided: sk-proj-****************wxyz.", "Incorrect API key provided: sk-***.");
    check("got 'Authorization: Bearer abc.def-ghi_jkl'", "got 'Authorization: Bea***'");
    check("got bearer\teyJhbGciOi.x.y==, sorry", "got bea***, sorry");
    check("key-0123456789", "key***"); /* first three characters */
    check("(gsk_abcdefgh)", "(gsk***)");
    check("AIzaSyA-1234567 is not valid", "AIz*** is not valid");
    check("SK-ABCDEFGH", "SK-***");
    check("two: sk-aaaaaa sk-bbbbbb", "two: sk-*** sk-***");
    check("Bearer sk-aaaaaabbbbbb", "Bea***");
    check("glued:xsk-abcdef123456", "glued:xsk-***");
    check("sk-******", "sk-***");
}

TEST(words_stay)
{
    check("Insufficient Balance", "Insufficient Balance");
    check("this task-specific model is risk-averse", "this task-specific model is risk-averse");
    check("sk-12345", "sk-12345"); /* too short for a key */
    check("a Bearer token is needed", "a Bearer token is needed");
    check("sk-", "sk-");
    check("Bearer ", "Bearer ");
    check("sk-......", "sk-......");
    check("", "");
    check("\344\275\231\351\242\235\344\270\215\350\266\263",
          "\344\275\231\351\242\235\344\270\215\350\266\263");
}

TEST(control_characters_become_spaces)
{
    char out[32];

    check("a\nb\r\tc\x1b[31md\x7f", "a b  c [31md ");
    check("a\302\205b\302\240c", "a b\302\240c"); /* C1 goes, a no-break space stays */
    CHECK_INT(redact_text((struct slice){"a\0b", 3}, out, sizeof out), 3);
    CHECK_STR(out, "a b");
    check("\302", "\302"); /* cut off before its second byte */
}

TEST(the_end_is_cut_between_characters)
{
    char out[32];

    CHECK_INT(redact_text(SLICE("abcdef"), out, 4), 3);
    CHECK_STR(out, "abc");
    CHECK_INT(redact_text(SLICE("abc"), out, 4), 3);
    CHECK_STR(out, "abc");
    CHECK_INT(redact_text(SLICE("a\344\275\231b"), out, 4), 1);
    CHECK_STR(out, "a");
    CHECK_INT(redact_text(SLICE("a\344\275\231"), out, 5), 4);
    CHECK_INT(redact_text(SLICE("anything"), out, 1), 0);
    CHECK_STR(out, "");
    for (size_t cap = 1; cap < sizeof out; cap++) { /* no cut shows more of a key than its beginning */
        redact_text(SLICE("key sk-SECRETSECRET bearer SECRETSECRET"), out, cap);
        CHECK(!strstr(out, "S"));
    }
}

/* Most bytes are taken in runs: none of them may swallow the beginning of a key, whatever stands before it.
 */
TEST(a_key_is_seen_behind_every_byte_and_in_every_case)
{
    static const char *const keys[] = {"sk-",  "SK-",   "key-",  "Key-", "gsk_", "GSK_",    "xai-",
                                       "XAI-", "pplx-", "Pplx-", "AIza", "aiza", "Bearer ", "BEARER "};

    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        for (int before = 0; before < 256; before++) {
            char in[96], out[96];
            int n = snprintf(in, sizeof in, "we met .%s1234567890abcdefghijklmnop, there", keys[k]);

            in[7] = (char)before;
            CHECK(redact_text((struct slice){in, (size_t)n}, out, sizeof out) > 0);
            if (!CHECK(strstr(out, "***") != NULL && strstr(out, "67890abc") == NULL))
                printf("# %s behind %d: %s\n", keys[k], before, out);
        }
    }
}
