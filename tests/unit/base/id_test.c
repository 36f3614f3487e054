/* SPDX-License-Identifier: MIT */
/* Request ids, the comparison of secrets and the hash. */
#include "base/id.h"

#include "tap.h"

TEST(ids_have_their_shape_and_follow_the_dice)
{
    struct rng r, again;
    char id[ID_BYTES + 1], same[ID_BYTES + 1], last[ID_BYTES + 1] = "";
    int bad_n = 0;

    rng_seed(&r, 5);
    rng_seed(&again, 5);
    for (int i = 0; i < 1000; i++) {
        id_make(&r, id);
        id_make(&again, same);
        bad_n += strlen(id) != ID_BYTES || memcmp(id, "req_", 4) != 0 || strcmp(id, same) != 0;
        bad_n += strspn(id + 4, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != 20;
        bad_n += strcmp(id, last) == 0 || !id_is_safe(slice_of(id));
        memcpy(last, id, sizeof(last));
    }
    CHECK_INT(bad_n, 0);
}

TEST(every_place_of_an_id_takes_every_character)
{
    bool seen[20][128] = {{false}};
    struct rng r;
    char id[ID_BYTES + 1];

    rng_seed(&r, 6);
    for (int i = 0; i < 3000; i++) {
        id_make(&r, id);
        for (int k = 0; k < 20; k++)
            seen[k][id[4 + k] & 127] = true;
    }
    for (int k = 0; k < 20; k++) {
        int n = 0;
        for (int c = 0; c < 128; c++)
            n += seen[k][c];
        CHECK_INT(n, 62);
    }
}

TEST(a_clients_id_is_used_only_when_it_is_harmless)
{
    char longest[129];

    memset(longest, 'a', sizeof(longest));
    CHECK(id_is_safe(SLICE("req_0aZ.9:b-c")));
    CHECK(id_is_safe((struct slice){longest, 128}));
    CHECK(!id_is_safe((struct slice){longest, 129}));
    CHECK(!id_is_safe(SLICE("")));
    CHECK(!id_is_safe(SLICE_NONE));
    for (int c = 0; c < 256; c++) {
        char text[3] = {'a', (char)c, 'b'};
        bool want = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    (c != 0 && strchr("._:-", c));
        if (!CHECK(id_is_safe((struct slice){text, 3}) == want))
            printf("# character %d\n", c);
    }
}

TEST(secrets_are_equal_only_when_every_bit_is)
{
    char a[33], b[33];
    int wrong_n = 0;

    memset(a, 'k', sizeof(a));
    memset(b, 'k', sizeof(b));
    CHECK(id_equal_secret((struct slice){a, 33}, (struct slice){b, 33}));
    for (int bit = 0; bit < 33 * 8; bit++) {
        b[bit / 8] = (char)(b[bit / 8] ^ (1 << bit % 8));
        wrong_n += id_equal_secret((struct slice){a, 33}, (struct slice){b, 33});
        b[bit / 8] = (char)(b[bit / 8] ^ (1 << bit % 8));
    }
    CHECK_INT(wrong_n, 0);
    CHECK(!id_equal_secret((struct slice){a, 32}, (struct slice){b, 33}));
    CHECK(!id_equal_secret((struct slice){a, 33}, SLICE_NONE));
    CHECK(id_equal_secret(SLICE_NONE, SLICE("")));
}

TEST(the_hash_is_xxh3)
{
    CHECK(id_hash(SLICE(""), 0) == UINT64_C(0x2d06800538d394c2));
    CHECK(id_hash(SLICE_NONE, 0) == id_hash(SLICE(""), 0));
    CHECK(id_hash(SLICE("a"), 0) != id_hash(SLICE("a"), 1));
    CHECK(id_hash(SLICE("a"), 0) != id_hash(SLICE("b"), 0));
}
