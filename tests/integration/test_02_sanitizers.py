# SPDX-License-Identifier: MIT
"""That a sanitizer's report fails a test: a program with a race, or an error of memory, is built as the
Makefile builds ours and watched as the tests watch ours."""
import os
import pathlib
import subprocess

import pytest

from kit import process

RACE = '''#include <pthread.h>
static int shared;
static void *touch(void *unused) { for (int i = 0; i < 100000; i++) shared++; return unused; }
int main(void) {
    pthread_t other;
    pthread_create(&other, 0, touch, 0);
    touch(0);
    pthread_join(other, 0);
    return 0;
}
'''
OVERRUN = '''#include <stdlib.h>
int main(int n, char **v) { char *p = malloc(4); p[n + 3] = **v; return 0; }
'''
LEAK = '''#include <stdlib.h>
int main(int n, char **v) { v[0] = malloc((size_t)n * 100); v[0] = 0; return 0; }
'''
SHIFT = 'int main(int n, char **v) { return v[0] && (n << (n + 31)) == 5; }\n'
FLAGS = {'thread': '-fsanitize=thread', 'address': '-fsanitize=address,undefined'}


def flavour():
    program = pathlib.Path(process.PROGRAM).read_bytes()
    return 'thread' if b'__tsan_init' in program else 'address' if b'__asan_init' in program else None


@pytest.mark.parametrize('san, source', [('thread', RACE), ('address', OVERRUN), ('address', LEAK),
                                         ('address', SHIFT)],
                         ids=['race', 'overrun', 'leak', 'shift'])
def test_a_report_is_trouble(tmp_path, san, source):
    text, program = tmp_path / 'a.c', tmp_path / 'a.out'
    text.write_text(source)
    subprocess.run(
        ['cc', '-g', '-O0', '-pthread', FLAGS[san], '-fno-sanitize-recover=undefined', '-o', program, text],
        check=True)
    options = {'thread': 'TSAN_OPTIONS', 'address': 'ASAN_OPTIONS'}[san]
    env = process.environment(**({} if flavour() == san else {options: 'halt_on_error=1'}))
    watched = process.Process(tmp_path, 'watched', [program], env)
    watched.child.wait(60)
    trouble = '\n'.join(watched.trouble())
    assert 'ended with' in trouble and ('Sanitizer' in trouble or 'runtime error' in trouble), watched.tail()


def test_a_race_ends_the_program_under_test():
    if flavour() != 'thread':
        pytest.skip('the program was not built with SAN=thread')
    assert 'halt_on_error=1' in os.environ.get('TSAN_OPTIONS', ''), 'the Makefile sets it'
