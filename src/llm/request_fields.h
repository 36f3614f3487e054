/* SPDX-License-Identifier: MIT */
/* Private to requests: the members that the gateway itself acts on, however they were found. */
#ifndef LLM_REQUEST_FIELDS_H
#define LLM_REQUEST_FIELDS_H

#include "llm/request.h"

enum request_control { CONTROL_MODEL, CONTROL_STREAM, CONTROL_STREAM_OPTIONS, CONTROL_N };

/* CONTROL_N: it is none of them. */
enum request_control request_control_of_name(struct slice name); /* escapes undone */
enum request_control request_control_of(const struct member *m);

/* What a value is, as far as it matters here. */
enum request_shape {
    SHAPE_ABSENT,
    SHAPE_NULL,
    SHAPE_NO_TEXT,
    SHAPE_TEXT,
    SHAPE_NO_LIST,
    SHAPE_LIST,
    SHAPE_OTHER
};

struct request_fields { /* the last member of each name */
    struct json_value control[CONTROL_N], n;
    enum request_shape input, tools, functions;
    bool doubled; /* one of the controls stands there more than once */
};

/* Judges the fields and fills in what follows from them; out->surface is set. */
enum err request_fields_read(const struct request_fields *f, struct arena *arena, struct request *out,
                             struct request_fault *fault);
enum err request_complain(struct request_fault *to, enum err e, const char *param, const char *why);

#endif
