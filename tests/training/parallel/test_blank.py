"""Networks that are laid out before they have weights: the first ones are those of one process, bit for bit."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from alive import Alive
from gloo import together
from parity_cases import EVERY, VOCABULARY
from small_run import small_config, small_fit, small_network

from seedstock.models.configs.audio import AudioConfig
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.objectives.base import Objective, Spec, assemble
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.training import presume
from seedstock.training.configs.parallel import Degrees, ParallelConfig
from seedstock.training.parallel import blank
from seedstock.training.parallel.layouts import spread
from seedstock.training.parallel.world import World
from seedstock.training.passing import Pass
from seedstock.training.state import load_weights

CPU = torch.device("cpu")
WAYS = {
    2: [
        ("decoder", {"data": 2}),
        ("experts", {"context": 2}),
        ("experts", {"expert": 2}),
        ("experts, tied", {"pipeline": 2}),
        ("encoder with heads", {"tensor": 2}),
        ("encoder-decoder", {"shard": 2}),
        ("heads ahead", {"shard": 2}),
    ],
    4: [("decoder with biases", {"shard": 2, "tensor": 2}), ("experts", {"shard": 4, "expert": 2})],
}
LARGE: dict[str, Any] = {"width": 64, "layers": 8, "heads": 4, "context": 16}


def made(name: str, device: str) -> tuple[Any, Any]:
    """Nets as a run has them before its first step, and their objective."""
    case = EVERY[name]()
    specials = dict.fromkeys([*case.objective.specials(), "bos", "eos", "pad"])
    spec = Spec(
        vocab_size=VOCABULARY,
        context=16,
        specials={special: number for number, special in enumerate(specials)},
        model=case.model.resolved(),
        seed=3,
    )
    objective = case.objective.build(spec)
    return assemble(case.model.build(VOCABULARY, 3, device), objective, CPU), objective


def first(rank: int, ways: list[tuple[str, dict[str, int]]]) -> list[dict[str, torch.Tensor]]:
    """All that has values, whole, after each layout."""
    found = []
    for name, layout in ways:
        world = World.of(ParallelConfig(**layout), CPU)
        nets, objective = made(name, "meta")
        passing = Pass(nets, objective)
        spread(passing, world, ParallelConfig(**layout))
        blank.fill(passing, CPU, lambda network: network.initialise())
        whole = {name: getattr(p, "full_tensor", p.detach)().detach() for name, p in nets.named_parameters()}
        whole |= dict(nets.named_buffers())
        if "pipeline" in layout:
            whole = {name: tensor for one in world.gather(whole) for name, tensor in one.items()}
        found.append(whole)
    return found


def work(rank: int, root: Path, ways: list[tuple[str, dict[str, int]]]) -> Any:
    found: dict[str, Any] = {"first": first(rank, ways)}
    if torch.distributed.get_world_size() > 2:
        return found
    parallel = {"shard": 2}
    config = small_config(micro_batch=2, steps=6, checkpoint_every=3, parallel=parallel, optimizer={"kind": "adamw"})
    nobody = small_network()
    shapes = type(nobody)(nobody.config, nobody.vocab_size, nobody.seed, "meta")
    given: dict[str, Any] = {"objective": CausalConfig().build(), "device": CPU}
    found["whole"] = small_fit(root / "whole", config, small_network()).losses
    found["blank"] = small_fit(root / "blank", config, shapes, **given).losses

    def begin(network: Any) -> None:
        load_weights(root / "whole" / "checkpoints" / "step-00000006", network)

    shapes = type(nobody)(nobody.config, nobody.vocab_size, nobody.seed, "meta")
    found["further"] = small_fit(root / "further", config, shapes, begin=begin, **given).losses
    config = config.model_copy(update={"steps": 9})
    for name, network in (("whole", small_network()), ("blank", None)):
        shapes = network or type(nobody)(nobody.config, nobody.vocab_size, nobody.seed, "meta")
        found[f"{name} resumed"] = small_fit(root / name, config, shapes, **given).losses
    found["bytes"] = held()
    return found


def held() -> tuple[int, int, int]:
    """The most bytes that it takes to lay out and fill a network, those of its parameters, and of the largest."""
    network: Any = DecoderConfig(shape="llama", **LARGE).build(512, 1, "meta")
    sizes = [parameter.numel() * 4 for parameter in network.parameters()]
    objective = CausalConfig().build()
    config = ParallelConfig(shard=2)
    with Alive() as alive:
        passing = Pass(assemble(network, objective, CPU), objective)
        spread(passing, World.of(config, CPU), config)
        blank.fill(passing, CPU, lambda network: network.initialise())
    return alive.most, sum(sizes), max(sizes)


@cache
def gave(ranks: int, root: Path) -> list[dict[str, Any]]:
    return together(work, ranks, root, WAYS[ranks])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_initial_weights_do_not_depend_on_the_layout(ranks: int, root: Path) -> None:
    for number, (name, _) in enumerate(WAYS[ranks]):
        nets = made(name, "cpu")[0]
        whole = dict(nets.named_parameters()) | dict(nets.named_buffers())
        for found in gave(ranks, root):
            assert found["first"][number].keys() == whole.keys()
            assert all(torch.equal(found["first"][number][key], tensor) for key, tensor in whole.items())


def test_a_run_is_the_same_run_whether_anybody_held_the_whole_network(root: Path) -> None:
    found = gave(2, root)[0]
    assert found["blank"] == found["whole"] and len(found["blank"]) == 6
    assert found["blank resumed"] == found["whole resumed"] and len(found["blank resumed"]) == 3


def test_every_process_reads_its_part_of_the_weights_that_a_run_starts_from(root: Path) -> None:
    found = gave(2, root)[0]
    assert found["further"][0] < found["whole"][0] and found["further"] != found["blank"]


def test_no_process_holds_more_than_its_parts_and_one_parameter(root: Path) -> None:
    for found in gave(2, root):
        most, whole, largest = found["bytes"]
        assert most <= whole / 2 + 2 * largest < 0.75 * whole


def test_networks_and_objectives_that_look_at_several_parameters_are_made_whole() -> None:
    class Teacher(Objective):
        def assembled(self, nets: Any) -> None:
            """Begins as a copy."""

    decoder = type(small_network())
    audio = type(AudioConfig(width=32, layers=1, heads=2).build(0, 1, "meta"))
    assert blank.possible(decoder, CausalConfig().build())
    assert not blank.possible(decoder, Teacher()) and not blank.possible(audio, CausalConfig().build())


def test_what_cannot_be_measured_is_presumed(monkeypatch: pytest.MonkeyPatch) -> None:
    network = small_network()
    open_ones = {"precision": "auto", "compile": "auto", "threads": None, "micro_batch": None}
    config = small_config(batch_examples=64, **open_ones)
    monkeypatch.setattr(presume, "room", lambda device: 2**40)
    assert not presume.too_large(config, network, CPU)
    found, _ = presume.presume(config, network, CPU, Degrees(shard=2))
    assert found.measured and (found.precision, found.compile, found.micro_batch) == ("fp32", False, 32)
    monkeypatch.setattr(presume, "room", lambda device: 2**17)
    assert presume.too_large(config, network, CPU)
    smaller, _ = presume.presume(config, network, CPU, Degrees(shard=2))
    assert smaller.measured and smaller.micro_batch < 32
