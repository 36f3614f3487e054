/* SPDX-License-Identifier: MIT */
/* The APIs in which clients ask for an answer. */
#ifndef LLM_SURFACE_H
#define LLM_SURFACE_H

enum surface_id {
    SURFACE_CHAT,        /* OpenAI's POST /chat/completions */
    SURFACE_COMPLETIONS, /* OpenAI's POST /completions */
    SURFACE_EMBEDDINGS,  /* OpenAI's POST /embeddings */
    SURFACE_RESPONSES,   /* OpenAI's POST /responses */
    SURFACE_MESSAGES,    /* Anthropic's POST /v1/messages */
    SURFACE_N
};

#endif
