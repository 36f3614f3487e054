#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the generated pages of the manual from the tables that the program is compiled from.

    docs.py [--root DIR]            writes the pages of docs/ that PAGES names
    docs.py --check [--root DIR]    writes nothing; complains as file:line: message where a page differs

A table is a .def file: rows that are macro calls with literals, a comment `columns: a, b, c` that names the
arguments, and optional comments `-- heading --` that divide the rows into sections.
"""
import argparse
import difflib
import pathlib
import re
import sys

TOKEN = re.compile(r'''(?P<comment>/\*.*?\*/|//[^\n]*) | (?P<directive>^[ \t]*\#(?:\\\n|[^\n])*)
    | (?P<string>"(?:\\.|[^"\\])*") | (?P<char>'(?:\\.|[^'\\])*') | (?P<space>\s+) | (?P<word>\w+)
    | (?P<other>.)''',
                   re.X | re.S | re.M)
ESCAPES = {'n': '\n', 't': '\t', 'r': '\r', '0': '\0'}


class TableError(Exception):
    def __init__(self, path, line, text):
        super().__init__(f'{path}:{line}: {text}')


class Row(dict):
    """One row: column name to value; a string literal becomes text, anything else stays as it is written."""
    line = 0
    section = ''


def unquote(literal):
    return re.sub(r'\\(.)', lambda m: ESCAPES.get(m.group(1), m.group(1)), literal[1:-1])


def value_of(tokens):
    """The value of one argument: adjacent string literals joined, or the source text of an expression."""
    kinds = {kind for kind, _ in tokens if kind != 'space'}
    if kinds and kinds <= {'string'}:
        return ''.join(unquote(text) for kind, text in tokens if kind == 'string')
    return ' '.join(''.join(text for _, text in tokens).split())


class Table:
    """One .def file: its columns, the notes on them ("column: text" in the same comment) and its rows."""
    @classmethod
    def load(cls, root, name, macro):
        self = cls()
        self.root, self.name, self.macro = root, name, macro
        self.columns, self.notes, self.rows, self.macros = [], {}, [], {}
        text = (root / name).read_text()
        for m in re.finditer(r'^#define (\w+)\((\w+)\)[ \t]+(.*)$', text, re.M):
            self.macros[m.group(1)] = (m.group(2), m.group(3))
        self.read(text)
        return self

    def read(self, text):
        section, words, line = '', [], 1
        depth, start, args = 0, 1, []    # of the row that is being read: its parentheses, line, arguments
        for m in TOKEN.finditer(text):
            kind, piece = m.lastgroup, m.group()
            here, line = line, line + piece.count('\n')
            if kind == 'comment':
                head = re.search(r'columns:((?:[ \t]*\w+[ \t]*,(?:\s*\*(?!/))?\s*)*[ \t]*\w+)', piece)
                title = re.match(r'/\*\s*--\s*(.*?)\s*-*\s*\*/', piece, re.S)
                if head and not self.columns:
                    self.columns = re.findall(r'\w+', head.group(1))
                    rest = re.sub(r'\n\s*\*(?!/)[ \t]*', '\n', piece[head.end():]).removesuffix('*/')
                    self.notes = {name: ' '.join(note.split()) for name, note in
                                  re.findall(r'^(\w+): (.*?)(?=^\w+: |\Z)', rest, re.M | re.S)}
                elif title:
                    section = title.group(1)
            elif kind == 'directive':
                continue
            elif depth == 0:
                if piece == '(' and words and words[-1] == self.macro:
                    depth, start, args = 1, here, [[]]
                elif kind != 'space':
                    words.append(piece)
            else:
                depth += (piece == '(') - (piece == ')')
                if depth == 0:
                    self.add([value_of(a) for a in args], start, section)
                    words = []
                elif depth == 1 and piece == ',':
                    args.append([])
                else:
                    args[-1].append((kind, piece))
        if depth:
            raise TableError(self.name, start, f'{self.macro}( is never closed')

    def add(self, values, line, section):
        if not self.columns:
            raise TableError(self.name, 1, 'no comment names the columns ("columns: a, b, c")')
        if len(values) != len(self.columns):
            raise TableError(self.name, line, f'{len(values)} values for {len(self.columns)} columns')
        row = Row(zip(self.columns, values))
        row.line, row.section = line, section
        self.rows.append(row)

    def number(self, row, column):
        """Evaluates an integer expression of C that uses the table's own one-argument macros."""
        text = row[column]
        for _ in range(8):
            before = text
            for name, (param, body) in self.macros.items():
                def expand(m, param=param, body=body):
                    return '(' + re.sub(r'\b%s\b' % param, m.group(1), body) + ')'
                text = re.sub(r'\b%s\(([^()]*)\)' % name, expand, text)
            text = re.sub(r'\bU?INT64_C\(([^()]*)\)', r'(\1)', text)
            if text == before:
                break
        text = re.sub(r'\b(\d+)[uUlL]+\b', r'\1', text)
        if not re.fullmatch(r'[\dxXa-fA-F()*/+<>\s-]+', text):
            raise TableError(self.name, row.line, f'cannot evaluate {column}: {row[column]}')
        return eval(text.replace('/', '//'), {'__builtins__': {}})  # digits and operators only: see above


