"""Batches are a function of the step, whatever the ranks, and their digests say what was fed."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedstock.errors import DataError
from seedstock.inputs.config import MixtureConfig
from seedstock.inputs.loader import Loader, step_digest
from seedstock.inputs.plan import DataPlan

ARRAYS = ("examples", "strata", "starts", "tokens", "documents", "positions", "digests")


@pytest.fixture(scope="module")
def plan(shards):
    return DataPlan.of(shards, MixtureConfig(), seed=3, length=64, batch=11)


@settings(deadline=None, max_examples=30)
@given(step=st.integers(0, 60), world=st.integers(1, 13))
def test_ranks_share_a_step_and_its_digest_is_the_same(shards, plan, step, world):
    whole = Loader(shards, plan, seed=3).batch(step)
    parts = [Loader(shards, plan, seed=3, rank=rank, world=world).batch(step) for rank in range(world)]
    for name in ARRAYS:
        assert np.array_equal(np.concatenate([part[name] for part in parts]), whole[name])
    sizes = [len(part["examples"]) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    examples, digests = (np.concatenate([part[name] for part in parts[::-1]]) for name in ("examples", "digests"))
    assert step_digest("", examples, digests) == step_digest("", whole["examples"], whole["digests"])


def test_a_batch_holds_what_the_plan_and_the_shards_say(shards, plan):
    loader = Loader(shards, plan, raw_length=lambda length: length + 9)
    for step in (0, 7, 2):
        batch = loader.batch(step)
        first, count = plan.examples(step)
        located = plan.locate(np.arange(first, first + count))
        assert batch["tokens"].shape == (count, 73)
        for row in range(count):
            stratum, start = int(located.strata[row]), located.starts[row : row + 1]
            stored = shards.read("train", stratum, start, 73)[0]
            assert batch["tokens"][row].tolist() == stored.tolist()
            inside = stored != shards.specials["pad"]
            numbers, positions = shards.boundaries("train", stratum, start, 73)
            assert np.array_equal(batch["documents"][row], np.where(inside, numbers[0], -1))
            assert np.array_equal(batch["positions"][row], positions[0])
            text = stratum.to_bytes(8, "little") + int(start[0]).to_bytes(8, "little") + stored.tobytes()
            assert batch["digests"][row].tobytes() == hashlib.blake2b(text, digest_size=16).digest()


def test_batches_made_ahead_are_the_same_and_stop_early(shards, plan):
    loader = Loader(shards, plan)
    for step, batch in zip(range(5, 25), loader.iterate(5, 25), strict=True):
        assert all(np.array_equal(batch[name], loader.batch(step)[name]) for name in ARRAYS)
    ahead = loader.iterate(0, 1000)
    next(ahead)
    ahead.close()


def test_the_last_batches_come_before_the_error_of_an_exhausted_plan(shards, plan):
    steps = plan.steps()
    last, whole = -(-plan.capacity // 11), []
    with pytest.raises(DataError, match=f"{steps:,} steps"):
        whole.extend(Loader(shards, plan).iterate(last - 3, last + 1))
    loader = Loader(shards, plan)
    assert len(loader.batch(last - 1)["examples"]) == plan.capacity - 11 * (last - 1)


def test_prepare_is_handed_keys_of_the_examples_and_digests_are_taken_before(shards, plan):
    def prepare(items, keys):
        flip = keys.uniform("mask", items["tokens"].shape[1]) < 0.5
        return {"tokens": np.where(flip, 0, items["tokens"])[:, :32], "masked": flip}

    plain, masked = Loader(shards, plan), Loader(shards, plan, prepare=prepare, seed=9)
    first, second = plain.batch(4), masked.batch(4)
    assert np.array_equal(first["digests"], second["digests"]) and "documents" not in second
    assert second["tokens"].shape[1] == 32 and not np.array_equal(first["tokens"][:, :32], second["tokens"])
    halves = [Loader(shards, plan, prepare=prepare, seed=9, rank=r, world=2).batch(4)["masked"] for r in (0, 1)]
    assert np.array_equal(np.concatenate(halves), second["masked"])


def test_a_step_digest_depends_on_every_part_and_on_the_past(shards, plan):
    batch = Loader(shards, plan).batch(0)
    examples, digests = batch["examples"], batch["digests"]
    one = step_digest("", examples, digests)
    changed = digests.copy()
    changed[3, 5] ^= 1
    others = [
        step_digest("", examples, changed),
        step_digest("", examples + 1, digests),
        step_digest("", examples, digests[::-1]),
        step_digest("", examples[1:], digests[1:]),
        step_digest(one, examples, digests),
    ]
    assert len({one, *others}) == 6


def test_erased_tokens_are_padding(shards, plan, tmp_path):
    import shutil

    from seedstock.inputs.shards import Shards

    copy = tmp_path / "shards"
    shutil.copytree(shards.folder, copy)
    entry = max(shards.index["splits"]["train"], key=lambda entry: entry["tokens"])
    for file in entry["files"]:
        tokens = np.full(file["tokens"], shards.specials["pad"], shards.dtype)
        (copy / file["path"]).write_bytes(tokens.tobytes())
    batch = Loader(Shards(copy), plan).batch(0)
    assert (batch["documents"][batch["strata"] == entry["stratum"]] == -1).all()


def test_training_on_shards_needs_neither_the_corpus_extras_nor_torch(shards):
    code = """
import sys
for name in ("pyarrow", "torch", "tokenizers", "transformers"):
    sys.modules[name] = None
from seedstock.inputs.loader import Loader
from seedstock.inputs.shards import Shards
from seedstock.inputs.plan import DataPlan
from seedstock.inputs.config import MixtureConfig
shards = Shards(sys.argv[1])
plan = DataPlan.of(shards, MixtureConfig(), seed=1, length=64, batch=4)
print(Loader(shards, plan).batch(3)["tokens"].shape)
"""
    done = subprocess.run([sys.executable, "-c", code, shards.folder], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(4, 65)"
