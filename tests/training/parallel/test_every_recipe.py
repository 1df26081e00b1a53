"""Every recipe that ships can be laid out over 64 processes, and makes a step there: by shape, without a number."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_mesh import RANKS, mesh_of_64, no_numbers, shapes_of
from torch import nn
from torch._subclasses.fake_tensor import unset_fake_temporarily

import seedstock
from seedstock import recipe
from seedstock.errors import RecipeError, SeedstockError
from seedstock.inputs.keys import Keys
from seedstock.objectives.base import Spec
from seedstock.objectives.causal import Causal
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.planning.size import resolve
from seedstock.training import batches
from seedstock.training.configs.parallel import ParallelConfig, check
from seedstock.training.parallel.layouts import spread
from seedstock.training.parallel.world import World
from seedstock.training.passing import Pass

FOLDER = Path(seedstock.__file__).parents[2] / "recipes"
RECIPES = sorted(FOLDER.rglob("*.yaml"))
LAYERS, CONTEXT = 2, 128
"""More of them would add time, and no other way to be cut."""
LABELS = tuple("0123456789")
PLAIN = {"permute": False, "split": "tokens"}
"""In the place of what an objective asks of a tokenizer."""
THREE = (
    {"data": 4, "shard": 4, "tensor": 4},
    {"data": 4, "shard": 4, "context": 4},
    {"data": 4, "shard": 16, "expert": 4},
    {"shard": 16, "context": 4, "expert": 4},
    {"pipeline": 4, "data": 4, "shard": 4},
)
"""Products of three, which are not proven by numbers."""
LAYOUTS = (
    {"shard": 64},
    {"data": 8, "shard": 8},
    {"shard": 8, "tensor": 8},
    {"shard": 16, "tensor": 4},
    {"tensor": 2},
    {"shard": 32, "context": 2},
    {"shard": 64, "expert": 2},
    {"shard": 32, "pipeline": 2},
)


def windows(length: int, partners: int) -> dict[str, np.ndarray]:
    shape = (1, length)
    found = {"tokens": np.full(shape, 200), "documents": np.zeros(shape, np.int64)}
    found["positions"] = np.arange(length)[None]
    if partners:
        found |= {f"partner_{name}": np.repeat(value[:, None], partners, 1) for name, value in found.items()}
    return found


def example(loaded: Any, objective: Any, context: int) -> dict[str, Any] | None:
    """A batch of one as a loader gives it: windows of tokens, or the arrays of an item. None where the objective is but
    the place of one that learns from another run's items."""
    if loaded.input.kind == "tokens":
        raw = windows(objective.raw_length(objective.window(context)), objective.partners)
        raw["scores"] = np.zeros((*raw["tokens"].shape, 1))  # for those objectives that weigh documents
    elif isinstance(objective, Causal):
        return None
    else:
        fields = loaded.input.fields()
        raw = {name: np.ones((1, *field.shape), field.dtype) for name, field in fields.items()}
        raw["present"] = np.ones(1, bool)
        if "length" in raw:  # all of it is real
            raw["length"][:] = next(one.shape[0] for one in fields.values() if one.shape)
    numbers = np.arange(1)
    arrays = {**objective.prepare(raw, Keys(1, numbers)), "examples": numbers}
    return objective.corrupt(batches.tensors(arrays, torch.device("cpu")), Keys(1, numbers))


