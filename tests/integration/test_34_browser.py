# SPDX-License-Identifier: MIT
"""A page of another origin in a real browser: Chromium decides what its scripts may send and see (CORS)."""
import json
import os
import shutil
import subprocess
import threading

import pytest

from kit import config
from kit.origin import Origin, response

CHROMIUM = shutil.which('chromium')
pytestmark = pytest.mark.skipif(not CHROMIUM, reason='no Chromium here: tools/test_deps.sh --browser')

# Every probe is one fetch; what came of it goes back to the page's own origin.
PAGE = '''<!doctype html><script>
const probes = PROBES;
async function probe(p) {
  try {
    const r = await fetch(p.url, {method: p.method || 'POST', headers: p.headers, body: p.body});
    const seen = {};
    for (const [name, value] of r.headers) seen[name] = value;
    return {status: r.status, headers: seen, body: await r.text()};
  } catch (e) {
    return {failed: e.name};
  }
}
(async () => {
  const results = [];
  for (const p of probes) results.push(await probe(p));
  await fetch('/results', {method: 'POST', body: JSON.stringify(results)});
})();
</script>'''

SDK = {'content-type': 'application/json', 'x-stainless-lang': 'js', 'x-stainless-retry-count': '0',
       'x-tidegate-priority': 'normal'}
BEARER = {**SDK, 'authorization': 'Bearer sk-web'}
ASK = {'model': 'sim~tokens=3', 'messages': [{'role': 'user', 'content': 'Tell me of the tide.'}]}


class Browser:
    """Opens a page that runs the probes, and waits for what they saw."""
    def __init__(self, folder):
        self.folder, self.page, self.results = folder, '', None
        self.came = threading.Event()
        self.origin = Origin(self.answer)

    def answer(self, peer, request):
        if request.method == 'POST':
            self.results = request.json()
            self.came.set()
            return response({})
        return response(self.page.encode(), kind='text/html')

    def run(self, probes):
        self.page = PAGE.replace('PROBES', json.dumps(probes))
        argv = [CHROMIUM, '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
                '--no-first-run', f'--user-data-dir={self.folder}/profile', self.origin.root + '/']
        with open(self.folder / 'chromium.log', 'wb') as log:
            browser = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True,
                                       env={**os.environ, 'HOME': str(self.folder)})
        try:
            came = self.came.wait(180)
        finally:
            os.killpg(browser.pid, 9)  # the session that was made for it
            browser.wait()
        assert came, (self.folder / 'chromium.log').read_text(errors='replace')[-2000:]
        return self.results


@pytest.fixture
def browser(tmp_path):
    b = Browser(tmp_path)
    yield b
    b.origin.close()


def test_what_a_page_may_send_and_see(browser, gateway, simulator):
    sim = simulator()
    keys = [{'name': 'web', 'key': 'sk-web'}]
    gw = gateway(config.whole(sim, keys=keys, cors={'origins': [browser.origin.root]}))
    closed = gateway(config.whole(sim, keys=keys))
    other = gateway(config.whole(sim, keys=keys, cors={'origins': ['https://app.example.com']}))
    open_ = gateway(config.whole(sim, keys=keys, cors={'origins': ['*']}))

    def chat(to, headers=BEARER, **more):
        return {'url': to.v1 + '/chat/completions', 'headers': headers, 'body': json.dumps({**ASK, **more})}
    plain, stream, wrong, models, missing, no, other_page, any_page = browser.run([
        chat(gw), chat(gw, stream=True), chat(gw, {**SDK, 'authorization': 'Bearer sk-wrong'}),
        {'url': gw.v1 + '/models', 'method': 'GET', 'headers': BEARER},
        {'url': gw.v1 + '/messages', 'body': '{}',
         'headers': {**SDK, 'x-api-key': 'sk-web', 'anthropic-version': '2023-06-01'}},
        chat(closed), chat(other), chat(open_)])
    assert plain['status'] == 200 and json.loads(plain['body'])['choices'][0]['finish_reason'] == 'stop'
    assert plain['headers']['x-request-id'].startswith('req_')
    assert plain['headers']['x-tidegate-endpoint'] == 'up'
    assert stream['status'] == 200 and stream['body'].endswith('data: [DONE]\n\n')
    assert wrong['status'] == 401 and json.loads(wrong['body'])['error']['code'] == 'invalid_api_key'
    assert wrong['headers']['x-should-retry'] == 'false'
    assert models['status'] == 200 and json.loads(models['body'])['object'] == 'list'
    assert missing['status'] == 400 and json.loads(missing['body'])['error']['code'] == 'model_required'
    assert no == other_page == {'failed': 'TypeError'}, 'the browser keeps the answer from the page'
    assert any_page['status'] == 200
