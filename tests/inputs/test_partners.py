"""Partners: a pairing that can be turned round, read and digested with the example's own window."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seedstock.inputs.config import MixtureConfig
from seedstock.inputs.loader import Loader
from seedstock.inputs.partners import BLOCK, partners, readers
from seedstock.inputs.plan import DataPlan


@given(
    st.integers(0, 2**31),
    st.integers(1, 3),
    st.one_of(st.none(), st.integers(4, 3 * BLOCK)),
    st.integers(0, 5 * BLOCK),
)
def test_partners_are_others_and_the_pairing_turns_round(seed, count, capacity, first):
    last = first + 50 if capacity is None else min(first + 50, capacity)
    short = capacity is not None and capacity % BLOCK and capacity % BLOCK <= count  # a last block without others
    examples = np.arange(first, max(first, last if not short else last - last % BLOCK))
    found = partners(seed, examples, count, capacity)
    assert found.shape == (len(examples), count)
    assert (found != examples[:, None]).all()
    assert (found // BLOCK == examples[:, None] // BLOCK).all()
    for which in range(count):
        assert (readers(seed, found[:, which], count, capacity)[:, which] == examples).all()


def test_every_window_of_a_block_is_a_partner_once():
    found = partners(3, np.arange(BLOCK), 1)
    assert np.array_equal(np.sort(found[:, 0]), np.arange(BLOCK))


def test_a_loader_hands_over_the_partners_windows_and_digests_them(shards):
    plan = DataPlan.of(shards, MixtureConfig(), seed=5, length=32, batch=4)
    seen = {}

    def prepare(batch, keys):
        seen.update(batch)
        return {"tokens": batch["tokens"]}

    with_partner = Loader(shards, plan, partners=1, prepare=prepare).batch(2)
    alone = Loader(shards, plan).batch(2)
    others = partners(plan.seed, alone["examples"], 1, plan.capacity)[:, 0]
    located = plan.locate(others)
    for row in range(4):
        stored = shards.read("train", int(located.strata[row]), located.starts[row : row + 1], 33)
        assert np.array_equal(seen["partner_tokens"][row, 0], stored[0])
    assert np.array_equal(seen["tokens"], alone["tokens"])
    assert not np.array_equal(with_partner["digests"], alone["digests"])
    assert sorted(with_partner) == ["digests", "examples", "starts", "strata", "tokens"]