def plain(text):
    return str(text).replace('|', '\\|').replace('\n', ' ')


def code(text):
    return f'`{plain(text)}`' if text != '' else ''


def grid(heads, rows):
    lines = ['| ' + ' | '.join(heads) + ' |', '|' + ' --- |' * len(heads)]
    return lines + ['| ' + ' | '.join(cells) + ' |' for cells in rows]


def sections(rows):
    """Rows grouped by the section comments, in the order of the table."""
    out = []
    for row in rows:
        if not out or out[-1][0] != row.section:
            out.append((row.section, []))
        out[-1][1].append(row)
    return out


def in_units(n, units):
    for size, unit in units:
        if n and n % size == 0:
            return f'{n // size}{unit}'
    return f'{n}{units[-1][1]}' if n else '0'


def quantity(kind, n):
    if kind == 'DURATION':
        units = [(3600_000000, 'h'), (60_000000, 'm'), (1_000000, 's'), (1000, 'ms'), (1, 'us')]
        return in_units(n, units) if n else '0s'
    if kind == 'SIZE':
        return in_units(n, [(1 << 40, 'TiB'), (1 << 30, 'GiB'), (1 << 20, 'MiB'), (1 << 10, 'KiB'), (1, 'B')])
    if kind == 'BOOL':
        return 'true' if n else 'false'
    return str(n)


def options(table):
    lines = ['Every option that has a default and bounds; every key of the file is in',
             '[reference.md](reference.md). A value outside its bounds and an unknown name are errors that',
             'name line and column. Durations and sizes carry a unit.']
    by_part = {}
    for row in table.rows:
        by_part.setdefault(row['path'].rpartition('.')[0], []).append(row)
    for part, rows in by_part.items():
        cells = []
        for row in rows:
            kind = row['kind'].removeprefix('OPT_')
            low, high, dflt = (quantity(kind, table.number(row, c)) for c in ('min', 'max', 'dflt'))
            cells.append([code(row['path'].rpartition('.')[2]), kind.lower(), dflt,
                          '' if kind == 'BOOL' else f'{low} to {high}', plain(row['doc'])])
        lines += ['', f'## {part}:' if part else '## Top level', '']
        lines += grid(['name', 'kind', 'default', 'bounds', 'what it sets'], cells)
    return lines


def metrics(table):
    lines = ['What `/metrics` shows, in the order of the table, in the Prometheus text format. A histogram',
             'is in seconds and has the usual `_bucket`, `_sum` and `_count`.', '']
    kinds = {'COUNTER': 'counter', 'GAUGE': 'gauge', 'GAUGE_SECONDS': 'gauge', 'SECONDS': 'histogram'}
    rows = []
    for row in table.rows:
        labels = [x.lower() for x in row['labels'].removeprefix('LABELS_').split('_') if x != 'NONE']
        kind = row['kind'].removeprefix('METRIC_')
        rows.append([code(row['full_name']), kinds.get(kind, kind.lower()), ', '.join(map(code, labels)),
                     plain(row['help'])])
    behind = ['', 'Behind them stand `tidegate_memory_budget_used_bytes` and',
              '`tidegate_memory_budget_limit_bytes` (of `limits.memory`), `tidegate_slots_used`,',
              '`tidegate_account_slots`, `tidegate_endpoint_well`, `tidegate_endpoint_openings_total`,',
              '`tidegate_build_info` (labels `version`, `revision`), and the usual `process_` metrics of',
              'CPU, memory and file descriptors.']
    return lines + grid(['name', 'kind', 'labels', 'help'], rows) + behind


