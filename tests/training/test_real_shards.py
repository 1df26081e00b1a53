"""The whole way from shards: real text, the data plan, the loader with its threads, a stop and a resume."""

import json
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from small_run import small_config, small_fit
from test_resume import StopAt, assert_same

from seedstock.errors import DataError, Interrupted
from seedstock.inputs.config import MixtureConfig
from seedstock.inputs.loader import Loader, step_digest
from seedstock.inputs.plan import DataPlan
from seedstock.inputs.shards import DOCUMENT, Shards
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.training import gradients

CONTEXT, BATCH, VOCABULARY = 32, 4, 320
BOS, EOS, PAD = 256, 257, 258


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """The standard library's own modules, byte by byte, in the shards' format."""
    folder = tmp_path_factory.mktemp("shards")
    (folder / "train").mkdir()
    library = Path(sysconfig.get_paths()["stdlib"])
    texts = [(library / f"{name}.py").read_bytes() for name in ("this", "keyword", "bisect", "colorsys", "queue")]
    stream = np.concatenate([[BOS, *text, EOS] for text in texts]).astype("<u2")
    stream.tofile(folder / "train" / "00000-00000.tokens")
    table = np.zeros(len(texts), DOCUMENT)
    table["id"][:, 0] = np.arange(len(texts))
    table["tokens"] = [len(text) + 2 for text in texts]
    np.save(folder / "train" / "00000.documents.npy", table)
    entry = {"stratum": 0, "source": "python", "domain": "code", "language": "en", "tokens": len(stream)}
    entry |= {"documents": len(texts), "bytes": sum(map(len, texts)), "table": "train/00000.documents.npy"}
    entry["files"] = [{"path": "train/00000-00000.tokens", "tokens": len(stream)}]
    specials = {"bos": BOS, "eos": EOS, "pad": PAD}
    index = {"format": 1, "dtype": "uint16", "vocab_size": VOCABULARY, "specials": specials, "tokenizer": "0" * 64}
    splits = {"train": [entry], "held_out": []}
    (folder / "index.json").write_text(json.dumps(index | {"encoding": {}, "splits": splits}))
    return Shards(folder)


def parts(shards):
    plan = DataPlan.of(shards, MixtureConfig(), seed=1, length=CONTEXT, batch=BATCH)
    objective = CausalConfig().build()
    loader = Loader(shards, plan, prepare=objective.prepare, raw_length=objective.raw_length, seed=1)
    network = DecoderConfig(shape="plain", width=64, layers=2, heads=2, context=CONTEXT).build(VOCABULARY)
    return {"loader": loader, "objective": objective, "network": network}


def test_stop_and_resume_over_real_text(tmp_path, shards):
    config = small_config(steps=40, checkpoint_every=100, precision="bf16", micro_batch=3)
    whole = small_fit(tmp_path / "whole", config, **parts(shards))
    with pytest.raises(Interrupted):
        small_fit(tmp_path / "cut", config, callbacks=[StopAt(13)], **parts(shards))
    small_fit(tmp_path / "cut", config, **parts(shards))
    assert_same(tmp_path / "whole", tmp_path / "cut")
    assert abs(whole.losses[0] - np.log(VOCABULARY)) < 0.01 and whole.losses[-1] < 4
    loader, digest = parts(shards)["loader"], ""
    for step in range(40):
        batch = loader.batch(step)
        digest = step_digest(digest, batch["examples"], batch["digests"])
    assert whole.digest == digest, "the record says what the plan gives"


def test_a_plan_that_is_too_short_is_told_before_the_first_step(tmp_path, shards, monkeypatch):
    monkeypatch.setattr(gradients, "accumulate", None)
    with pytest.raises(DataError, match="steps"):
        small_fit(tmp_path / "run", small_config(steps=100_000), **parts(shards))
    assert not (tmp_path / "run" / "ledger" / "chain.jsonl").exists()
