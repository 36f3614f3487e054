# SPDX-License-Identifier: MIT
"""Every checker of `make check` finds a planted violation where it is, and finds none in a clean tree."""
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPDX = '/* SPDX-License-Identifier: MIT */\n'


def run(*command, cwd=None):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def tree(tmp_path):
    """A tree with one clean file in several folders; plant(path, text) adds one more."""
    def plant(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return path
    plant.root = tmp_path
    plant('src/base/slice.c', SPDX + '#include "base/slice.h"\n#include <yyjson.h>\n')
    plant('src/io/loop.c', SPDX + '#include "base/slice.h"\n#include <sys/epoll.h>\n')
    plant('src/policy/retry.c', SPDX + '/* the time() is an argument */\n#include "config/config.h"\n')
    plant('src/main.c', SPDX + '#include "cmd/serve.h"\n')
    return plant


def layers(tree):
    return run(ROOT / 'tools/layers.sh', tree.root)


def style(tree):
    return run(ROOT / 'tools/style.sh', tree.root)


def test_a_clean_tree_has_nothing_to_complain_about(tree):
    assert layers(tree) == (0, '')
    assert style(tree) == (0, '')


@pytest.mark.parametrize('path, line, complaint', [
    ('src/base/x.c', '#include "io/loop.h"', 'base may not include io'),
    ('src/config/x.c', '#include "io/loop.h"', 'config may not include io'),
    ('src/http/x.h', '#include "llm/chat.h"', 'http may not include llm'),
    ('src/upstream/x.c', '#include "config/config.h"', 'upstream may not include config'),
    ('src/llm/x.c', '#include "policy/line.h"', 'llm may not include policy'),
    ('src/policy/x.c', '#include "shared/room.h"', 'policy may not include shared'),
    ('src/shared/x.c', '#include "io/loop.h"', 'shared may not include io'),
    ('src/gateway/x.c', '#include "rehearse/world.h"', 'gateway may not include rehearse'),
    ('src/gateway/x.c', '#include "sim/sim.h"', 'gateway may not include sim'),
    ('src/sim/x.c', '#include "upstream/call.h"', 'sim may not include upstream'),
    ('src/sim/x.c', '#include "gateway/app.h"', 'sim may not include gateway'),
    ('src/rehearse/x.c', '#include "cmd/serve.h"', 'rehearse may not include cmd'),
    ('src/main.c', '#include "io/loop.h"', 'main may not include io'),
    ('src/io/x.c', '#include "loop.h"', 'without its folder'),
    ('src/llm/x.c', '#include <yyjson.h>', '<yyjson.h> is at home in (base)'),
    ('src/llm/x.c', '#include <xxhash.h>', '<xxhash.h> is at home in (base)'),
    ('src/cmd/x.c', '#include <yaml.h>', '<yaml.h> is at home in (config)'),
    ('src/gateway/x.c', '#  include <sys/epoll.h>', '<sys/epoll.h> is at home in (io)'),
    ('src/http/x.c', '#include <sys/socket.h>', '<sys/socket.h> is at home in (io)'),
    ('src/http/x.c', '#include <netinet/tcp.h>', '<netinet/tcp.h> is at home in (io)'),
    ('src/upstream/x.c', '#include <ares.h>', '<ares.h> is at home in (io)'),
    ('src/upstream/x.c', '#include <openssl/ssl.h>', '<openssl/ssl.h> is at home in (io)'),
    ('src/sim/x.c', '#include <llhttp.h>', '<llhttp.h> is at home in (http)'),
    ('src/policy/x.c', 'int64_t now = time(NULL);', 'policy is pure, but calls time()'),
    ('src/policy/x.c', 'clock_gettime(CLOCK_MONOTONIC, &t);', 'policy is pure, but calls clock_gettime()'),
    ('src/policy/x.c', 'int dice = rand();', 'policy is pure, but calls rand()'),
])
def test_layers_finds(tree, path, line, complaint):
    tree(path, SPDX + '/* the violation\n   follows */\n' + line + '\n')
    status, said = layers(tree)
    assert status == 1
    assert re.match(re.escape(f'{path}:4: ') + '.*' + re.escape(complaint), said)


def test_layers_finds_a_folder_that_nobody_planned(tree):
    tree('src/odd/x.c', SPDX + 'int x;\n')
    assert layers(tree) == (1, 'src/odd/x.c:2: folder src/odd is not in the table of layers\n')


def test_layers_lets_shared_include_the_mailbox_only(tree):
    tree('src/shared/room.c', SPDX + '#include "io/mailbox.h"\n#include "policy/line.h"\n')
    assert layers(tree) == (0, '')


@pytest.mark.parametrize('line, complaint', [
    ('\tint x;', 'tab'),
    ('int x; ', 'space at the end'),
    ('int ' + 'x' * 110 + ';', '115 columns'),
    ('/* TODO: the rest */', '"TODO" promises later work'),
    ('/* good enough for now */', '"for now" promises later work'),
    ('sprintf(out, "%d", n);', 'sprintf() is banned'),
    ('n = atoi(text);', 'atoi() is banned'),
    ('strcpy (out, in);', 'strcpy() is banned'),
    ('char *p = malloc(n);', 'malloc() is banned outside src/base'),
    ('free(p);', 'free() is banned outside src/base'),
    ('typedef struct line line_t;', 'typedef hides'),
])
def test_style_finds(tree, line, complaint):
    path = tree('src/http/x.c', SPDX + '\n' + line + '\n')
    status, said = style(tree)
    assert status == 1
    assert said.startswith(f'{path}:3: ') and complaint in said


@pytest.mark.parametrize('line', [
    'snprintf(out, n, "%d", i);',
    'h->free(p); mem_free(&p); /* free(p) */',
    'log("malloc(n) sprintf(x)", \'"\', "\\"");',
    'char const_u[] = "' + 'ü' * 88 + '";',
    'typedef void (*on_done)(void *arg);',
    '#include "http/malloc.h"',
])
def test_style_accepts(tree, line):
    tree('src/http/x.c', SPDX + line + '\n')
    assert style(tree) == (0, '')


def test_style_finds_long_files_and_missing_licences(tree):
    tree('src/http/long.c', SPDX + '\n' * 500)
    tree('tools/x.sh', '#!/bin/sh\necho\n')
    status, said = style(tree)
    assert status == 1
    assert 'src/http/long.c:501: the file is longer than 500 lines' in said
    assert 'tools/x.sh:1: the first line must be the SPDX line' in said


@pytest.mark.parametrize('allocation', ['malloc(n)', 'free(p)'])
def test_style_lets_base_and_tests_allocate(tree, allocation):
    tree('src/base/mem.c', SPDX + allocation + ';\n')
    tree('tests/unit/base/mem_test.c', SPDX + allocation + ';\n')
    assert style(tree) == (0, '')


ERRORS_DEF = SPDX + textwrap.dedent('''\
    /* Failures.
     * columns: name, status, type, code, should_retry, text, advice */
    /* -- what the client sent ---------- */
    ERR(BAD, 400, "invalid_request_error", "bad_request", RETRY_NO,
        "It is (badly) formed, "
        "say \\"x\\".", "Mend it | all.")
    ''')


def docs(tree, *args):
    return run(sys.executable, ROOT / 'tools/docs.py', '--root', tree.root, *args)


def test_docs_writes_a_page_and_agrees_with_it(tree):
    tree('src/base/errors.def', ERRORS_DEF)
    assert docs(tree) == (0, 'wrote docs/errors.md\n')
    page = (tree.root / 'docs/errors.md').read_text()
    row = '| no | It is (badly) formed, say "x". | Mend it \\| all. |'
    assert '| `bad_request` | 400 | `invalid_request_error` ' + row in page
    assert '## What the client sent' in page
    assert docs(tree, '--check') == (0, '')


def test_docs_finds_drift(tree):
    tree('src/base/errors.def', ERRORS_DEF)
    docs(tree)
    page = tree.root / 'docs/errors.md'
    lines = page.read_text().splitlines()
    row = next(i for i, text in enumerate(lines) if '`bad_request`' in text)
    tree('src/base/errors.def', ERRORS_DEF.replace('400', '422'))
    status, said = docs(tree, '--check')
    assert status == 1
    assert said.startswith(f'docs/errors.md:{row + 1}: differs from its table')


@pytest.mark.parametrize('table, complaint', [
    (ERRORS_DEF.replace(', RETRY_NO', ''), 'src/base/errors.def:5: 6 values for 7 columns'),
    (ERRORS_DEF.replace('columns', 'rows'), 'src/base/errors.def:1: no comment names the columns'),
    (ERRORS_DEF.rstrip()[:-1], 'src/base/errors.def:5: ERR( is never closed'),
])
def test_docs_finds_broken_tables(tree, table, complaint):
    tree('src/base/errors.def', table)
    status, said = docs(tree, '--check')
    assert status == 1 and said.startswith(complaint)


needs_clang = pytest.mark.skipif(not shutil.which('clang-format-14') or not shutil.which('clang-tidy-14'),
                                 reason='clang-format-14 and clang-tidy-14 are for `make check` only: '
                                        'tools/test_deps.sh --check installs them')


@needs_clang
def test_format_finds_a_misplaced_brace(tree):
    shutil.copy(ROOT / '.clang-format', tree.root)
    good = tree('src/io/good.c', SPDX + 'int one(void)\n{\n    return 1;\n}\n')
    bad = tree('src/io/bad.c', SPDX + 'int one(void) {\n    return 1;\n}\n')
    assert run('clang-format-14', '--dry-run', '-Werror', good, cwd=tree.root) == (0, '')
    status, said = run('clang-format-14', '--dry-run', '-Werror', bad, cwd=tree.root)
    assert status != 0 and f'{bad}:2:' in said


@needs_clang
@pytest.mark.parametrize('body, complaint', [
    ('    int *p = 0;\n    return *p;\n', 'clang-analyzer-core.NullDereference'),
    ('    int n = 0;\n' + '    n++;\n' * 60 + '    return n;\n', 'readability-function-size'),
    ('    int n = 3;\n    if (n > 1)\n        ;\n    return n;\n', 'bugprone-suspicious-semicolon'),
])
def test_tidy_finds(tree, body, complaint):
    shutil.copy(ROOT / '.clang-tidy', tree.root)
    bad = tree('src/io/bad.c', SPDX + 'int one(void);\nint one(void)\n{\n' + body + '}\n')
    status, said = run('clang-tidy-14', '--quiet', bad, '--', '-std=gnu11', cwd=tree.root)
    assert status != 0 and f'{bad}:' in said and complaint in said


def test_a_test_that_checks_nothing_fails(tmp_path):
    """tap.h itself: what passes, what fails, what is counted, and the guard page."""
    (tmp_path / 'x.c').write_text(SPDX + textwrap.dedent('''\
        #include "tap.h"
        TEST(good) { CHECK(1 < 2); CHECK_INT(3, 3); CHECK_STR("a", "a"); CHECK_MEM("ab", 2, "ab", 2); }
        TEST(checks_nothing) { }
        TEST(bad_int) { CHECK_INT(2 + 2, 5); }
        TEST(bad_str) { CHECK_STR("a\\nok 9 - lie", "b"); CHECK_STR(NULL, ""); }
        TEST(inside) { char *g = tap_guard("abc", 3); CHECK_INT(g[2], 'c'); tap_guard_free(g, 3); }
        TEST(outside) { char *g = tap_guard("abc", 3); volatile char c = g[3]; CHECK(c == 0); }
        '''))
    status, said = run('cc', '-std=gnu11', f'-I{ROOT}/tests', '-o', 'x', 'x.c', cwd=tmp_path)
    assert status == 0, said
    status, said = run(tmp_path / 'x', 'good', 'checks_nothing', 'bad_int', 'bad_str', 'inside')
    assert status == 1
    assert [line for line in said.splitlines() if not line.startswith('#')] == [
        '1..5', 'ok 1 - good', 'not ok 2 - checks_nothing', 'not ok 3 - bad_int', 'not ok 4 - bad_str',
        'ok 5 - inside']
    assert 'x.c:5: does not hold: 2 + 2\n#   got 4, want 5' in said
    assert run(tmp_path / 'x', 'outside')[0] < 0
    assert run(tmp_path / 'x', 'no_such_test')[0] == 1


def test_the_sum_of_a_run_is_right(tmp_path):
    """steps.sh: counts of prove and pytest, a step that fails without a count, and the exit status."""
    (tmp_path / 'prove').write_text(
        'a_test (Wstat: 256 (exited 1) Tests: 4 Failed: 2)\n'
        'b_test (Wstat: 11 (Signal: SEGV) Tests: 3 Failed: 0)\n'
        'Files=3, Tests=20,  1 wallclock secs ( 0.04 usr +  0.01 sys =  0.05 CPU)\n')
    (tmp_path / 'pytest').write_text('1 failed, 7 passed, 2 skipped, 1 error in 3.21s\n')

    def bash(*steps):
        head = f'set -euo pipefail; . {ROOT}/tools/steps.sh'
        return run('bash', '-c', '\n'.join([head, *steps, 'finish']))

    status, said = bash(f'step 9 unit cat {tmp_path}/prove', f'step 9 pytest cat {tmp_path}/pytest',
                        'step 9 build true', 'step 9 broken false', 'step 1 hung sleep 8')
    assert (status, said.splitlines()[-2:]) == (1, ['2 skipped, named above', '26 passed, 7 failed'])
    assert 'hung: not done after 1 s' in said
    status, said = bash('step 9 build true')
    assert (status, said.splitlines()[-1]) == (0, '1 passed, 0 failed')
    status, said = bash()
    assert (status, said.splitlines()[-1]) == (1, '0 passed, 0 failed')
