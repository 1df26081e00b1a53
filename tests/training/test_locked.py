"""Locked parameters stay as they are, to the bit, and everything else learns as it would beside constants."""

import shutil

import pytest
import torch
from halves import Halves
from small_run import BATCH, SmallLoader, small_config, small_fit, small_network

from seedstock.errors import RecipeError
from seedstock.objectives.base import assemble
from seedstock.training import batches
from seedstock.training.gradients import accumulate
from seedstock.training.locked import lock
from seedstock.training.state import load_nets, load_weights

PATTERNS = ("network.embedding.*", "network.backbone.blocks.0.*")


def is_locked(name):
    return name.startswith(("embedding.", "backbone.blocks.0."))


@pytest.mark.parametrize("given", [{}, {"ema": 0.5}, {"optimizer": {"kind": "adamw", "weight_decay": 0.5}}])
def test_neither_gradients_nor_decay_move_what_is_locked(tmp_path, given):
    config = small_config(steps=6, checkpoint_every=3, locked=PATTERNS, **given)
    made = small_fit(tmp_path / "run", config)
    fresh, trained = small_network(), small_network()
    load_weights(made.checkpoint, trained)
    before = dict(fresh.named_parameters())
    for name, parameter in trained.named_parameters():
        assert torch.equal(parameter, before[name]) == is_locked(name), name


def test_a_run_that_was_cut_off_goes_on_to_the_same_weights(tmp_path):
    config = small_config(steps=6, checkpoint_every=3, locked=PATTERNS)
    whole = small_fit(tmp_path / "whole", config)
    small_fit(tmp_path / "cut", config)
    shutil.rmtree(tmp_path / "cut" / "checkpoints" / "step-00000006")
    again = small_fit(tmp_path / "cut", config)
    found = [small_network(), small_network()]
    for network, run in zip(found, (whole, again), strict=True):
        load_weights(run.checkpoint, network)
    for name, parameter in found[0].state_dict().items():
        assert torch.equal(parameter, found[1].state_dict()[name]), name


def test_the_average_is_read_where_a_net_has_none(tmp_path):
    """Everything of one net is locked: its weights are read, and the other's average."""
    config = small_config(steps=4, checkpoint_every=4, ema=0.5, locked=("network.*",))
    made = small_fit(tmp_path / "run", config, objective=Halves())
    nets = assemble(small_network(), Halves())
    load_nets(made.checkpoint, dict(nets.items()))
    fresh = small_network().state_dict()
    assert all(torch.equal(one, fresh[name]) for name, one in nets["network"].state_dict().items())
    assert not torch.equal(nets["temperature"].scale, assemble(small_network(), Halves())["temperature"].scale)


@pytest.mark.parametrize("size", [1, 2, BATCH])
def test_cached_gradients_are_those_of_an_unlocked_network(size):
    arrays, found = SmallLoader().batch(0), []
    for patterns in ((), PATTERNS):
        nets, objective = assemble(small_network(), Halves()).train(), Halves()
        lock(nets, patterns)
        batch = batches.tensors(arrays, torch.device("cpu"))
        accumulate(nets, objective, batch, arrays["examples"], size=size if patterns else BATCH, seed=1)
        found.append({name: p.grad for name, p in nets.named_parameters() if p.grad is not None})
    free, locked = found
    assert locked.keys() == {name for name in free if not is_locked(name.removeprefix("network."))}
    for name, gradient in locked.items():
        assert (free[name] - gradient).norm() <= 1e-5 * free[name].norm() + 1e-9, name


@pytest.mark.parametrize(
    ("patterns", "words"),
    [(("network.picture.*",), "no parameter is named like"), (("*",), "nothing is left to learn")],
)
def test_what_cannot_be_locked_is_said(patterns, words):
    with pytest.raises(RecipeError, match=words) as caught:
        lock(assemble(small_network(), Halves()), patterns)
    assert caught.value.where == "training.locked"
