/* SPDX-License-Identifier: MIT */
/* Reading JSON: the one home of yyjson.
 *
 * Why an allocator of our own: yyjson takes two pieces a document (a copy of the text, the values). Out of a
 * pool that belongs to the worker they cost a pointer's increment; what does not fit goes to the heap piece
 * by piece, without a second parse. Values are 16 bytes each and as little as two bytes of text make one, so
 * their growth is bounded too: JSON_VALUES_BYTES.
 * Depth: yyjson reads without recursion; the finished values lie in document order, so one pass over them
 * with a small stack of ends finds the depth, and whoever walks a document later may recurse.
 * Threads: a pool and its document belong to one thread. */
#include "base/json.h"

#include <yyjson.h>

#include "base/assert.h"
#include "base/json_check.h"
#include "base/mem.h"
#include "base/poison.h"
#include "base/reserve.h"

#define JSON_VALUES_BYTES ((size_t)64 << 20) /* four million values */

struct json_doc {
    yyjson_doc *doc;
    struct json_pool *pool; /* NULL: this struct is on the heap */
};

struct json_pool {
    size_t n, used; /* bytes */
    struct json_doc doc;
    _Alignas(16) char bytes[];
};

struct json_pool *json_pool_new(size_t n_bytes)
{
    struct json_pool *p = mem_alloc(sizeof(*p) + n_bytes);

    p->n = n_bytes;
    p->used = 0;
    p->doc = (struct json_doc){0};
    POISON(p->bytes, n_bytes);
    return p;
}

void json_pool_free(struct json_pool **p)
{
    if (!*p)
        return;
    ASSERT(!(*p)->doc.doc);
    UNPOISON((*p)->bytes, (*p)->n);
    mem_free(*p);
    *p = NULL;
}

static bool is_pooled(const struct json_pool *p, const void *ptr)
{
    return p && (const char *)ptr >= p->bytes && (const char *)ptr < p->bytes + p->n;
}

static void *on_malloc(void *ctx, size_t size)
{
    struct json_pool *p = ctx;

    if (p && size <= p->n - p->used) {
        void *piece = p->bytes + p->used;
        size_t rounded = (size + 15) & ~(size_t)15;
        UNPOISON(piece, size);
        p->used += rounded < p->n - p->used ? rounded : p->n - p->used;
        return piece;
    }
    return size <= RESERVE_SMALL_BYTES ? mem_alloc(size) : mem_try_alloc(size);
}

static void *on_realloc(void *ctx, void *ptr, size_t old_size, size_t size)
{
    if (size > JSON_VALUES_BYTES)
        return NULL;
    if (!is_pooled(ctx, ptr))
        return mem_try_realloc(ptr, size);
    void *moved = on_malloc(ctx, size);
    if (!moved)
        return NULL;
    memcpy(moved, ptr, old_size < size ? old_size : size);
    return moved;
}

static void on_free(void *ctx, void *ptr)
{
    if (!is_pooled(ctx, ptr))
        mem_free(ptr);
}

static void pool_reset(struct json_pool *p)
{
    p->used = 0;
    p->doc = (struct json_doc){0};
    POISON(p->bytes, p->n);
}

static bool is_too_deep(yyjson_doc *doc)
{
    const yyjson_val *ends[JSON_DEPTH_MAX]; /* one past the last value of every container that is open */
    yyjson_val *v = yyjson_doc_get_root(doc);
    size_t depth = 0;

    for (size_t left = yyjson_doc_get_val_count(doc); left > 0; left--, v++) {
        while (depth > 0 && v >= ends[depth - 1])
            depth--;
        if (!yyjson_is_ctn(v))
            continue;
        if (depth == JSON_DEPTH_MAX)
            return true;
        ends[depth++] = unsafe_yyjson_get_next(v);
    }
    return false;
}

static enum err refuse(const char **why, const char *text)
{
    if (why)
        *why = text;
    return ERR_MALFORMED;
}

enum err json_parse(struct slice text, struct json_pool *pool, struct json_doc **out, const char **why)
{
    yyjson_alc alc = {on_malloc, on_realloc, on_free, pool};
    yyjson_read_err bad;
    uint64_t short_n = mem_short_n();

