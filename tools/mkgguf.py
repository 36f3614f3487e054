#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a small language model with synthetic weights, for tests against a real engine.

    mkgguf.py tiny.gguf                  2 layers, 227 KB: speaks printable ASCII and stops by itself
    mkgguf.py --preset 0.5b big.gguf     1 GB of random weights: slow enough to be cancelled

The file is GGUF version 3 with the llama architecture; the same seed gives the same bytes. Two things are not
obvious:

* Random weights speak random bytes, which are broken UTF-8, which a server holds back, so that streams look
  stuck. The tiny model therefore keeps dimension 0 of the residual stream constant (no layer writes it) and
  uses it as a bias per token: letters and spaces are likely, the end of the turn a little more so, everything
  else never comes.
* Random bits make a valid half float only if the exponent is masked; else there are infinities and NaNs.
"""
import argparse
import random
import struct

U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5   # types of metadata values
TENSOR_F32, TENSOR_F16 = 0, 1
ALIGNMENT = 32

PRESETS = {  # width, layers, heads, key/value heads, feed-forward width, least vocabulary, window
    'tiny': (64, 2, 4, 2, 128, 0, 2048),
    '0.1b': (768, 12, 12, 4, 2048, 32000, 4096),
    '0.5b': (1280, 24, 20, 5, 3584, 32000, 4096),
}
WORDS = (' the', ' and', ' is', ' of', ' to', ' in', ' it', 'er', 'on', 'an', 'en', 'ing', 'ed')
SPECIAL = ('<|bos|>', '<|eos|>', '<|im_start|>', '<|im_end|>', '<|pad|>')
TEMPLATE = ("{% for m in messages %}"
            "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def string(text):
    raw = text.encode()
    return struct.pack('<Q', len(raw)) + raw


def value(kind, v):
    if kind == STRING:
        return string(v)
    if kind == ARRAY:
        inner, items = v
        return struct.pack('<IQ', inner, len(items)) + b''.join(value(inner, item) for item in items)
    return struct.pack({U32: '<I', I32: '<i', F32: '<f', BOOL: '<?'}[kind], v)


def byte_alphabet():
    """The stand-in of every byte in a byte-level vocabulary, as GPT-2 chose them."""
    itself = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in itself]
    return {b: chr(b) for b in itself} | {b: chr(256 + i) for i, b in enumerate(others)}


class Vocabulary:
    def __init__(self, least):
        alphabet = byte_alphabet()
        self.tokens = [alphabet[b] for b in range(256)]
        self.merges = []
        for word in WORDS:      # merges from left to right that build the word
            current = ''
            for letter in (alphabet[ord(c)] for c in word):
                if current and current + letter not in self.tokens:
                    self.merges.append(f'{current} {letter}')
                    self.tokens.append(current + letter)
                current += letter
        self.ordinary = len(self.tokens)
        self.id = {name: self.ordinary + i for i, name in enumerate(SPECIAL)}
        self.tokens += SPECIAL
        unused = [f'<unused{i}>' for i in range(len(self.tokens), least)]
        self.types = [1] * self.ordinary + [3] * len(SPECIAL) + [5] * len(unused)
        self.tokens += unused

    def likely(self):
        """Space, small letters and the merged words."""
        return {32, *range(97, 123), *range(256, self.ordinary)}


class Tensors:
    """What the file will hold: name, dimensions (fastest first), type, function that gives its bytes."""
    def __init__(self, seed):
        n = 1 << 20     # one block of random half floats, reused from shifting offsets
        self.dice = random.Random(seed)
        mask = int.from_bytes(b'\xff\x8f' * n, 'little')    # keeps the sign and the low 12 bits
        bias = int.from_bytes(b'\x00\x20' * n, 'little')    # magnitudes from 2^-7 to 2^-4
        bits = int.from_bytes(self.dice.randbytes(2 * n), 'little')
        self.block = ((bits & mask) | bias).to_bytes(2 * n, 'little')
        self.all = []

    def ones(self, name, n):
        self.all.append((name, (n,), TENSOR_F32, lambda: [struct.pack('<f', 1.0) * n]))

    def noise(self, name, n_in, n_out):
        def pieces():
            need = n_in * n_out * 2
            while need:
                at = self.dice.randrange(len(self.block) // 2) & ~1
                piece = self.block[at:at + min(need, len(self.block) - at)]
                need -= len(piece)
                yield piece
        self.all.append((name, (n_in, n_out), TENSOR_F16, pieces))

    def rows(self, name, n_in, n_out, weight):
        def pieces():
            for o in range(n_out):
                yield struct.pack(f'<{n_in}e', *(weight(o, i) for i in range(n_in)))
        self.all.append((name, (n_in, n_out), TENSOR_F16, pieces))


def build(preset, seed, stop):
    width, layers, heads, kv_heads, ff, least, _ = PRESETS[preset]
    vocabulary, tensors, dice = Vocabulary(least), Tensors(seed), random.Random(seed + 1)
    head_width = width // heads
    end, likely = vocabulary.id['<|im_end|>'], vocabulary.likely()

    def embedding(_, i):
        return 4.0 if i == 0 else dice.gauss(0, 0.5)

    def output(o, i):
        if i:
            return dice.gauss(0, 0.25)
        return stop if o == end else 2.0 if o in likely else -20.0

    def inner(_, i):
        return dice.gauss(0, 0.1)

    def into_residual(o, _):
        return 0.0 if o == 0 else dice.gauss(0, 0.08)

    def matrix(name, n_in, n_out, weight):
        if preset == 'tiny':
            tensors.rows(name, n_in, n_out, weight)
        else:
            tensors.noise(name, n_in, n_out)

    matrix('token_embd.weight', width, len(vocabulary.tokens), embedding)
    for layer in range(layers):
        p = f'blk.{layer}.'
        tensors.ones(p + 'attn_norm.weight', width)
        matrix(p + 'attn_q.weight', width, width, inner)
        matrix(p + 'attn_k.weight', width, kv_heads * head_width, inner)
        matrix(p + 'attn_v.weight', width, kv_heads * head_width, inner)
        matrix(p + 'attn_output.weight', width, width, into_residual)
        tensors.ones(p + 'ffn_norm.weight', width)
        matrix(p + 'ffn_gate.weight', width, ff, inner)
        matrix(p + 'ffn_up.weight', width, ff, inner)
        matrix(p + 'ffn_down.weight', ff, width, into_residual)
    tensors.ones('output_norm.weight', width)
    matrix('output.weight', width, len(vocabulary.tokens), output)
    return vocabulary, tensors.all


def metadata(preset, vocabulary):
    width, layers, heads, kv_heads, ff, _, window = PRESETS[preset]
    return [
        ('general.architecture', STRING, 'llama'),
        ('general.name', STRING, 'synthetic-' + preset),
        ('general.alignment', U32, ALIGNMENT),
        ('general.type', STRING, 'model'),
        ('general.file_type', U32, 1),
        ('general.quantization_version', U32, 2),
        ('llama.context_length', U32, window),
        ('llama.embedding_length', U32, width),
        ('llama.block_count', U32, layers),
        ('llama.feed_forward_length', U32, ff),
        ('llama.attention.head_count', U32, heads),
        ('llama.attention.head_count_kv', U32, kv_heads),
        ('llama.attention.layer_norm_rms_epsilon', F32, 1e-5),
        ('llama.rope.dimension_count', U32, width // heads),
        ('llama.rope.freq_base', F32, 10000.0),
        ('llama.vocab_size', U32, len(vocabulary.tokens)),
        ('tokenizer.ggml.model', STRING, 'gpt2'),
        ('tokenizer.ggml.pre', STRING, 'gpt-2'),
        ('tokenizer.ggml.tokens', ARRAY, (STRING, vocabulary.tokens)),
        ('tokenizer.ggml.token_type', ARRAY, (I32, vocabulary.types)),
        ('tokenizer.ggml.merges', ARRAY, (STRING, vocabulary.merges)),
        ('tokenizer.ggml.bos_token_id', U32, vocabulary.id['<|bos|>']),
        ('tokenizer.ggml.eos_token_id', U32, vocabulary.id['<|im_end|>']),
        ('tokenizer.ggml.padding_token_id', U32, vocabulary.id['<|pad|>']),
        ('tokenizer.ggml.add_bos_token', BOOL, False),
        ('tokenizer.chat_template', STRING, TEMPLATE),
    ]


def padding(n):
    return b'\0' * (-n % ALIGNMENT)


def write(path, meta, tensors):
    infos, offset = b'', 0
    for name, dims, kind, _ in tensors:
        infos += string(name) + struct.pack(f'<I{len(dims)}Q', len(dims), *dims)
        infos += struct.pack('<IQ', kind, offset)
        size = (4 if kind == TENSOR_F32 else 2)
        for n in dims:
            size *= n
        offset += size + len(padding(size))
    head = b'GGUF' + struct.pack('<IQQ', 3, len(tensors), len(meta))
    head += b''.join(string(name) + struct.pack('<I', kind) + value(kind, v) for name, kind, v in meta)
    head += infos
    with open(path, 'wb') as out:
        out.write(head + padding(len(head)))
        for _, _, _, pieces in tensors:
            size = sum(out.write(piece) for piece in pieces())
            out.write(padding(size))
        return out.tell()


def main():
    ap = argparse.ArgumentParser(description='Writes a small language model with synthetic weights.')
    ap.add_argument('out')
    ap.add_argument('--preset', default='tiny', choices=PRESETS)
    ap.add_argument('--seed', type=int, default=1)
    ap.add_argument('--stop', type=float, default=2.3,
                    help='how likely the tiny model ends its turn (letters have 2.0); higher is sooner')
    args = ap.parse_args()
    vocabulary, tensors = build(args.preset, args.seed, args.stop)
    size = write(args.out, metadata(args.preset, vocabulary), tensors)
    print(f'{args.out}: {len(tensors)} tensors, {len(vocabulary.tokens)} tokens, {size} bytes')


if __name__ == '__main__':
    main()