def step(loaded: Any, parallel: dict[str, int], layers: int = LAYERS) -> tuple[int, int]:
    """Elements of all parameters, and of this process's parts, after one step of one example a process."""
    vocabulary = getattr(loaded.tokenizer, "vocab_size", None) or 512
    training = loaded.training.model_copy(update={"steps": 100, "tokens": None, "time": None})
    model = resolve(loaded.model, training, vocabulary)[0].filled()
    shorter = {"context": min(model.context, CONTEXT)} if loaded.input.kind == "tokens" else {}
    model = model.model_copy(update={"layers": layers, **shorter})
    config = ParallelConfig(**parallel)
    specials = {
        name: 3 + number
        for number, name in enumerate(dict.fromkeys(["bos", "eos", "pad", *loaded.objective.specials()]))
    }
    spec = Spec(vocab_size=vocabulary, context=model.context, specials=specials, model=model.resolved())
    if loaded.input.kind != "tokens":
        fields = {name: one.shape for name, one in loaded.input.fields().items()}
        spec = replace(spec, fields=fields, labels=LABELS, examples=RANKS, batch=RANKS)
    own = {name: value for name, value in PLAIN.items() if hasattr(loaded.objective, name)}
    try:
        if getattr(loaded.objective, "teacher", None) or loaded.objective.networks():
            raise SeedstockError("there is no such run")
        objective = loaded.objective.model_copy(update=own).build(spec)
    except SeedstockError:  # it learns from another run, or from what is measured first: the model is what is laid out
        objective = CausalConfig().build(spec)
    check(config, RANKS, model=model.resolved(), examples=RANKS, by_position=objective.by_position)
    world = World.of(config, torch.device("cpu"))
    batch = example(loaded, objective, model.context)
    network = model.build(vocabulary, 1, "meta")
    with no_numbers():
        nets = nn.ModuleDict({"network": shapes_of(network), **objective.nets()}).train()
        whole = sum(p.numel() for p in nets.parameters())
        passing = Pass(nets, objective)
        with unset_fake_temporarily():  # meshes are made of real numbers
            spread(passing, world, config)
        if batch is not None:
            if loaded.input.kind != "tokens":  # who chooses some of the items must see none of their numbers
                batch = {name: torch.empty_like(one) if name != "examples" else one for name, one in batch.items()}
            counts = world.sum(objective.counts(batch))
            if passing.pipeline is None:
                means, _ = passing(batch, counts)
                sum(means.values()).backward()
            else:  # the first stage, by itself
                found, _ = passing(batch, counts, stage=(passing.pipeline.layers[0], torch.zeros(1, 1)))
                found.sum().backward()
            assert all(p.grad.shape == p.shape for p in nets.parameters() if p.grad is not None)
            assert any(p.grad is not None for p in nets.parameters())
        return whole, sum(p.to_local().numel() for p in nets.parameters())


class NoUnits:
    """In the place of clusters of a corpus that is not there."""

    folder = None

    def __init__(self, config: Any, spec: Spec) -> None:
        self.frames = spec.context

    def of(self, batch: dict[str, Any]) -> torch.Tensor:
        return torch.zeros(1, self.frames, dtype=torch.int64)


def load(path: Path, patch: pytest.MonkeyPatch) -> Any:
    for name in re.findall(r"\$\{(\w+)\}", path.read_text()):
        patch.setenv(name, os.environ.get(name, "/nowhere"))
    patch.setattr("seedstock.objectives.hubert.Units", NoUnits)
    try:
        loaded = recipe.load(path)
    except RecipeError as error:
        assert "there is no trained model" in error.what, error
        pytest.skip("a recipe that asks a model of one's own")
    if loaded.model.size is None and getattr(loaded.model, "width", None) is None:
        pytest.skip("a recipe for a corpus, without a model")
    return loaded


def fits(loaded: Any, parallel: dict[str, int]) -> bool:
    """Makes a step; False where the model's sizes, or its objective, do not allow the layout."""
    with mesh_of_64():
        try:
            whole, own = step(loaded, parallel)
        except RecipeError as error:
            assert "does not divide" in error.what or "cannot be laid out over" in error.what, error
            return False
    cut = parallel.get("tensor", 1) * parallel.get("context", 1) * parallel.get("pipeline", 1)
    shards = parallel.get("shard", RANKS // parallel.get("data", 1) // cut)
    assert whole / shards / cut <= own <= whole / shards + whole / 8
    return True


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_step_over_64_processes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(path, monkeypatch)
    fitting = (fits(loaded, {"data": 2, "tensor": tensor}) for tensor in (8, 4, 2, 1))
    assert any(fitting) or not fits(loaded, {"shard": 64})


@pytest.mark.parametrize("parallel", THREE, ids=str)
def test_a_step_under_products_of_three(parallel: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    with mesh_of_64():
        whole, own = step(load(FOLDER / "moe.yaml", monkeypatch), parallel, layers=4)
    assert whole / 64 <= own <= whole / 4


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_step_under_every_layout(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(path, monkeypatch)
    for parallel in LAYOUTS:
        fits(loaded, parallel)