def errors(table):
    lines = ['Every failure the gateway answers with, by its `code`. The body has the form of OpenAI\'s API:',
             '', '```json', '{"error": {"message": "...", "type": "...", "param": null, "code": "..."}}',
             '```', '',
             'In a stream whose head has gone out already, the same object comes as an event. "Retry" says',
             'whether the same request can succeed later; where it says no, the answer carries',
             '`x-should-retry: false`.']
    retry = {'RETRY_NO': 'no', 'RETRY_YES': 'yes', 'RETRY_UNSAID': ''}

    def cells(r):
        again = retry.get(r['should_retry'], r['should_retry'])
        return [code(r['code']), r['status'], code(r['type']), again,
                plain(r['text']), plain(r['advice'])]

    for title, rows in sections(table.rows):
        lines += ['', f'## {title[:1].upper()}{title[1:]}' if title else '', '']
        if all(row['status'] == '0' for row in rows):
            lines += ['They appear in log lines only.', '']
            lines += grid(['code', 'meaning'], [[code(r['code']), plain(r['text'])] for r in rows])
            continue
        lines += grid(['code', 'status', 'type', 'retry', 'meaning', 'what to do'], map(cells, rows))
    return lines


def outcomes(table):
    errors_by_name = {r['name']: r['code'] for r in Table.load(table.root, 'src/base/errors.def', 'ERR').rows}

    def cell(row, column):
        text = row[column]
        if column == 'doc':
            return plain(text)
        if column == 'err':
            return code(errors_by_name[text]) if text != 'OK' else ''
        text = {'true': 'yes', 'false': 'no', 'NOTHING': ''}.get(text, text)
        return code(text) if column == 'label' else plain(text)

    columns = ['label', 'doc'] + [c for c in table.columns if c not in ('name', 'label', 'doc')]
    heads = [{'label': 'outcome', 'doc': 'when'}.get(c, c) for c in columns]
    lines = ['How a call to an endpoint can end, and what follows. Everything that reacts to a failure reads',
             'its row; the codes are explained in [errors.md](errors.md).', '']
    lines += [f'* **{name}**: {text}' for name, text in table.notes.items() if name in columns] + ['']
    return lines + grid(heads, [[cell(row, c) for c in columns] for row in table.rows])


def headers(table):
    lines = ['Every header that passes the gateway, up to an endpoint and back down to the client. What is',
             'not in these tables does not pass. Names are compared without regard to case.', '']
    lines += [f'* **{name}**: {text}' for name, text in table.notes.items()]
    for title, rows in sections(table.rows):
        lines += ['', f'## {title[:1].upper()}{title[1:]}', '']
        lines += grid(['header', 'rule', 'what'],
                      [[code(r['name']), r['rule'], plain(r['doc'])] for r in rows])
    return lines


def sim_faults(table):
    values = {'NONE': '', 'K': '=K', 'TIME': '=TIME'}
    ways = {'CONNECT': 'listener, timeline, `--fault`', 'TLS': 'listener, timeline, `--fault`'}
    lines = ['How `tidegate sim` fails on demand; [sim.md](sim.md) is its manual. A fault can be asked for',
             'by the suffix of a model\'s name (`any~cut=5`), by listener (`--listen ADDR,fault=cut=5`), by',
             'a timeline (`at=30s for=10s fault=cut=5`), or by probability (`--fault cut=0.1`). What happens',
             'before a request is read cannot depend on its model. `=K`, tokens before it shows, and `=TIME`',
             'may be left out.']
    for title, rows in sections(table.rows):
        lines += ['', f'## {title[:1].upper()}{title[1:]}', '']
        cells = [[code(r['label'] + values[r['value']]), ways.get(r['phase'], 'all four'), plain(r['doc'])]
                 for r in rows]
        lines += grid(['name', 'asked for by', 'what happens'], cells)
    return lines