    *out = NULL;
    ASSERT(!pool || !pool->doc.doc);
    /* Without YYJSON_READ_INSITU the text is copied first and never written to. */
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.p, text.n, YYJSON_READ_NOFLAG, &alc, &bad);
    if (!doc && pool)
        pool_reset(pool);
    if (!doc && mem_short_n() != short_n)
        return ERR_EXHAUSTED;
    if (!doc)
        return refuse(why, bad.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? "too many values" : bad.msg);
    struct json_doc *d = pool ? &pool->doc : mem_alloc(sizeof(*d));
    *d = (struct json_doc){doc, pool};
    if (is_too_deep(doc)) {
        json_free(&d);
        return refuse(why, "nested deeper than 64 levels");
    }
    *out = d;
    return ERR_OK;
}

void json_free(struct json_doc **d)
{
    if (!*d)
        return;
    struct json_pool *pool = (*d)->pool;

    yyjson_doc_free((*d)->doc);
    if (pool)
        pool_reset(pool);
    else
        mem_free(*d);
    *d = NULL;
}

/* yyjson's getters take pointers without const and do not write. */
static yyjson_val *val(struct json_value v)
{
    return (yyjson_val *)(uintptr_t)v.v;
}

struct json_value json_root(const struct json_doc *d)
{
    return (struct json_value){yyjson_doc_get_root(d->doc)};
}

bool json_is_object(struct json_value v)
{
    return yyjson_is_obj(val(v));
}

bool json_is_array(struct json_value v)
{
    return yyjson_is_arr(val(v));
}

bool json_is_string(struct json_value v)
{
    return yyjson_is_str(val(v));
}

bool json_is_number(struct json_value v)
{
    return yyjson_is_num(val(v));
}

bool json_is_bool(struct json_value v)
{
    return yyjson_is_bool(val(v));
}

bool json_is_null(struct json_value v)
{
    return yyjson_is_null(val(v));
}

struct json_value json_get(struct json_value v, const char *key)
{
    yyjson_obj_iter it;
    yyjson_val *found = NULL;
    size_t key_n = strlen(key);

    if (!yyjson_obj_iter_init(val(v), &it))
        return (struct json_value){NULL};
    for (yyjson_val *k = yyjson_obj_iter_next(&it); k; k = yyjson_obj_iter_next(&it)) {
        if (unsafe_yyjson_equals_strn(k, key, key_n))
            found = yyjson_obj_iter_get_val(k);
    }
    return (struct json_value){found};
}

struct json_value json_at(struct json_value v, size_t i)
{
    return (struct json_value){yyjson_arr_get(val(v), i)};
}

size_t json_count(struct json_value v)
{
    return yyjson_is_ctn(val(v)) ? unsafe_yyjson_get_len(val(v)) : 0;
}

struct slice json_string(struct json_value v)
{
    if (!yyjson_is_str(val(v)))
        return SLICE_NONE;
    return (struct slice){unsafe_yyjson_get_str(val(v)), unsafe_yyjson_get_len(val(v))};
}

bool json_true(struct json_value v)
{
    return yyjson_is_true(val(v));
}

int64_t json_int(struct json_value v, int64_t otherwise)
{
    if (yyjson_is_uint(val(v))) {
        uint64_t u = unsafe_yyjson_get_uint(val(v));
        return u > INT64_MAX ? INT64_MAX : (int64_t)u;
    }
    if (yyjson_is_sint(val(v)))
        return unsafe_yyjson_get_sint(val(v));
    if (!yyjson_is_real(val(v)))
        return otherwise;
    double d = unsafe_yyjson_get_real(val(v));
    if (d >= 0x1p63)
        return INT64_MAX;
    return d < -0x1p63 ? INT64_MIN : (int64_t)d;
}

double json_double(struct json_value v, double otherwise)
{
    return yyjson_is_num(val(v)) ? yyjson_get_num(val(v)) : otherwise;
}

void json_each(struct json_value object, json_member_cb cb, void *ud)
{
    yyjson_obj_iter it;

    if (!yyjson_obj_iter_init(val(object), &it))
        return;
    for (yyjson_val *k = yyjson_obj_iter_next(&it); k; k = yyjson_obj_iter_next(&it)) {
        struct slice key = {unsafe_yyjson_get_str(k), unsafe_yyjson_get_len(k)};
        if (!cb(ud, key, (struct json_value){yyjson_obj_iter_get_val(k)}))
            return;
    }
}

void json_each_element(struct json_value array, json_element_cb cb, void *ud)
{
    yyjson_arr_iter it;

    if (!yyjson_arr_iter_init(val(array), &it))
        return;
    for (yyjson_val *v = yyjson_arr_iter_next(&it); v; v = yyjson_arr_iter_next(&it)) {
        if (!cb(ud, (struct json_value){v}))
            return;
    }
}
