#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs fuzz targets for a time each and prints what came of it as a table: executions, coverage, findings.

    tests/fuzz/run.py libfuzzer|afl [--time 20m] [--jobs N] [--keep] [TARGET...]
    tests/fuzz/run.py coverage [TARGET...]

The table is also written to build/fuzz-work/report.libfuzzer or report.afl, with the revision. coverage: the
lines of each source file that committed and gathered inputs reach.

New inputs gather in build/fuzz-work/. --keep: afterwards the committed corpus of each target
(tests/fuzz/corpus/) is made anew, as a small part of old and new inputs that reaches every edge of the code
that they reach together. What broke a target is left in build/fuzz-work/findings/; put it into
tests/fuzz/regress/TARGET/ with the mend."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / 'build' / 'fuzz-work'
CORPUS = ROOT / 'tests' / 'fuzz' / 'corpus'
REGRESS = ROOT / 'tests' / 'fuzz' / 'regress'
DICT = ROOT / 'tests' / 'fuzz' / 'dict'
INPUT_MAX = 65536
KEPT_MAX = 8192  # bytes of an input in the committed corpus
CAUGHT = {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT, 'text': True, 'errors': 'replace',
          'cwd': ROOT}


# The sources that read strange bytes.
READERS = ['src/base/json*.c', 'src/config/*.c', 'src/http/*.c', 'src/io/addr.c', 'src/io/proxy_header.c',
           'src/llm/*.c', 'src/sim/timeline.c']


def duration(text):
    match = re.fullmatch(r'(\d+)([smh]?)', text)
    if not match:
        raise argparse.ArgumentTypeError('a time is like 90, 90s, 20m or 1h')
    return int(match[1]) * {'': 1, 's': 1, 'm': 60, 'h': 3600}[match[2]]


def names():
    return sorted(p.name[:-len('_fuzz.c')] for p in (ROOT / 'tests' / 'fuzz').glob('*_fuzz.c'))


def program(flavour, name):
    return ROOT / 'build' / flavour / 'tests' / 'fuzz' / f'{name}_fuzz'


def sanitizers():
    options = 'abort_on_error=1:symbolize=1:detect_stack_use_after_return=1:allocator_may_return_null=1'
    return {**os.environ, 'ASAN_OPTIONS': options, 'UBSAN_OPTIONS': 'print_stacktrace=1:halt_on_error=1'}


def folder(*parts):
    path = WORK.joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


def dictionary(name):
    path = DICT / f'{name}.dict'
    return path if path.exists() else None


def libfuzzer(name, seconds):
    found = folder('findings')
    inputs = [p for p in (CORPUS / name, REGRESS / name) if p.exists()]
    words = dictionary(name)
    run = subprocess.run(
        [program('fuzz', name), folder('corpus', name), *inputs,
         f'-max_total_time={seconds}', f'-max_len={INPUT_MAX}', '-timeout=20', '-rss_limit_mb=2048',
         '-print_final_stats=1', f'-artifact_prefix={found}/{name}-', *([f'-dict={words}'] if words else [])],
        env=sanitizers(), **CAUGHT)
    folder('log').joinpath(f'{name}.libfuzzer').write_text(run.stdout)
    stats = dict(re.findall(r'^stat::(\w+):\s+(\d+)', run.stdout, re.M))
    covered = re.findall(r'cov: (\d+) ft: (\d+) corp: (\d+)', run.stdout)
    cov, features, corpus = covered[-1] if covered else ('?', '?', '?')
    return [name, stats.get('number_of_executed_units', '?'), cov, features, corpus,
            'none' if run.returncode == 0 else 'FOUND, see build/fuzz-work']


def afl(name, seconds):
    out, seeds = folder('afl', name), folder('seeds', name)
    for source in (CORPUS / name, REGRESS / name):
        for path in source.glob('*') if source.exists() else ():
            if path.stat().st_size <= KEPT_MAX:
                shutil.copy(path, seeds / path.name)
    words = dictionary(name)
    env = {**sanitizers(), 'AFL_NO_UI': '1', 'AFL_SKIP_CPUFREQ': '1', 'AFL_NO_AFFINITY': '1',
           'AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES': '1', 'AFL_AUTORESUME': '1',
           'ASAN_OPTIONS': 'abort_on_error=1:symbolize=0:detect_leaks=0:allocator_may_return_null=1'}
    run = subprocess.run(['afl-fuzz', '-i', seeds, '-o', out, '-m', 'none', '-t', '5000+', '-V', str(seconds),
                          *(['-x', words] if words else []), '--', program('afl', name)], env=env, **CAUGHT)
    folder('log').joinpath(f'{name}.afl').write_text(run.stdout)
    stats = out / 'default' / 'fuzzer_stats'
    if not stats.exists():
        return [name, '?', '?', '?', '?', 'DID NOT RUN, see build/fuzz-work/log']
    said = dict(re.findall(r'^(\w+)\s*: (.*)$', stats.read_text(), re.M))
    for path in (out / 'default' / 'queue').glob('id*'):
        shutil.copy(path, folder('corpus', name) / f'afl-{path.name.split(",")[0][3:]}')
    broken = [p for kind in ('crashes', 'hangs') for p in (out / 'default' / kind).glob('id*')]
    for path in broken:
        number = path.name.split(',')[0][3:]
        shutil.copy(path, folder('findings') / f'{name}-afl-{path.parent.name}-{number}')
    return [name, said.get('execs_done', '?'), said.get('edges_found', '?'), said.get('bitmap_cvg', '?'),
            said.get('corpus_count', '?'), f'FOUND {len(broken)}, see build/fuzz-work' if broken else 'none']


