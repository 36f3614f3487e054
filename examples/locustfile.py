# SPDX-License-Identifier: MIT
"""Locust drives the gateway: streamed chat completions, with the time to the first token as a row of its own.

    pip install locust
    locust -f examples/locustfile.py --headless -u 20 -r 5 -t 1m --host http://127.0.0.1:8080

TIDEGATE_KEY is sent as the API key, TIDEGATE_MODEL is the model that is asked for.
"""
import itertools
import json
import os
import time

from locust import HttpUser, constant_pacing, task

KEY = os.environ.get('TIDEGATE_KEY')
MODEL = os.environ.get('TIDEGATE_MODEL', 'sim')
NUMBERS = itertools.count()


class Chat(HttpUser):
    wait_time = constant_pacing(1)  # one request a second and user, if the last one has been answered

    @task
    def stream(self):
        body = {'model': MODEL, 'stream': True, 'max_tokens': 50,
                'messages': [{'role': 'user', 'content': f'{os.getpid()}-{next(NUMBERS)}: why does the tide turn?'}]}
        headers = {'authorization': f'Bearer {KEY}'} if KEY else {}
        began = time.perf_counter()
        with self.client.post('/v1/chat/completions', json=body, headers=headers, stream=True,
                              name='chat', catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure(f'{answer.status_code} {answer.text[:200]}')
                return
            trouble = self.read(answer, began)
            if trouble:
                answer.failure(trouble)

    def read(self, answer, began):
        """What is wrong with a stream, or nothing. One that ends without [DONE] was cut short."""
        first, done = None, False
        for line in answer.iter_lines():  # to the end, so that the connection can be used again
            if done or not line.startswith(b'data: '):
                continue  # comments say that the request waits
            if line == b'data: [DONE]':
                done = True
                continue
            event = json.loads(line[6:])
            if event.get('error'):
                return str(event['error'].get('code'))
            if first is None and any(c['delta'].get('content') for c in event['choices']):
                first = time.perf_counter()
                self.environment.events.request.fire(
                    request_type='TTFT', name='chat', response_time=(first - began) * 1000,
                    response_length=0, exception=None, context={})
        if not done:
            return 'no [DONE]'
        return None if first else 'empty'
