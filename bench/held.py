# SPDX-License-Identifier: MIT
"""How long one client's request or one provider's answer can hold a worker's loop, so that all others wait.

Each input meets a fresh tidegate with one worker, and the figure is the program's own: the longest time from
one look for news to the next (tidegate_loop_held_seconds_max). That is a wall clock, and on a machine with
other work a thread also waits for its CPU; therefore each input is tried more than once and the smallest
figure counts: what the input itself costs is in every try.
"""
import re
import socket
import time
import urllib.request

import scripted
from budgets import Budget
from proxies import Proxy
from rig import Rig
from scripted import chunk, events, plain, request
from sizes import EVENT, REPLY, SMALL_BODY, STOP, STREAM_BODY, TINY, large_body, text

LIMIT_MS = 5
TRIES, QUICK_TRIES = 2, 1
NEAR = (1 << 20) - 2048  # just below what a helper thread takes over
DEPTH = 60               # just inside the depth that is allowed
IDLE_S = 3               # timeouts.idle of the program under test
EBB_S = 2.6              # a crowd has left: memory has gone back
OK = plain(REPLY % b"yes")


def chat(field, filler):
    """A request of nearly 1 MiB whose field is filled by the function of a number of bytes."""
    head = b'{"model":"bench-model","messages":[{"role":"user","content":"go"}],"%s":' % field
    return head + filler(NEAR - len(head) - 1) + b"}"