def keep(name):
    """The committed corpus anew: what is needed of old and new inputs, and small."""
    small = folder('small', name)
    for source in (WORK / 'corpus' / name, CORPUS / name):
        for path in source.glob('*') if source.exists() else ():
            if path.stat().st_size <= KEPT_MAX:
                shutil.copy(path, small / path.name)
    merged = WORK / 'merged' / name
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    argv = [program('fuzz', name), '-merge=1', '-use_counters=0', f'-max_len={KEPT_MAX}', merged, small]
    subprocess.run(argv, env=sanitizers(), check=True, **CAUGHT)
    shutil.rmtree(CORPUS / name, ignore_errors=True)
    (CORPUS / name).mkdir(parents=True)
    for path in merged.iterdir():
        shutil.copy(path, CORPUS / name / path.name[:12])


def coverage(targets):
    profiles = []
    for name in targets:
        profiles.append(folder('profiles') / f'{name}.raw')
        inputs = [p for p in (CORPUS / name, REGRESS / name, WORK / 'corpus' / name) if p.exists()]
        subprocess.run([program('coverage', name), *inputs], check=True, cwd=ROOT,
                       stdout=subprocess.DEVNULL, env={**os.environ, 'LLVM_PROFILE_FILE': str(profiles[-1])})
    merged = WORK / 'profiles' / 'all'
    subprocess.run(['llvm-profdata-14', 'merge', '-sparse', *profiles, '-o', merged], check=True)
    programs = [arg for name in targets for arg in ('-object', program('coverage', name))][1:]
    sources = [path for pattern in READERS for path in sorted(ROOT.glob(pattern))]
    said = subprocess.run(['llvm-cov-14', 'export', '-summary-only', f'-instr-profile={merged}', *programs,
                           *sources], check=True, **{**CAUGHT, 'stderr': subprocess.DEVNULL}).stdout
    print('| {:<28} | {:>5} | {:>7} | {:>6} |'.format('file', 'lines', 'reached', 'share'))
    for file in sorted(json.loads(said)['data'][0]['files'], key=lambda f: f['filename']):
        lines = file['summary']['lines']
        path = os.path.relpath(file['filename'], ROOT)
        print(f'| {path:<28} | {lines["count"]:>5} | {lines["covered"]:>7} | {lines["percent"]:>4.0f} % |')
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('fuzzer', choices=['libfuzzer', 'afl', 'coverage'])
    parser.add_argument('--time', type=duration, default=60)
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--keep', action='store_true')
    parser.add_argument('targets', nargs='*', metavar='TARGET')
    args = parser.parse_intermixed_args()
    targets = args.targets or names()
    if set(targets) - set(names()):
        parser.error(f'targets are: {", ".join(names())}')
    if args.fuzzer == 'coverage':
        return coverage(targets)
    one = libfuzzer if args.fuzzer == 'libfuzzer' else afl
    revision = subprocess.run(['git', 'describe', '--always', '--dirty'], **CAUGHT).stdout.strip()
    said = [f'{len(targets)} targets, {args.time} s each, {args.jobs} at a time, revision {revision}']
    print(said[0], flush=True)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        rows = list(pool.map(lambda name: one(name, args.time), targets))
    last = 'features' if args.fuzzer == 'libfuzzer' else 'of map'
    for row in [['target', 'executions', 'edges', last, 'corpus', 'findings'], *rows]:
        said.append('| {:<14} | {:>11} | {:>6} | {:>8} | {:>6} | {} |'.format(*row))
    print('\n'.join(said[1:]))
    folder().joinpath(f'report.{args.fuzzer}').write_text('\n'.join(said) + '\n')
    if args.keep:
        for name in targets:
            keep(name)
    return 1 if any(row[-1] != 'none' for row in rows) else 0


if __name__ == '__main__':
    sys.exit(main())
