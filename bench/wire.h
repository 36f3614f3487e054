/* SPDX-License-Identifier: MIT */
/*
 * The texts that the origin sends and the client expects to receive, byte for byte.
 *
 * Shaped like OpenAI's answers; sizes follow the budgets: a reply of about 500 bytes, events of about 180.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

/* What is said in the reply and in every event but the first and the last, however a gateway writes it anew.
 * The first character of each stands nowhere else in it. */
#define WIRE_SAID                                                                                    \
    "The tide comes in twice a day because the earth turns under two bulges of water, one that the " \
    "moon draws up on the near side and one that is left behind on the far side."
#define WIRE_EVENT_SAID " tide\""

#define WIRE_REPLY                                                                                         \
    "{\"id\":\"chatcmpl-bench-000000000001\",\"object\":\"chat.completion\",\"created\":1760000000,"       \
    "\"model\":\"bench-model\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":" \
    "\"" WIRE_SAID "\",\"refusal\":null},"                                                                 \
    "\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":58,"                      \
    "\"completion_tokens\":38,\"total_tokens\":96},\"system_fingerprint\":\"fp_bench\"}"

#define WIRE_EVENT_HEAD                                                                     \
    "data: {\"id\":\"chatcmpl-bench-01\",\"object\":\"chat.completion.chunk\",\"created\":" \
    "1760000000,\"model\":\"bench-model\","

#define WIRE_EVENT_FIRST                                                                       \
    WIRE_EVENT_HEAD "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":" \
                    "\"The\"},\"finish_reason\":null}]}\n\n"
#define WIRE_EVENT_NEXT \
    WIRE_EVENT_HEAD     \
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\" tide\"},\"finish_reason\":null}]}\n\n"
#define WIRE_EVENT_LAST \
    WIRE_EVENT_HEAD     \
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\".\"},\"finish_reason\":\"stop\"}]}\n\n"
#define WIRE_EVENT_USAGE                                                                        \
    WIRE_EVENT_HEAD "\"choices\":[],\"usage\":{\"prompt_tokens\":58,\"completion_tokens\":200," \
                    "\"total_tokens\":258}}\n\n"
#define WIRE_EVENT_DONE "data: [DONE]\n\n"

#endif