def many(part, n):
    """A JSON array of as many parts as fit into n bytes."""
    return b"[" + b",".join([part] * ((n - 2) // (len(part) + 1))) + b"]"


def members(n):
    parts, size = [], 2
    while size < n - 20:
        parts.append(b'"k%07d":1' % len(parts))
        size += len(parts[-1]) + 1
    return b"{" + b",".join(parts) + b"}"


def many_messages():
    part = b'{"role":"user","content":"a"}'
    return b'{"model":"bench-model","messages":' + many(part, NEAR - 64) + b"}"


def escapes(n):
    return b'"' + b"\\u0041" * ((n - 2) // 6) + b'"'


def deep(n):
    return many(b"[" * DEPTH + b"]" * DEPTH, n)


def many_headers():
    return b"".join(b"x%02d: %s\r\n" % (i, b"v" * 640) for i in range(90))


def choices(n):
    return [b'{"index":%d,"delta":{"content":"a"},"finish_reason":null}' % i for i in range(n)]


def many_choices_answer():
    each = b'{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}'
    return b'{"object":"chat.completion","choices":' + many(each, NEAR) + b"}"


def usage_event():
    usage = members(500 * 1024)
    return b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"more":%s}}\n\n' % usage


def wide_head():
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(OK.body)
    return scripted.Answer("json", [head + many_headers() + b"\r\n" + OK.body], OK.body)


def small_chunks():
    """A stream whose every byte is a chunk, in large reads."""
    body = TINY * 3000 + STOP + scripted.DONE
    stream = b"".join(chunk(body[i:i + 1]) for i in range(len(body))) + b"0\r\n\r\n"
    return scripted.Answer("events", [scripted.EVENTS_HEAD, stream], body)


def slow_line():
    """An event of 30 KB, every byte a send of its own."""
    event = EVENT % text(30000)
    framed = chunk(event)
    pieces = [scripted.EVENTS_HEAD, *(framed[i:i + 1] for i in range(len(framed))),
              chunk(STOP + scripted.DONE) + b"0\r\n\r\n"]
    return scripted.Answer("events", pieces, event + STOP + scripted.DONE)


def developers(n, each):
    """Messages of a role that the dialect of the model `deepseek` does not know: each is renamed."""
    part = b'{"role":"developer","content":"%s"}' % text(each)
    return b'{"model":"deepseek","messages":[' + b",".join([part] * n) + b"]}"


def one_ask(body, answer=OK, headers=b"", status=200):
    """The status of an answer that is as it should be counts as 200."""
    def act(proxy, origin):
        origin.answer = answer
        with scripted.Client(proxy.port) as client:
            found, said = client.ask(request(body, headers=headers))
        return 200 if found == status else found, said
    return act


def pipelined(proxy, origin):
    """1,000 requests in one burst on one connection."""
    origin.answer = OK
    with scripted.Client(proxy.port) as client:
        client.s.sendall(request(SMALL_BODY) * 1000)
        got, until = b"", time.monotonic() + scripted.WAIT_S
        while got.count(b"HTTP/1.1 200") < 1000 and time.monotonic() < until:
            got += client.s.recv(1 << 18)
    return 200, b""


def together(body, n):
    """n clients whose bodies are complete in the same moment but for their last byte, which then comes."""
    def act(proxy, origin):
        origin.answer = OK
        clients = [scripted.Client(proxy.port) for _ in range(n)]
        whole = request(body)
        for client in clients:
            client.s.sendall(whole[:-1])
        time.sleep(0.3)
        for client in clients:
            client.s.sendall(whole[-1:])
        found = [client.answer() for client in clients]
        for client in clients:
            client.s.close()
        return next((f for f in found if f[0] != 200), found[0])
    return act


def connections(wait_s):
    """2,000 connections at once, and their end: by the clients, or by the clock for those who rest."""
    def act(proxy, origin):
        origin.answer = OK
        sockets = [socket.create_connection(("127.0.0.1", proxy.port), 10) for _ in range(2000)]
        time.sleep(wait_s)
        for s in sockets:
            s.close()
        time.sleep(EBB_S)
        return 200, b""
    return act


def crowd(proxy, origin):
    """2,000 streams that begin together, and end together; the memory that they took goes back."""
    origin.answer = events([EVENT % text(2000)], STOP)
    clients = [scripted.Client(proxy.port) for _ in range(2000)]
    for client in clients:
        client.s.sendall(request(STREAM_BODY))
    found = [client.answer() for client in clients]
    for client in clients:
        client.s.close()
    time.sleep(EBB_S)
    return next((f for f in found if f[0] != 200), found[0])


# From a client, then from a provider. All but the last line of the first half are legal.
INPUTS = {
    "a small request": one_ask(SMALL_BODY),
    "body of 20 MB": one_ask(large_body(20 << 20)[0]),
    "body of 1 MiB, one long text": one_ask(large_body(NEAR - 100)[0]),
    "body of 1 MiB, 34,000 messages": one_ask(many_messages()),
    "body of 1 MiB, escapes": one_ask(chat(b"x", escapes)),
    "body of 1 MiB, numbers": one_ask(chat(b"x", lambda n: many(b"1.5e3", n))),
    "body of 1 MiB, 87,000 members": one_ask(chat(b"x", members)),
    "body of 1 MiB, nested 60 deep": one_ask(chat(b"x", deep)),
    "60 KB of headers": one_ask(SMALL_BODY, headers=many_headers()),
    "1,000 requests pipelined": pipelined,
    "32 bodies of 1 MiB together": together(many_messages(), 32),
    "2,000 connections at once": connections(0.2),
    "2,000 connections that rest too long": connections(IDLE_S + 1),
    "2,000 streams that come and go at once": crowd,
    "37 MB of 4,000 messages that are renamed": one_ask(developers(4000, 9200)),
    "37 MB of messages to rename, refused": one_ask(developers(1100000, 1), status=400),
    "answer of 20 MB": one_ask(SMALL_BODY, plain(REPLY % text(20 << 20))),
    "answer of 1 MiB, 13,000 choices": one_ask(SMALL_BODY, plain(many_choices_answer())),
    "60 KB of headers of an answer": one_ask(SMALL_BODY, wide_head()),
    "event of 1 MB": one_ask(STREAM_BODY, events([EVENT % text(1 << 20)], STOP)),
    "event of 7 MB": one_ask(STREAM_BODY, events([EVENT % text(7 << 20)], STOP)),
    "event with 10,000 choices": one_ask(STREAM_BODY, events(
        [b'data: {"choices":[%s]}\n\n' % b",".join(choices(10000))], STOP)),
    "usage of 500 KB": one_ask(STREAM_BODY, events([EVENT % b"a", STOP], usage_event())),
    "100,000 tiny events in few reads": one_ask(STREAM_BODY, events([TINY * 1000] * 100, STOP)),
    "100,000 tiny events, one per send": one_ask(STREAM_BODY, events([TINY] * 100000, STOP)),
    "140,000 chunks of one byte": one_ask(STREAM_BODY, small_chunks()),
    "a line of 30 KB byte by byte": one_ask(STREAM_BODY, slow_line()),
}


def held_ms(proxy):
    with urllib.request.urlopen(f"http://127.0.0.1:{proxy.admin_port}/metrics", timeout=10) as page:
        found = re.findall(r"^tidegate_loop_held_seconds_max\S* (\S+)$", page.read().decode(), re.M)
    return max(map(float, found)) * 1000


def measure(args, names):
    """Runs the part; returns its budgets and everything that was found."""
    if "tidegate" not in names:
        return [], {}
    origin = scripted.Origin()
    found, troubles = {}, []
    with Rig(args.tidegate, access_log=args.access_log == "on") as rig:
        rig.origin_port = origin.port
        print(f"\n{'longest hold of the loop, ms':46}{'smallest':>12}{'median':>12}")
        for what, act in INPUTS.items():
            tries = []
            for _ in range(args.rounds or (QUICK_TRIES if args.quick else TRIES)):
                origin.answer = scripted.READY
                proxy = Proxy("tidegate-held", rig)
                status, _ = act(proxy, origin)
                tries.append(held_ms(proxy))
                proxy.stop()
                if status != 200:
                    troubles.append(f"{what}: status {status}")
            found[what] = sorted(tries)
            print(f"{what:46}{min(tries):12.2f}{found[what][len(tries) // 2]:12.2f}", flush=True)
    origin.close()
    worst = max(found, key=lambda what: found[what][0])
    value = found[worst][0]
    return [Budget(f"longest hold of the loop ({worst})", f"<= {LIMIT_MS} ms", f"{value:.1f} ms",
                   value <= LIMIT_MS)], {"held_ms": found, "troubles": troubles}
