"""How fast each encoder is on one core, and whether its ids are the library's.

    python benchmarks/tokenizer_encoding.py [--size 30MB] [--vocab 32768] [--rounds 2]

A BPE tokenizer is learnt from the first half of this machine's own text (see tokenizer_training.py), then every encoder
that is installed encodes all of it in batches of 256 texts. MB a second of CPU time in one thread: the first round
meets every word for the first time, the second has them in memory, as most of a large corpus is. tiktoken takes the
same merges as ranks, where it is installed; its way of cutting words and ours are one pattern.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizer_training import size_of, texts

from seedstock.inputs.tokenizers import Tokenizer, vocabulary
from seedstock.inputs.tokenizers.config import BpeConfig
from seedstock.inputs.tokenizers.counts.counter import counter
from seedstock.inputs.tokenizers.counts.weigh import Words
from seedstock.inputs.tokenizers.encoders import candidates
from seedstock.inputs.tokenizers.native import buffers
from seedstock.inputs.tokenizers.pieces import PATTERN


class Tiktoken:
    """The same merges in tiktoken."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        from importlib import metadata

        import tiktoken

        ordinary = [number for number in range(tokenizer.vocab_size) if tokenizer.byte_lengths[number]]
        ranks = dict(zip(tokenizer.bytes_of(ordinary), ordinary, strict=True))
        self.name = f"tiktoken {metadata.version('tiktoken')}"
        self.encoding = tiktoken.Encoding("ours", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})

    def encode(self, batch: list[str]) -> list[np.ndarray]:
        return [np.array(self.encoding.encode_ordinary(text), np.uint32) for text in batch]


def learnt(sample: list[str], vocab: int, folder: Path) -> Tokenizer:
    counting = counter()
    counting.add(pa.array(sample, pa.large_string()))
    table = counting.drain()
    data, offsets = buffers(table["word"].combine_chunks())
    words = Words(data, offsets, table["count"].to_numpy(), table.num_rows, 0)
    (folder / "tokenizer.json").write_text(vocabulary.bpe(BpeConfig(vocab_size=vocab), words).to_str())
    return Tokenizer(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="30MB", type=size_of)
    parser.add_argument("--vocab", default=32768, type=int)
    parser.add_argument("--rounds", default=2, type=int)
    asked = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"], os.environ["TOKENIZERS_PARALLELISM"] = "1", "0"
    corpus = list(texts(asked.size))
    size = sum(len(text.encode()) for text in corpus)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = learnt(corpus[::2], asked.vocab, Path(folder))
    everyone: list[Any] = list(candidates(tokenizer._record, tokenizer._library, tokenizer._own_words))
    try:
        everyone.insert(0, Tiktoken(tokenizer))
    except ImportError:
        print("tiktoken is not installed")
    found: dict[str, np.ndarray] = {}
    for encoder in everyone:
        rates = []
        for _ in range(1 if encoder is everyone[-1] else asked.rounds):
            begin = time.process_time()
            ids = [own for at in range(0, len(corpus), 256) for own in encoder.encode(corpus[at : at + 256])]
            rates.append(size / 1e6 / (time.process_time() - begin))
        found[encoder.name] = np.concatenate(ids)
        print(f"{encoder.name:40}", " ".join(f"{rate:8.1f} MB/s" for rate in rates), flush=True)
    reference = found[everyone[-1].name]
    for name, ids in found.items():
        print(f"{name:40} ids {'identical' if np.array_equal(ids, reference) else 'DIFFER'}, {len(ids):,} tokens")


if __name__ == "__main__":
    main()
