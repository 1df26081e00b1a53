"""Models with their batches, and the full gradients of one step of each: alone, and laid out over a world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from halves import HalvesConfig

from seedstock.inputs.keys import Keys
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.encoder import EncoderConfig
from seedstock.models.configs.encoder_decoder import EncoderDecoderConfig
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.objectives.configs.masked import MaskedConfig
from seedstock.objectives.configs.multi_token import MultiTokenConfig
from seedstock.objectives.configs.prefix import PrefixConfig
from seedstock.objectives.configs.span_corruption import SpanCorruptionConfig
from seedstock.training import batches, float8
from seedstock.training.configs.float8 import Float8Config
from seedstock.training.configs.parallel import ParallelConfig, check
from seedstock.training.gradients import accumulate
from seedstock.training.norm import total_norm
from seedstock.training.parallel.layouts import spread
from seedstock.training.parallel.world import World
from seedstock.training.passing import Pass
from seedstock.training.settle import use

VOCABULARY, SPECIALS, CONTEXT = 160, 110, 16
SIZES = {"width": 32, "layers": 2, "heads": 4, "mlp_width": 64, "context": CONTEXT}
BAND = 1e-5
"""The relative difference that a full gradient in fp32 may show."""


@dataclass(frozen=True)
class Case:
    """A model and an objective; ``step`` makes its batch of that many examples as a loader would."""

    model: Any
    objective: Any

    def build(self) -> tuple[Any, Any]:
        network = self.model.build(VOCABULARY, 3)
        names = dict.fromkeys([*self.objective.specials(), "bos", "eos", "pad"])
        specials = {name: number for number, name in enumerate(names)}
        objective = self.objective.build(
            Spec(vocab_size=VOCABULARY, context=CONTEXT, specials=specials, model=self.model.resolved(), seed=3)
        )
        nets = assemble(network, objective).train()
        with torch.no_grad():  # zero matrices would hide what passes through them
            for name, parameter in nets.named_parameters():
                noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name)))
                parameter.add_(noise * (0.1 if parameter.ndim == 1 else 0.3 / parameter.shape[-1] ** 0.5))
        return nets, objective

    def batch(self, objective: Any, examples: np.ndarray) -> dict[str, np.ndarray]:
        length = objective.raw_length(objective.window(CONTEXT))
        items = _windows(examples, length)
        for number in range(objective.partners):
            for name, value in _windows(examples + 1000 * (number + 1), length).items():
                items.setdefault(f"partner_{name}", np.empty((len(value), objective.partners, length), value.dtype))
                items[f"partner_{name}"][:, number] = value
        return {**objective.prepare(items, Keys(1, examples)), "examples": examples}


def _windows(examples: np.ndarray, length: int) -> dict[str, np.ndarray]:
    tokens = SPECIALS + (examples[:, None] * 7919 + np.arange(length) * (1 + examples[:, None] % 3)) % (
        VOCABULARY - SPECIALS
    )
    documents = (np.arange(length)[None] >= (examples % length)[:, None]).astype(np.int64)
    positions = np.where(documents, np.arange(length) - (examples % length)[:, None], np.arange(length))
    return {"tokens": tokens, "documents": documents, "positions": positions}


def _t5(**changes: Any) -> Any:
    return EncoderDecoderConfig(shape="t5", **{**SIZES, **changes})


CASES: dict[str, Callable[[], Case]] = {
    "decoder": lambda: Case(
        DecoderConfig(shape="qwen3", kv_heads=2, dropout=0.1, tied_embeddings=True, **SIZES), CausalConfig(z_loss=1e-3)
    ),
    "decoder with biases": lambda: Case(DecoderConfig(shape="gpt2", **SIZES), CausalConfig()),
    "encoder with heads": lambda: Case(
        EncoderConfig(shape="bert", dropout=0.1, **SIZES), MaskedConfig(next_sentence=True)
    ),
    "encoder-decoder": lambda: Case(_t5(), SpanCorruptionConfig()),
    "experts": lambda: Case(
        DecoderConfig(
            shape="qwen3", kv_heads=2, experts=4, experts_per_token=2, expert_width=32, shared_expert=32, **SIZES
        ),
        CausalConfig(),
    ),
    "coupled": lambda: Case(DecoderConfig(shape="llama", kv_heads=2, **SIZES), HalvesConfig()),
    "heads ahead": lambda: Case(DecoderConfig(shape="llama", kv_heads=2, **SIZES), MultiTokenConfig(heads=2)),
}

BY_POSITION: dict[str, Callable[[], Case]] = {
    "decoder": CASES["decoder"],
    "experts": CASES["experts"],
    "prefixes, some windows": lambda: Case(
        DecoderConfig(shape="llama", kv_heads=2, dropout=0.1, window=5, global_every=2, **SIZES), PrefixConfig()
    ),
    "windows": lambda: Case(DecoderConfig(shape="llama", kv_heads=2, window=3, **SIZES), CausalConfig()),
    "encoder": lambda: Case(EncoderConfig(shape="modernbert", dropout=0.1, window=4, **SIZES), MaskedConfig()),
}
"""Those whose losses are of positions, so that sequences can be cut."""
LAYERED: dict[str, Callable[[], Case]] = {
    "untied": lambda: Case(
        DecoderConfig(shape="llama", kv_heads=2, dropout=0.1, **(SIZES | {"layers": 4})), CausalConfig(z_loss=1e-3)
    ),
    "experts, tied": lambda: Case(
        DecoderConfig(
            shape="qwen3",
            kv_heads=2,
            experts=4,
            experts_per_token=2,
            expert_width=32,
            tied_embeddings=True,
            **(SIZES | {"layers": 4}),
        ),
        CausalConfig(),
    ),
    "encoder": BY_POSITION["encoder"],
}
"""Those whose layers can be divided: of four layers, or two."""
EVERY = {**CASES, **BY_POSITION, **LAYERED}


def gradients(
    case: Case,
    count: int,
    micro: int,
    parallel: dict[str, Any] | None,
    *,
    compiled: bool = False,
    eight: str | None = None,
) -> dict[str, Any]:
    """One step's full gradients by name, its losses, metrics and norm, and the load of experts.

    ``parallel`` is a layout, which may name what is recomputed; ``eight`` a recipe of products in float8."""
    nets, objective = case.build()
    if eight:
        use(nets, torch.bfloat16)
        float8.use(nets, Float8Config(recipe=eight, emulate=True))  # type: ignore[arg-type]
    config = ParallelConfig(**{name: value for name, value in (parallel or {}).items() if name != "recompute"})
    again = (parallel or {}).get("recompute", "none")
    world = World.of(config, torch.device("cpu")) if config != ParallelConfig() else World()
    check(config, world.size, model=case.model.resolved(), examples=max(count, world.parts))
    passing = Pass(nets, objective)
    spread(passing, world, config, recompute=again, compile=_compile if compiled else None)
    low, high = count * world.part // world.parts, count * (world.part + 1) // world.parts
    arrays = {name: value[low:high] for name, value in case.batch(objective, np.arange(5, 5 + count)).items()}
    (parts,) = world.most(-(-(high - low) // micro))
    batch = batches.tensors(arrays, torch.device("cpu"))
    step = accumulate(
        nets, objective, batch, arrays["examples"], size=micro, seed=1, world=world, parts=parts, passing=passing
    )
    found = {name: parameter.grad for name, parameter in nets.named_parameters() if parameter.grad is not None}
    copies = passing.copies
    norm = total_norm((p.grad for p in nets.parameters() if p.grad is not None and p not in copies), world)
    if hasattr(nets["network"], "after_step"):
        nets["network"].after_step(world.add)
    loads = [module.last_load for module in nets.modules() if hasattr(module, "last_load")]
    full = {name: g.full_tensor() if hasattr(g, "full_tensor") else g for name, g in found.items()}
    if world.degrees.pipeline > 1:  # every stage has its own, and no more
        assert all(parameter.grad is not None for parameter in nets.parameters())
        full = {name: g for one in world.gather(full) for name, g in one.items()}
        held = [(name, module.last_load) for name, module in nets.named_modules() if hasattr(module, "last_load")]
        loads = [load for _, load in sorted({name: load for one in world.gather(held) for name, load in one}.items())]
    return {
        "gradients": full,
        "losses": step.losses,
        "metrics": step.metrics,
        "positions": world.total(step.positions),
        "norm": norm,
        "loads": loads,
    }


def _compile(nets: Any) -> None:
    nets["network"].compile(dynamic=False)


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    """The relative difference of each parameter's full gradient, in its norm. Some gradients are zero but for rounding
    (attention does not see a bias of its keys): these are held against a ten-thousandth of the whole norm."""
    assert ours["gradients"].keys() == theirs["gradients"].keys()
    least = 1e-4 * theirs["norm"]
    return {
        name: float((ours["gradients"][name] - one).norm() / one.norm().clamp(min=least))
        for name, one in theirs["gradients"].items()
    }
