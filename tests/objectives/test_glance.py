"""Features are probed during a run as they are after it, and where there are no classes nothing is."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from conformance import SEED, Made
from conformance_families import FAMILIES

from seedstock import scoring
from seedstock.errors import SeedstockError
from seedstock.evaluation import probes
from seedstock.evaluation.probes import glance, probe
from seedstock.inputs.items.loader import HeldOutItems


@pytest.fixture(scope="module")
def made():
    return Made(FAMILIES["rotation"])


def splits(made):
    options = {"prepare": made.objective.prepare, "seed": SEED, "limit": 80}
    return [HeldOutItems(made.shards, split=one, **options) for one in ("train", "held_out")]


def test_what_is_seen_on_the_way_is_what_is_measured_at_the_end(made):
    nets = made.nets()
    seen, measured = glance(nets, made.objective, *splits(made)), probe(nets, made.objective, *splits(made))
    assert seen == {name: measured["features"][name]["accuracy"] for name in ("knn", "linear")}
    assert nets.training


def test_a_run_over_classes_says_how_many_are_found(made, monkeypatch):
    monkeypatch.setattr(probes, "GLANCE", (80, 80))
    run = SimpleNamespace(recipe=SimpleNamespace(input=SimpleNamespace(kind="images"), seed=SEED), shards=made.shards)
    seen = glance(made.nets(), made.objective, *splits(made))
    said = scoring.sampler(run, made.objective)(made.nets(), 3)
    assert said == f"classes found by neighbours {seen['knn']:.1%}, by a linear probe {seen['linear']:.1%}"


def test_items_without_classes_are_not_probed(made):
    blank = SimpleNamespace(fields={"image": made.shards.fields["image"]}, strata=made.shards.strata)
    run = SimpleNamespace(recipe=SimpleNamespace(input=SimpleNamespace(kind="images"), seed=SEED), shards=blank)
    assert scoring.sampler(run, made.objective) is None


class Labelled(HeldOutItems):
    """Items of which but the first ``known`` lost their labels."""

    known = 0

    def batches(self, size, prepare=None):
        for number, batch in enumerate(super().batches(size, prepare)):
            seen = number * size + np.arange(len(batch["label"]))
            yield {**batch, "label": np.where(seen < self.known, batch["label"], -1).astype(np.int32)}


@pytest.mark.parametrize("known, found", [(0, False), (1, False), (2, True)])
def test_items_without_labels_are_left_out_of_probes(made, known, found):
    train, held_out = splits(made)
    few = Labelled(made.shards, prepare=made.objective.prepare, seed=SEED, split="train", limit=80)
    few.known = known
    nets = made.nets()
    assert (glance(nets, made.objective, few, held_out, batch=1) is not None) == found
    assert (probe(nets, made.objective, few, held_out, batch=1) is not None) == found
    few.known = 0
    assert glance(nets, made.objective, train, few, batch=32) is None


def test_where_nothing_is_held_out_nothing_is_drawn():
    made = Made(FAMILIES["mae"])
    blank = SimpleNamespace(fields={}, strata=lambda split: made.shards.strata(split) if split == "train" else [])
    run = SimpleNamespace(recipe=SimpleNamespace(input=SimpleNamespace(kind="images"), seed=SEED), shards=blank)
    assert scoring.sampler(run, made.objective) is None


def test_what_is_heard_is_written_of_no_prompt():
    made = Made(FAMILIES["transcription"])
    run = SimpleNamespace(recipe=SimpleNamespace(input=SimpleNamespace(kind="log-mel"), seed=SEED), shards=made.shards)
    assert scoring._made(run, made.objective) is None
    with pytest.raises(SeedstockError, match="a prompt is no sound"):
        made.objective.generate(made.nets(), [1], 4, seed=1, stop=set(), forbidden=set())
