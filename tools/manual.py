#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes man pages, the reference of the file and shell completions from what the program says of itself.

    manual.py [--program FILE]            writes docs/man/*, docs/reference.md and deploy/completions/*
    manual.py --check [--program FILE]    writes nothing; complains where a file differs, and where the form
                                          of the file (src/config/schema.def) and the tables of its readers
                                          (struct field in src/config/*.c) do not know the same keys

The text of `tidegate COMMAND --help` is the source: commands and options, their values and what they do. What
a man page says beyond that (examples, files, signals) stands in docs/man/parts/, in mdoc(7). What
`tidegate check --schema` prints is the source for what is said of the file.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATE = 'November 27, 2026'
OPTION = re.compile(r'^  (--[\w-]+)(?: (\S+))?(?:  +(\S.*))?$')
COMMAND = re.compile(r'^  (\w+) +(?:(\[\w+\]|[A-Z]+) +)?(\S.*)$')
NOTE = 'Generated from "tidegate --help" by tools/manual.py: do not edit, run "make docs".'


class Option:
    def __init__(self, name, value, text):
        self.name, self.value, self.text = name, value, text

    def is_file(self):
        """Whether a file's name completes it."""
        return self.value in ('FILE', 'PATH')


class Help:
    """One help text: its usage, its paragraphs, and the options between them."""
    def __init__(self, program, *command):
        self.text = subprocess.run([program, *command, '--help'], capture_output=True, text=True, check=True,
                                   timeout=60).stdout
        self.before, self.options, self.after = [], [], []
        first, *blocks = self.text.strip('\n').split('\n\n')
        self.usage = ' '.join(first.split())
        for block in blocks:
            if not block.startswith('  -'):
                (self.after if self.options else self.before).append(' '.join(block.split()))
                continue
            for line in block.split('\n'):
                found = OPTION.match(line)
                if found:
                    self.options.append(Option(found[1], found[2], found[3] or ''))
                elif line.startswith(' ' * 8):
                    self.options[-1].text = f'{self.options[-1].text} {line.strip()}'.strip()
                else:
                    sys.exit(f'tidegate {" ".join(command)} --help: not an option line: {line!r}')


class Program:
    def __init__(self, program):
        self.title = Help(program).text.split('\n', 1)[0]
        self.commands = []  # name, what it does, its help
        for line in Help(program).text.split('\n'):
            found = COMMAND.match(line)
            if found and found[1] != 'tidegate':
                self.commands.append((found[1], found[3], Help(program, found[1])))

    def help_of(self, name):
        return next(h for n, _, h in self.commands if n == name)


# -- man pages ----------------------------------------------------------------------------------------------

def words(text):
    """Running text in mdoc: a sentence to a line, nothing in it taken for a request."""
    sentences = re.split(r'(?<=[.:;!?]) (?=[A-Z(])', text.replace('\\', '\\e'))
    lines = [line for s in sentences
             for line in textwrap.wrap(s, 76, break_long_words=False, break_on_hyphens=False)]
    return ['\\&' + line if line.startswith(('.', "'")) else line for line in lines]


def argument(text):
    """An argument of a macro, never taken for a macro itself."""
    return '\\&' + text.replace('\\', '\\e')


def option_list(options):
    lines = ['The options are as follows:', '.Bl -tag -width Ds']
    for o in options:
        lines += [f'.It Fl -{o.name[2:]}' + (f' Ar {argument(o.value)}' if o.value else '')] + words(o.text)
    return lines + ['.El']


def synopsis(name, usage):
    """`usage: tidegate load [OPTION]... [URL]` as macros."""
    lines = [f'.Nm tidegate {name}']
    for optional, plain in re.findall(r'\[([^]]+)\]\S*|(\S+)', usage.split(name, 1)[1]):
        if optional.startswith('-'):
            flag, _, value = optional.partition(' ')
            lines.append(f'.Op Fl -{flag[2:]}' + (f' Ar {value}' if value else ''))
        else:
            lines.append(f'.Op Ar {optional}' + (' ...' if optional == 'OPTION' else '') if optional
                         else f'.Ar {plain}')
    return lines


def part(name):
    return (ROOT / f'docs/man/parts/{name}.mdoc').read_text().rstrip('\n').split('\n')


def page(title, section, what, body):
    head = [f'.\\" {NOTE}', '.\\" SPDX-License-Identifier: MIT', f'.Dd {DATE}',
            f'.Dt {title.upper()} {section}', '.Os', '.Sh NAME', f'.Nm {title}', f'.Nd {what}']
    return '\n'.join(head + body) + '\n'


def paragraphs(texts):
    lines = []
    for text in texts:
        lines += (['.Pp'] if lines else []) + words(text)
    return lines


def command_page(program, name):
    what, text = next((w, h) for n, w, h in program.commands if n == name)
    body = ['.Sh SYNOPSIS'] + synopsis(name, text.usage) + ['.Sh DESCRIPTION'] + paragraphs(text.before)
    if text.options:
        body += ['.Pp'] + option_list(text.options)
    if text.after:
        body += ['.Pp'] + paragraphs(text.after)
    return page(f'tidegate-{name}', 1, what, body + part(name))


def main_page(program):
    serve = program.help_of('serve')
    body = ['.Sh SYNOPSIS'] + synopsis('serve', serve.usage)
    for name, _, text in program.commands:
        body += synopsis(name, text.usage) if name != 'serve' else []
    body += ['.Sh DESCRIPTION'] + part('tidegate-intro') + ['The commands are as follows:',
                                                            '.Bl -tag -width Ds']
    for name, what, text in program.commands:
        body += [f'.It Cm {name}']
        body += paragraphs(serve.before) if name == 'serve' else words(what[:1].upper() + what[1:] + '.')
        body += [] if name == 'serve' else ['See', f'.Xr tidegate-{name} 1 .']
    body += ['.El']
    return page('tidegate', 8, program.title.partition(': ')[2], body + part('tidegate'))


# -- the configuration file ---------------------------------------------------------------------------------

class Form:
    """The file as the schema has it: objects in the order in which they are written, and kinds of value."""
    def __init__(self, program):
        shown = subprocess.run([program, 'check', '--schema'], capture_output=True, text=True, check=True,
                               timeout=60).stdout
        shapes = json.loads(shown)['$defs']
        self.objects = {name: s for name, s in shapes.items() if 'properties' in s}
        self.kinds = {name: s for name, s in shapes.items() if 'properties' not in s}

    @staticmethod
    def keys(shape):
        """(name, kind, default as it is written or '', required, what it is) of each key."""
        for name, k in shape['properties'].items():
            dflt = k.get('default', '')
            yield (name, k['$ref'].rpartition('/')[2], dflt if isinstance(dflt, str) else json.dumps(dflt),
                   name in shape['required'], k['description'])


def plain(text):
    return text.replace('|', '\\|')


def reference(form):
    """docs/reference.md."""
    def kind_of(kind):
        return f'[{kind}](#{kind})' if kind in form.objects else f'[{kind}](#kinds-of-value)'

    lines = ['<!-- Generated from schema.def and options.def in src/config by tools/manual.py: change the '
             'tables, then run `make docs`. -->', '', '# Reference of the configuration file', '',
             'Every key that the file can have. The guide is [config.md](config.md), bounds of timeouts and',
             'limits are in [options.md](options.md). `tidegate check --schema` prints the same as a JSON',
             'Schema (2020-12), by which editors complete and check the file while it is written; see',
             '[check.md](check.md).']
    for name, shape in form.objects.items():
        lines += ['', f'## {name}', '', shape['description'], '', '| key | kind | default | what it is |',
                  '| --- | --- | --- | --- |']
        for key, kind, dflt, required, what in form.keys(shape):
            lines.append(f'| `{key}`{" (required)" if required else ""} | {kind_of(kind)} | '
                         f'{f"`{dflt}`" if dflt else ""} | {plain(what)} |')
    lines += ['', '## Kinds of value', '', '| kind | what can stand there |', '| --- | --- |']
    lines += [f'| {name} | {plain(shape["description"])} |' for name, shape in form.kinds.items()]
    return '\n'.join(lines) + '\n'


def file_page(form):
    """tidegate.yaml(5)."""
    body = ['.Sh DESCRIPTION'] + part('yaml-intro')
    for name, shape in form.objects.items():
        title = 'Top level' if name == 'file' else name
        body += [f'.Ss {title}'] + words(shape['description']) + ['.Bl -tag -width Ds']
        for key, kind, dflt, required, what in form.keys(shape):
            body += [f'.It Cm {key} : Ar {kind}'] + words(what)
            body += ['Required.'] if required else words(f'Default: {dflt}.') if dflt else []
        body += ['.El']
    body += ['.Ss Kinds of value', '.Bl -tag -width Ds']
    for name, shape in form.kinds.items():
        body += [f'.It Ar {name}'] + words(shape['description'])
    return page('tidegate.yaml', 5, 'the configuration file of tidegate', body + ['.El'] + part('yaml'))


def reader_tables():
    """{(file, table): {key: required}} of the tables of struct field, without what comes later."""
    tables = {}
    for path in sorted((ROOT / 'src/config').glob('*.c')):
        for name, body in re.findall(r'^static const struct field (\w+)\[\] = \{(.*?)\};$', path.read_text(),
                                     re.MULTILINE | re.DOTALL):
            rows = re.findall(r'\{"(\w+)", (\w+),[^}]*?(true|false)\}', body)
            tables[path.name, name] = {key: required == 'true' for key, read, required in rows
                                       if read != 'NULL'}
    return tables


def form_rows():
    """(file, table, object, {key: required}) of each OBJECT in schema.def, and the lines they stand in."""
    text = (ROOT / 'src/config/schema.def').read_text()
    for m in re.finditer(r'^OBJECT\((\w+), "([\w.]+)", (\w+),.*?(?=^OBJECT|\Z)', text,
                         re.MULTILINE | re.DOTALL):
        keys = re.findall(r'^KEY\("(\w+)", \w+, (true|false),', m[0], re.MULTILINE)
        yield (m[2], m[3]), m[1], {k: r == 'true' for k, r in keys}, text[:m.start()].count('\n') + 1


def differences():
    """Where the form of the file and its readers do not agree, as file:line: message."""
    tables, known = reader_tables(), {}
    for where, name, keys, line in form_rows():
        if where not in tables and where[0].endswith('.c') and where[1] != 'NONE':
            yield f'src/config/schema.def:{line}: {name}: there is no table {where[1]} in {where[0]}'
        known.setdefault(where, set()).update(keys)
        read = tables.get(where, {})
        for key in sorted(set(keys) - set(read) if read else ()):
            yield f'src/config/schema.def:{line}: {name}: {where[0]} does not read "{key}"'
        for key in sorted(k for k in keys if read.get(k) and not keys[k]):
            yield f'src/config/schema.def:{line}: {name}: {where[0]} requires "{key}"'
    for (file, table), read in tables.items():
        for key in sorted(set(read) - known.get((file, table), set())):
            yield f'src/config/{file}:1: {table}: "{key}" is missing in src/config/schema.def'


# -- completions ---------------------------------------------------------------------------------------------

def files_of(name):
    return name in ('serve', 'check')  # commands whose argument is a configuration


def bash(program):
    with_file = '|'.join(n for n, _, _ in program.commands if files_of(n))
    lines = [f'# {NOTE}', '# SPDX-License-Identifier: MIT', '', '_tidegate()', '{',
             '    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}',
             '    local options= files= values=',
             '    COMPREPLY=()', '    if ((COMP_CWORD == 1)); then',
             '        COMPREPLY=($(compgen -W "' + ' '.join(n for n, _, _ in program.commands) +
             ' --help --version" -- "$cur"))', '        return', '    fi', '    case ${COMP_WORDS[1]} in']
    for name, _, text in program.commands:
        options = ' '.join([o.name for o in text.options] + ['--help'])
        values = [o.name for o in text.options if o.value and not o.is_file()]
        files = [o.name for o in text.options if o.is_file()]
        lines += [f'    {name})', f'        options="{options}"']
        lines += [f'        values=" {" ".join(values)} "'] if values else []
        lines += [f'        files=" {" ".join(files)} "'] if files else []
        lines += ['        ;;']
    lines += ['    *) return ;;', '    esac',
              '    if [[ -n $files && $files == *" $prev "* ]]; then',
              '        mapfile -t COMPREPLY < <(compgen -f -- "$cur")',
              '    elif [[ -n $values && $values == *" $prev "* ]]; then', '        return',
              '    elif [[ $cur == -* ]]; then', '        COMPREPLY=($(compgen -W "$options" -- "$cur"))',
              f'    elif [[ ${{COMP_WORDS[1]}} == @({with_file}) ]]; then',
              '        mapfile -t COMPREPLY < <(compgen -f -- "$cur")', '    fi', '}',
              'complete -o filenames -F _tidegate tidegate']
    return '\n'.join(lines) + '\n'


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def zsh(program):
    def spec(o):
        text = re.sub(r'([\\\[\]:])', r'\\\1', o.text)
        value = '' if not o.value else ':' + re.sub(r'([\\:])', r'\\\1', o.value) + ':' + (
            '_files' if o.is_file() else ' ')
        return quoted(f'*{o.name}[{text}]{value}')

    lines = ['#compdef tidegate', f'# {NOTE}', '# SPDX-License-Identifier: MIT', '', '_tidegate() {',
             '    local -a commands', '    commands=(']
    lines += [f'        {quoted(name + ":" + what.replace(":", " "))}' for name, what, _ in program.commands]
    lines += ['    )', '    if ((CURRENT == 2)); then', "        _describe -t commands 'command' commands",
              '        return', '    fi', '    case $words[2] in']
    for name, _, text in program.commands:
        specs = [quoted('--help[says what the command does]')] + [spec(o) for o in text.options]
        specs += [quoted('*:configuration:_files')] if files_of(name) else []
        lines += [f'    {name})', '        shift words', '        ((CURRENT--))', '        _arguments \\']
        lines += [f'            {s} \\' for s in specs[:-1]] + [f'            {specs[-1]}', '        ;;']
    return '\n'.join(lines + ['    esac', '}', '', '_tidegate "$@"']) + '\n'


def fish(program):
    names = ' '.join(n for n, _, _ in program.commands)
    lines = [f'# {NOTE}', '# SPDX-License-Identifier: MIT', '', 'complete -c tidegate -f']
    for name, what, _ in program.commands:
        lines.append(f'complete -c tidegate -n "not __fish_seen_subcommand_from {names}" -a {name} '
                     f'-d {fish_quoted(what)}')
    for name, _, text in program.commands:
        on = f'complete -c tidegate -n "__fish_seen_subcommand_from {name}"'
        lines.append(f'{on} -l help -d {fish_quoted("says what the command does")}')
        for o in text.options:
            kind = '' if not o.value else ' -r -F' if o.is_file() else ' -x'
            lines.append(f'{on} -l {o.name[2:]}{kind} -d {fish_quoted(o.text)}')
        if files_of(name):
            lines.append(f'{on} -F')
    return '\n'.join(lines) + '\n'


def fish_quoted(text):
    return "'" + text.replace('\\', '\\\\').replace("'", "\\'") + "'"


# -- all of it -----------------------------------------------------------------------------------------------

def everything(program, form):
    yield 'docs/reference.md', reference(form)
    yield 'docs/man/tidegate.yaml.5', file_page(form)
    yield 'docs/man/tidegate.8', main_page(program)
    for name, _, _ in program.commands:
        if name != 'serve':
            yield f'docs/man/tidegate-{name}.1', command_page(program, name)
    yield 'deploy/completions/tidegate.bash', bash(program)
    yield 'deploy/completions/_tidegate', zsh(program)
    yield 'deploy/completions/tidegate.fish', fish(program)


def main():
    ap = argparse.ArgumentParser(description='Writes man pages and completions.')
    ap.add_argument('--check', action='store_true', help='write nothing, complain about files that differ')
    ap.add_argument('--program', default=str(ROOT / 'build/tidegate'))
    args = ap.parse_args()
    bad = False
    for found in differences():
        print(found)
        bad = True
    for name, text in everything(Program(args.program), Form(args.program)):
        path = ROOT / name
        if path.exists() and path.read_text() == text:
            continue
        if args.check:
            print(f'{name}:1: differs from what the program says (run `make docs`)')
            bad = True
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f'wrote {name}')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
