# SPDX-License-Identifier: MIT
"""A strict reader of Prometheus' text format 0.0.4: whatever a scraper could stumble over is an error."""
import math
import re

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
SAMPLE = re.compile(rf'({NAME})(?:\{{(.*)\}})? (\S+)')
HEAD = re.compile(rf'# (HELP|TYPE) ({NAME}) (.+)')
KINDS = ('counter', 'gauge', 'histogram')
SUFFIXES = ('_bucket', '_sum', '_count')


class Labels(tuple):
    """Sorted (name, value) pairs, printed as in the format."""
    def __str__(self):
        return '{' + ','.join(f'{k}="{v}"' for k, v in self) + '}'


def read_labels(text, line):
    found, at = {}, 0
    while at < len(text):
        m = LABEL.match(text, at)
        assert m, f'labels: {line}'
        assert m.group(1) not in found, f'label twice: {line}'
        found[m.group(1)] = re.sub(r'\\(.)', lambda e: '\n' if e.group(1) == 'n' else e.group(1), m.group(2))
        at = m.end()
        assert at == len(text) or text[at] == ',', f'labels: {line}'
        at += 1
    return Labels(sorted(found.items()))


class Page:
    def __init__(self, text):
        self.kinds, self.helps, self.values = {}, {}, {}
        assert text.endswith('\n'), 'the last line has no end'
        self.family, done = None, set()
        for line in text[:-1].split('\n'):
            assert line and line == line.strip() and '\r' not in line, f'blanks: {line!r}'
            if line.startswith('#'):
                self.read_head(line, done)
            else:
                self.read_sample(line)
        for name, kind in self.kinds.items():
            if kind == 'histogram':
                self.check_histogram(name)

    def read_head(self, line, done):
        m = HEAD.fullmatch(line)
        assert m, f'comment: {line}'
        what, name, rest = m.groups()
        if name != self.family:
            assert name not in done, f'family twice: {line}'
            done.add(name)
            self.family = name
        table = self.helps if what == 'HELP' else self.kinds
        assert name not in table, f'{what} twice: {line}'
        table[name] = rest
        if what == 'TYPE':
            assert rest in KINDS, f'type: {line}'
            assert name in self.helps, f'no help before: {line}'
            assert (rest == 'counter') == name.endswith('_total'), f'only counters end in _total: {line}'

    def read_sample(self, line):
        m = SAMPLE.fullmatch(line)
        assert m, f'sample: {line}'
        name, labels, number = m.group(1), read_labels(m.group(2) or '', line), m.group(3)
        kind = self.kinds.get(self.family)
        if kind == 'histogram':
            assert name in [self.family + s for s in SUFFIXES], f'outside its family: {line}'
        else:
            assert kind and name == self.family, f'outside its family: {line}'
        value = float(number)
        assert math.isfinite(value) and not (kind == 'counter' and value < 0), f'value: {line}'
        assert (name, labels) not in self.values, f'sample twice: {line}'
        self.values[name, labels] = value

    def check_histogram(self, name):
        for labels, count in self.samples(name + '_count').items():
            buckets = [(float('inf') if dict(at)['le'] == '+Inf' else float(dict(at)['le']), value)
                       for at, value in self.samples(name + '_bucket').items()
                       if Labels(p for p in at if p[0] != 'le') == labels]
            assert buckets == sorted(buckets), f'{name}{labels}: bounds and counts must rise'
            assert len({le for le, _ in buckets}) == len(buckets) > 1
            assert buckets[-1] == (float('inf'), count), f'{name}{labels}: +Inf must be the count'
            total = self.values[name + '_sum', labels]
            assert total >= 0 and (count > 0 or total == 0), f'{name}{labels}: sum {total}'

    def samples(self, name):
        return {labels: value for (n, labels), value in self.values.items() if n == name}

    def value(self, name, **labels):
        """The sum over the samples that have these labels; there must be one."""
        found = [v for at, v in self.samples(name).items() if labels.items() <= dict(at).items()]
        assert found, f'no sample {name} {labels}'
        return sum(found)
