/* SPDX-License-Identifier: MIT */
/* JSON over yyjson: the only place that includes it. Values are borrowed from the document. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct json_doc;  /* a parsed document */
struct json_pool; /* reusable memory for small documents: one per worker, so that an event costs no malloc */

struct json_value { /* by value; .v NULL: absent */
    const void *v;
};

/* A pool of n bytes; documents that do not fit fall back to the heap. One document at a time per pool. */
struct json_pool *json_pool_new(size_t n_bytes);
void json_pool_free(struct json_pool **p);

/* Strict RFC 8259 parse, UTF-8 checked, at most 64 levels deep. ERR_MALFORMED with a message in `why`, which
 * may be NULL. *out is NULL then. */
enum err json_parse(struct slice text, struct json_pool *pool, struct json_doc **out, const char **why)
    __attribute__((warn_unused_result));
void json_free(struct json_doc **d);
struct json_value json_root(const struct json_doc *d);

static inline bool json_is_absent(struct json_value v)
{
    return v.v == 0;
}

bool json_is_object(struct json_value v);
bool json_is_array(struct json_value v);
bool json_is_string(struct json_value v);
bool json_is_number(struct json_value v);
bool json_is_bool(struct json_value v);
bool json_is_null(struct json_value v);
/* Absent when v is no object or has no such member. Of doubled members the last one counts, as in Python. */
struct json_value json_get(struct json_value v, const char *key);
struct json_value json_at(struct json_value v, size_t i); /* array element or absent */
size_t json_count(struct json_value v);                   /* members or elements, else 0 */
struct slice json_string(struct json_value v);            /* SLICE_NONE if it is none; may hold NUL bytes */
bool json_true(struct json_value v);
int64_t json_int(struct json_value v, int64_t otherwise); /* numbers are cut to whole and clamped */
double json_double(struct json_value v, double otherwise);

/* Members of an object in the order of the text; doubled ones come as often as they stand there. */
typedef bool (*json_member_cb)(void *ud, struct slice key, struct json_value value); /* false stops */
void json_each(struct json_value object, json_member_cb cb, void *ud);
/* Elements of an array in order. */
typedef bool (*json_element_cb)(void *ud, struct json_value value);
void json_each_element(struct json_value array, json_element_cb cb, void *ud);

#endif
