"""The windows of the held-out split, in order."""

from __future__ import annotations

import numpy as np

from seedstock.inputs.held_out import HeldOut


def _all(shards, **options):
    made = HeldOut(shards, window=16, raw_length=17, prepare=lambda batch, keys: dict(batch), **options)
    found = list(made.batches(5))
    return {name: np.concatenate([batch[name] for batch in found]) for name in found[0]}


def test_every_token_of_the_split_is_read_once(shards):
    batch = _all(shards)
    for stratum in shards.strata("held_out"):
        own = batch["strata"] == stratum.stratum
        read = batch["tokens"][own][:, :16].ravel()
        stored = shards.read("held_out", stratum.stratum, np.array([0]), stratum.tokens)[0]
        assert np.array_equal(read[: stratum.tokens - 1], stored[:-1])


def test_a_sample_is_the_same_windows_whatever_the_batch(shards):
    whole, some = _all(shards), _all(shards, limit=64, partners=1)
    assert len(some["examples"]) == 4
    for row, number in enumerate(some["examples"]):
        assert np.array_equal(some["tokens"][row], whole["tokens"][number])
    assert some["partner_tokens"].shape == (4, 1, 17)
