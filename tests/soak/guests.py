# SPDX-License-Identifier: MIT
"""The clients of a soak that `tidegate load` does not play: all surfaces, mistakes, early leavers, slow
readers. Each judges its own answer: whole, or an error of the manual; what is neither is a lie."""
import json
import random
import re
import socket
import threading
import time

from kit import ROOT, http

KEY = {'Authorization': 'Bearer key-for-soak'}
LONG = 120  # seconds that any answer may take


def documented():
    return dict(re.findall(r'^\| `(\w+)` \| (\d+) \|', (ROOT / 'docs/errors.md').read_text(), re.MULTILINE))


class Lie(AssertionError):
    pass


class Guests:
    """`threads` of them, each with one visit after the other until `until`, but for `calm` times."""
    def __init__(self, at, until, seed, calm=None):
        self.at, self.until, self.codes = at, until, documented()
        self.calm, self.visits_n = calm or threading.Event(), 0
        self.ends, self.lies, self.lock = {}, [], threading.Lock()
        kinds = [
            self.plain, self.plain, self.stream, self.stream, self.mistake, self.leaver, self.slow, self.slow
        ]
        self.threads = [
            threading.Thread(target=self.live, args=(kind, random.Random(seed + i)), daemon=True)
            for i, kind in enumerate(kinds)
        ]
        for thread in self.threads:
            thread.start()

    def live(self, kind, dice):
        while time.monotonic() < self.until:
            if not self.begin():
                time.sleep(0.1)
                continue
            try:
                end = kind(dice)
            except Lie as lie:
                end = 'lie'
                with self.lock:
                    self.lies.append(f'{kind.__name__}: {lie}')
            except (OSError, http.Broken) as broken:
                end = f'{kind.__name__} broken ({type(broken).__name__})'
            with self.lock:
                self.ends[end] = self.ends.get(end, 0) + 1
                self.visits_n -= 1
            time.sleep(dice.expovariate(2))

    def begin(self):
        with self.lock:
            if self.calm.is_set():
                return False
            self.visits_n += 1
            return True

    def wait_calm(self, seconds):
        """Until all visits that had begun before the calm are over."""
        end = time.monotonic() + seconds
        while self.visits_n > 0:
            assert time.monotonic() < end, 'a guest did not come back'
            time.sleep(0.1)

    def join(self, seconds):
        for thread in self.threads:
            thread.join(seconds)
            assert not thread.is_alive(), 'a guest did not come back'

    # -- judging ---------------------------------------------------------------------------------------------

    def error_of(self, body, status=None):
        try:
            error = json.loads(body)['error']
        except (ValueError, KeyError, TypeError):
            raise Lie(f'no error object: {body[:300]!r}') from None
        code = error.get('code') or error.get('type')  # Anthropic's form has a type alone
        if 'code' in error and (code not in self.codes or status not in (None, int(self.codes[code]))):
            raise Lie(f'status {status} with {error}')
        return code

    def judge(self, answer, wants):
        """A plain answer."""
        if answer.status == 200:
            if wants not in answer.body:
                raise Lie(f'200 without {wants!r}: {answer.body[:300]!r}')
            return 'whole'
        return f'error {self.error_of(answer.body, answer.status)}'

    def judge_stream(self, body, whole, mark):
        """A streamed body, and whether its framing ended as it should."""
        if whole:
            if mark not in body:
                raise Lie(f'ended in order without {mark!r}: {body[-300:]!r}')
            return 'whole'
        said = [line for line in body.split(b'\n') if line.startswith(b'data: ')]
        if not said or b'"error"' not in said[-1]:
            raise Lie(f'broke off without a word: {body[-300:]!r}')
        return f'in-band {self.error_of(said[-1][6:])}'

    def read(self, wire, mark, pause=lambda n: None):
        """A streamed answer, or an error in its place."""
        status, headers = wire.head()
        if headers.get('content-type') != 'text/event-stream':
            return self.judge(http.Answer(status, headers, b''.join(wire.pieces(headers))), b'\0')
        body, whole = [], True
        try:
            for piece in wire.pieces(headers):
                body.append(piece)
                pause(len(piece))
        except http.Broken:
            whole = False
        return self.judge_stream(b''.join(body), whole, mark)

    # -- the kinds -------------------------------------------------------------------------------------------

    def model(self, dice):
        return dice.choice(['plain', 'solid', f'unique-{dice.getrandbits(64):x}'])

    def plain(self, dice):
        prompt, model = f'{dice.getrandbits(64):x} what does the tide do?', self.model(dice)
        if model == 'solid':  # an endpoint of it hangs at times: only streams notice
            model = 'plain'
        path, body, wants = dice.choice([
            ('/v1/chat/completions', http.chat_body(model, prompt, user=prompt[:16]), b'"content"'),
            ('/v1/completions', {
                'model': model,
                'prompt': prompt
            }, b'"text"'),
            ('/v1/embeddings', {
                'model': model,
                'input': [prompt, 'more']
            }, b'"embedding"'),
            ('/v1/responses', {
                'model': model,
                'input': prompt
            }, b'"output"'),
            ('/v1/messages', {
                'model': 'claude',
                'max_tokens': 30,
                'messages': [{
                    'role': 'user',
                    'content': prompt
                }]
            }, b'"content"'),
            ('/v1/models', None, b'"data"'),
        ])
        headers = {
            **KEY, 'x-request-id': f'guest-{dice.getrandbits(64):x}',
            'anthropic-version': '2023-06-01'
        }
        with http.Wire(self.at, LONG) as wire:
            for _ in range(dice.choice([1, 1, 1, 5])):  # also several on one connection
                end = self.judge(
                    wire.send(http.request('POST' if body else 'GET', path, body, headers)).answer(), wants)
                if end != 'whole':
                    break
        return f'plain {end}'

    def stream(self, dice):
        prompt = f'{dice.getrandbits(64):x} tell of the tide'
        path, body, mark = dice.choice([
            ('/v1/chat/completions', http.chat_body(self.model(dice), prompt, stream=True,
                                                    max_tokens=60), b'data: [DONE]'),
            ('/v1/completions', {
                'model': self.model(dice),
                'prompt': prompt,
                'stream': True
            }, b'data: [DONE]'),
            ('/v1/responses', {
                'model': 'solid',
                'input': prompt,
                'stream': True
            }, b'response.completed'),
            ('/v1/messages', {
                'model': 'claude',
                'max_tokens': 30,
                'stream': True,
                'messages': [{
                    'role': 'user',
                    'content': prompt
                }]
            }, b'message_stop'),
        ])
        with http.Wire(self.at, LONG) as wire:
            wire.send(http.request('POST', path, body, {**KEY, 'anthropic-version': '2023-06-01'}))
            return f'stream {self.read(wire, mark)}'

    def mistake(self, dice):
        good = http.request('POST', http.CHAT, http.chat_body('plain'), KEY)
        wrong = {'Authorization': f'Bearer {dice.getrandbits(128):x}'}
        data, status = dice.choice([
            (http.request('POST', http.CHAT, http.chat_body('plain'), wrong), 401),
            (http.request('POST', http.CHAT, b'{"model": "plain", ', KEY), 400),
            (http.request('POST', http.CHAT, b'\xff' * dice.randrange(1, 2000), KEY), 400),
            (http.request('GET', f'/v1/{dice.getrandbits(64):x}', None, KEY), 404),
            (http.request('PUT', http.CHAT, b'{}', KEY), 405),
            (http.request('POST', http.CHAT, http.chat_body('plain'), {
                **KEY, 'x': 'y' * 70000
            }), 431),
            (b'\x16\x03\x01' + dice.randbytes(300), 400),
            (good.replace(b'Content-Length: ', b'Content-Length: +'), 400),
            (good + good, 200),
        ])
        with http.Wire(self.at, LONG) as wire:
            try:
                wire.send(data)
            except OSError:
                pass  # it was refused before all of it was sent
            answer = wire.answer()
        if status == 200:
            return f'mistake {self.judge(answer, b"content")}'
        if answer.status != status:
            raise Lie(f'{answer.status} for {data[:80]!r}, should be {status}')
        return f'mistake {answer.status}'

    def leaver(self, dice):
        data = http.request(
            'POST', http.CHAT,
            http.chat_body(dice.choice(['solid', 'plain', 'rough']), f'{dice.getrandbits(64):x}',
                           stream=True), KEY)
        wire = http.Wire(self.at, LONG)
        wire.send(data[:dice.randrange(len(data))] if dice.random() < 0.3 else data)
        wire.socket.settimeout(dice.uniform(0.01, 1))
        try:
            wire.more()
        except (TimeoutError, socket.timeout):
            pass
        wire.reset() if dice.random() < 0.5 else wire.close()
        return 'left'

    def slow(self, dice):
        """Reads some 20 KB a second of a stream of two to four megabytes; half of them go before it ends."""
        leave_at, got = dice.choice([10**9, dice.randrange(200000)]), 0
        body = http.chat_body(f'big~size={dice.randrange(2000, 8000)},tokens=500,gap=1ms',
                              'slowly',
                              stream=True)
        with http.Wire(self.at, LONG) as wire:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            wire.send(http.request('POST', http.CHAT, body, KEY))

            def pause(n):
                nonlocal got
                got += n
                if got > leave_at:
                    raise BrokenPipeError
                time.sleep(n / 20000 if got < 400000 else 0)

            try:
                return f'slow {self.read(wire, b"data: [DONE]", pause)}'
            except BrokenPipeError:
                return 'slow left'
