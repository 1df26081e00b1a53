"""Windows of real texts (modules of the standard library, and one sentence in four scripts) for objectives' tests."""

from __future__ import annotations

import functools
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "inputs"))
from texts_corpus import TextsCorpus, real_texts

from seedstock.inputs.keys import Keys
from seedstock.inputs.loader import windows
from seedstock.inputs.shards import Shards
from seedstock.inputs.tokenizers import Tokenizer
from seedstock.inputs.tokenizers.config import BpeConfig, BytesConfig
from seedstock.inputs.tokenizers.train import train
from seedstock.inputs.write import write
from seedstock.ledger.store import Store
from seedstock.objectives.base import Spec
from seedstock.progress import Silent

CONFIGS = {"bpe": BpeConfig(vocab_size=1024), "bytes": BytesConfig()}


@functools.cache
def trained(kind="bpe", specials=()):
    """A tokenizer with special tokens of these names too, and the shards that it makes."""
    folder = Path(tempfile.mkdtemp())
    corpus, store = TextsCorpus(folder, real_texts()), Store(folder / "runs")
    config = CONFIGS[kind].model_copy(update={"specials": specials})
    made = train(config, corpus, seed=1, store=store, reporter=Silent())
    tokenizer = Tokenizer(made)
    return tokenizer, Shards(write(corpus, tokenizer, store=store, reporter=Silent()))


def spec(tokenizer, context, model=None):
    return Spec(tokenizer.vocab_size, context, tokenizer.specials, model=model, tokenizer=tokenizer)


def batch(shards, length, rows=64, seed=0):
    """``rows`` windows from anywhere in the training documents, as a loader hands them over, and their keys."""
    random = np.random.default_rng(seed)
    strata = random.choice([stratum.stratum for stratum in shards.strata("train")], rows)
    ends = {stratum.stratum: stratum.tokens for stratum in shards.strata("train")}
    starts = np.array([random.integers(0, ends[stratum] - 2) for stratum in strata.tolist()])
    made = windows(shards, "train", strata[:, None], starts[:, None], length)
    return {"examples": np.arange(rows), **made}, Keys(seed, np.arange(rows))
