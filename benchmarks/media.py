"""How fast media and token files are read: documents a second on one core, and token files all the way into shards.

    SEEDSTOCK_DATA=… python benchmarks/media.py [--tokens 20000000]

Every picture and sound is decoded once, as the sources do it. Token files hold random documents of 300 ids on average;
the corpus is built with two workers. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from seedstock.corpus import Corpus
from seedstock.corpus.build import build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.sources.audio import Audio
from seedstock.corpus.sources.base import Item
from seedstock.corpus.sources.fasta import Fasta
from seedstock.corpus.sources.image_text import ImageText
from seedstock.corpus.sources.images import Images
from seedstock.corpus.sources.tokens import Tokens
from seedstock.inputs import write
from seedstock.inputs.megatron import export
from seedstock.inputs.shards import Shards
from seedstock.inputs.tokenizers.check import Choice
from seedstock.ledger.store import Store
from seedstock.progress import Silent


def read(source: Any) -> dict[str, Any]:
    """Reads a source to its end on this core."""
    began, count, size = time.perf_counter(), 0, 0
    for part in source.partitions():
        for item in source.read(part):
            if isinstance(item, Item):
                count, size = count + 1, size + len(item.media or item.text.encode())
    seconds = time.perf_counter() - began
    return {
        "documents": count,
        "documents_per_second": round(count / seconds),
        "MB_per_second": round(size / seconds / 1e6, 1),
    }


class _Vocabulary:
    """As much of a tokenizer as writing token files into shards asks for."""

    sha256, vocab_size = "0" * 64, 50304
    specials = {"bos": 50256, "eos": 50256, "pad": 50257}  # noqa: RUF012

    def settle(self, texts: list[str], reporter: Any) -> Choice:
        return Choice("none", "none", 0, 0)

    def encode_batch(self, texts: list[str]) -> list[np.ndarray]:
        return [np.zeros(0, np.uint32) for _ in texts]


def token_files(folder: Path, tokens: int) -> dict[str, Any]:
    """nanoGPT's file into shards and on to Megatron, and Megatron's read again."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 50256, tokens).astype("<u2")
    ids[rng.integers(0, tokens, tokens // 300)] = 50256
    ids.tofile(folder / "train.bin")
    source = Tokens(name="t", format="nanogpt", path=str(folder / "train.bin"), tokenizer="gpt2", separator=50256)
    rates = {"read": read(source)["MB_per_second"] / 4}  # ids of four bytes: millions a second
    config, store = CorpusConfig(policy="none", dedup=None, held_out="1 %"), Store(folder / "runs")
    began = time.perf_counter()
    corpus = Corpus(build([source], config, seed=1, key=b"k", store=store, reporter=Silent(), workers=2))
    rates["corpus"] = tokens / 1e6 / (time.perf_counter() - began)
    began = time.perf_counter()
    shards = Shards(write.write(corpus, _Vocabulary(), store=store, reporter=Silent()))  # type: ignore[arg-type]
    rates["shards"] = tokens / 1e6 / (time.perf_counter() - began)
    began = time.perf_counter()
    ledger = export(shards, folder / "megatron")
    rates["to megatron, read back"] = tokens / 1e6 / (time.perf_counter() - began)
    made = Tokens(name="m", format="megatron", path=str(folder / "megatron" / "train-00000.bin"), tokenizer="gpt2")
    rates["megatron, read"] = read(made)["MB_per_second"] / 4
    stored = sum(path.stat().st_size for path in (corpus.folder / "media").iterdir())
    return {
        "tokens": tokens,
        "documents": sum(pair["documents"] for pair in ledger["pairs"]),
        "million_tokens_per_second": {name: round(rate, 2) for name, rate in rates.items()},
        "corpus_media_bytes_per_token": round(stored / tokens, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=20_000_000)
    options = parser.parse_args()
    pack = Path(os.environ.get("SEEDSTOCK_DATA") or sys.exit("SEEDSTOCK_DATA does not name the data sets"))
    sources = {
        "image-text, emoji.tar (72 px PNG)": ImageText(
            name="e", path=str(pack / "image-text/emoji.tar"), fields={"text": "captions.en"}
        ),
        "images, cifar10-train.tar (32 px JPEG)": Images(name="c", path=str(pack / "images/cifar10-train.tar")),
        "images, MNIST IDX (28 px, to PNG)": Images(
            name="m", path=str(pack / "images/mnist/train-images-idx3-ubyte.gz")
        ),
        "audio, spoken-digits.tar (8 kHz WAV)": Audio(name="a", path=str(pack / "audio/spoken-digits.tar")),
        "fasta, zst": Fasta(name="p", path=str(pack / "proteins")),
    }
    result: dict[str, Any] = {name: read(source) for name, source in sources.items()}
    with tempfile.TemporaryDirectory() as folder:
        result["token files"] = token_files(Path(folder), options.tokens)
    result["peak_MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