def turn(table):
    lines = ['Whatever a client or an endpoint sends, everybody else of the same worker waits until the turn',
             'of its loop is over. So each turn does no more than this, and what is left goes on in the',
             'next one, in its order. How long turns really were: `tidegate_loop_held_seconds_max` and',
             '`tidegate_loop_long_turns_total` in [metrics.md](metrics.md).', '',
             'Between two turns of nothing but events of streams under way, of which ten thousand a second',
             'or more come, the loop rests for 0.3 ms, so that more of them share a turn:',
             '`src/io/moderation.h` says when, `tidegate_loop_rests_total` how often, [bench.md](bench.md)',
             'what it gives.', '']
    rows = [[f'{table.number(r, "value"):,}', plain(r['text']), plain(r['why'])] for r in table.rows]
    return lines + grid(['at most', 'of', 'why'], rows)


def cost(table):
    lines = ['In a steady state: both connections kept alive, one event per read. Asserted exactly, in',
             'virtual time, by `tests/unit/gateway/cost_test.c`; system calls over real sockets have their',
             'upper bound in `tests/integration/test_85_syscalls.py`.', '']
    heads = ['', 'plain request', 'streamed request, besides its events', 'each streamed event']
    rows = [[plain(r['text']), r['plain'], r['streamed'], r['event']] for r in table.rows]
    return lines + grid(heads, rows)


PAGES = [  # page, title, table, macro of a row, renderer
    ('docs/options.md', 'Options', 'src/config/options.def', 'OPT', options),
    ('docs/metrics.md', 'Metrics', 'src/base/metrics.def', 'METRIC', metrics),
    ('docs/errors.md', 'Errors', 'src/base/errors.def', 'ERR', errors),
    ('docs/headers.md', 'Headers', 'src/gateway/headers.def', 'HEADER', headers),
    ('docs/outcomes.md', 'Outcomes', 'src/policy/outcome.def', 'OUTCOME', outcomes),
    ('docs/cost.md', 'The cost of a request', 'tests/unit/gateway/cost.def', 'COST', cost),
    ('docs/turn.md', 'A turn of the loop', 'src/io/turn.def', 'BOUND', turn),
    ('docs/sim-faults.md', 'Faults of the simulator', 'src/sim/fault.def', 'FAULT', sim_faults),
]


def render(root, title, source, macro, renderer):
    table = Table.load(root, source, macro)
    if not table.rows:
        raise TableError(source, 1, f'no row {macro}(...)')
    try:
        body = renderer(table)
    except KeyError as missing:
        raise TableError(source, 1, f'the page needs a column {missing}') from None
    head = [f'<!-- Generated from {source} by tools/docs.py: change the table, then run `make docs`. -->', '',
            f'# {title}', '']
    text = '\n'.join(head + body) + '\n'
    return re.sub(r'\n{3,}', '\n\n', text)


def check(path, name, want):
    """Prints where a page differs from its table; returns whether it does."""
    have = path.read_text().splitlines() if path.exists() else []
    if have == want.splitlines():
        return False
    for op, a, _, b, _ in difflib.SequenceMatcher(None, have, want.splitlines(), False).get_opcodes():
        if op != 'equal':
            line = (want.splitlines() + [''])[b] if op != 'delete' else 'nothing'
            print(f'{name}:{a + 1}: differs from its table (run `make docs`), which says: {line}')
    return True


def main():
    ap = argparse.ArgumentParser(description='Writes the generated pages of the manual.')
    ap.add_argument('--check', action='store_true', help='write nothing, complain about pages that differ')
    ap.add_argument('--root', type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    args = ap.parse_args()
    bad = False
    for name, title, source, macro, renderer in PAGES:
        path = args.root / name
        if not (args.root / source).exists():
            if path.exists():
                print(f'{name}:1: its table {source} does not exist')
                bad = True
            continue
        try:
            text = render(args.root, title, source, macro, renderer)
        except TableError as e:
            print(e)
            bad = True
            continue
        if args.check:
            bad |= check(path, name, text)
        elif not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f'wrote {name}')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
