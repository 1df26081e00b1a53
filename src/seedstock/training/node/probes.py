"""What each process of a check does: links and devices measured, gradients compared, a small run stopped half way."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from seedstock.errors import Interrupted
from seedstock.ledger.chain import Chain
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.objectives.base import Spec
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.training import batches, measure
from seedstock.training.callbacks.base import Callback
from seedstock.training.configs.parallel import ParallelConfig
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.fit import fit
from seedstock.training.gradients import accumulate
from seedstock.training.parallel.layouts import spread
from seedstock.training.parallel.world import World
from seedstock.training.passing import Pass

VOCABULARY, CONTEXT, STEPS, HALF = 128, 32, 6, 3
MODEL = DecoderConfig(shape="qwen3", width=64, layers=2, heads=8, kv_heads=8, mlp_width=128, context=CONTEXT)
TOLERANCE = 1e-5
"""The relative difference that full gradients in fp32 may show."""


def device() -> torch.device:
    """This process's."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


class Texts:
    """Batches as a pure function of the step."""

    def __init__(self, size: int) -> None:
        self.size = size

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """Texts that count upwards."""
        examples = np.arange(step * self.size, (step + 1) * self.size)
        places = np.arange(CONTEXT + 1)
        tokens = (examples[:, None] * 7919 + places * (1 + examples[:, None] % 3)) % VOCABULARY
        documents, positions = np.zeros_like(tokens), np.repeat(places[None], len(examples), 0)
        return {"examples": examples, "tokens": tokens, "documents": documents, "positions": positions}


def links(megabytes: int, turns: int) -> dict[str, Any]:
    """All-reduce over everybody, and the way from each process to the next: bytes a second, the slowest named.

    All-reduce counts what each link carries, 2 (n - 1) / n of the data (the bus bandwidth of NCCL's tests).
    """
    rank, size = dist.get_rank(), dist.get_world_size()
    data = torch.full((megabytes * 2**18,), float(rank + 1), device=device())
    total = data.clone()
    dist.all_reduce(total)
    right = bool((total == size * (size + 1) / 2).all())
    fastest = float("inf")
    for _ in range(turns):
        dist.barrier()
        began = time.perf_counter()
        dist.all_reduce(total)
        measure.wait(data.device)
        fastest = min(fastest, time.perf_counter() - began)
    bus = 2 * (size - 1) / size * data.nbytes / fastest
    pairs = []
    for sender in range(size):
        receiver, best = (sender + 1) % size, float("inf")
        for _ in range(turns):
            dist.barrier()
            began = time.perf_counter()
            if rank == sender:
                dist.send(data, receiver)
            elif rank == receiver:
                dist.recv(total, sender)
            measure.wait(data.device)
            dist.barrier()
            best = min(best, time.perf_counter() - began)
        right = right and (rank != receiver or bool((total == sender + 1).all()))
        pairs.append(data.nbytes / best)
    return {"bus": _agreed(bus), "pairs": [_agreed(one) for one in pairs], "right": _agreed(float(right)) == 1.0}


def _agreed(value: float) -> float:
    """The least of all processes' values."""
    held = torch.tensor(value, dtype=torch.float64, device=device())
    dist.all_reduce(held, dist.ReduceOp.MIN)
    return float(held)


def rates(seconds: float) -> list[float]:
    """FLOP/s of each process's matrix products in fp32, all working at once."""
    dist.barrier()
    own = torch.tensor(measure.peak(torch.float32, device(), seconds), dtype=torch.float64, device=device())
    found = [torch.zeros_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(found, own)
    return [float(one) for one in found]


def parity(layouts: list[dict[str, int]]) -> dict[str, float]:
    """The relative difference of one step's full gradients under each layout from one process's."""
    logging.getLogger("torch.distributed.tensor").setLevel(logging.ERROR)  # how it gathers is no news here
    alone = _gradients(None)
    found = {}
    for layout in layouts:
        whole = _gradients(layout)
        far = sum(float((whole[name] - one).double().square().sum()) for name, one in alone.items())
        size = sum(float(one.double().square().sum()) for one in alone.values())
        name = " × ".join(f"{name} {degree}" for name, degree in layout.items())
        found[name] = (far / size) ** 0.5
    return found


def _gradients(layout: dict[str, Any] | None) -> dict[str, torch.Tensor]:
    network = MODEL.build(VOCABULARY, 3, str(device()))
    objective = CausalConfig().build(Spec(vocab_size=VOCABULARY, context=CONTEXT, model=MODEL.resolved()))
    with torch.no_grad():  # matrices that start at zero would hide what passes through them
        for name, parameter in sorted(network.named_parameters()):
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name)))
            parameter.add_(0.1 * noise.to(parameter.device))
    config = ParallelConfig(**(layout or {}))
    world = World() if layout is None else World.of(config, device())
    passing = Pass(torch.nn.ModuleDict({"network": network}), objective)
    spread(passing, world, config)
    count = 2 * dist.get_world_size() + 1  # uneven on purpose
    low, high = count * world.part // world.parts, count * (world.part + 1) // world.parts
    arrays = {name: one[low:high] for name, one in Texts(count).batch(0).items()}
    (parts,) = world.most(-(-(high - low) // 2))
    accumulate(
        passing.nets,
        objective,
        batches.tensors(arrays, device()),
        arrays["examples"],
        size=2,
        seed=1,
        world=world,
        parts=None if world.alone else parts,
        passing=passing,
    )
    held = {name: one.grad for name, one in passing.nets.named_parameters() if one.grad is not None}
    return {name: one.full_tensor() if hasattr(one, "full_tensor") else one for name, one in held.items()}


class _StopAt(Callback):
    name = "stop"
    everywhere = True

    def __init__(self, step: int) -> None:
        self.step = step

    def after_step(self, run: Any) -> None:
        """Asks for a stop."""
        if run.step == self.step:
            run.stop.request("the check")


def train(folder: Path, examples: int, stop: int | None = None) -> list[float]:
    """The losses of a small run of ``STEPS`` steps, gone on with where ``folder`` has a part of it; none where it is
    stopped."""
    chosen: dict[str, Any] = {"precision": "fp32", "compile": False, "threads": torch.get_num_threads()}
    config = TrainingConfig(
        steps=STEPS,
        checkpoint_every=STEPS,
        batch_examples=examples,
        micro_batch=2,
        optimizer={"kind": "adamw"},
        **chosen,
    )
    try:
        return fit(
            network=MODEL.build(VOCABULARY, 3, str(device())),
            objective=CausalConfig().build(Spec(vocab_size=VOCABULARY, context=CONTEXT, model=MODEL.resolved())),
            loader=Texts(examples),
            config=config,
            run_folder=folder,
            chain=Chain(folder / "ledger" / "chain.jsonl"),
            callbacks=[] if stop is None else [_StopAt(stop)],
        ).losses
    except Interrupted:
        return []


def everything(folder: Path, megabytes: int, turns: int, layouts: list[dict[str, int]], examples: int) -> Any:
    """All that needs every process, in one start of them."""
    found: dict[str, Any] = {"links": links(megabytes, turns), "rates": rates(0.2)}
    found["parity"] = parity(layouts)
    found["losses"] = train(folder / "whole", examples)
    train(folder / "halved", examples, stop=HALF)
    return found


def lost() -> None:
    """Process 1 is killed, as a machine that fails would; the others wait for it."""
    total = torch.zeros(1, device=device())
    for turn in range(3):
        if turn == 1 and dist.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        dist.all_reduce(total)
        total.item()
