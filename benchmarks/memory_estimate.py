"""Peak memory of real training steps beside what ``plan`` says, configuration by configuration.

The truth is torch's allocator: every allocation and release of a step on a CPU, as its profiler records them (scratch
inside operators included), on top of weights and optimizer state. Writes a Markdown table to standard output.

    python benchmarks/memory_estimate.py [--only NAME]
"""

from __future__ import annotations

import argparse
import gc
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.encoder import EncoderConfig
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.objectives.configs.masked import MaskedConfig
from seedstock.planning.memory import Use, memory, peak
from seedstock.planning.parameters import Shape
from seedstock.training import batches
from seedstock.training.configs.optimizers import AdafactorConfig, AdamWConfig, LionConfig, MuonConfig, SoapConfig
from seedstock.training.ema import Average
from seedstock.training.gradients import accumulate
from seedstock.training.norm import clip, total_norm
from seedstock.training.optimizers.groups import trained
from seedstock.training.parallel.world import World
from seedstock.training.passing import Pass

SPECIALS = {"pad": 0, "bos": 1, "eos": 2, "mask": 3}


@dataclass(frozen=True)
class Case:
    """One row: a model, an optimizer, and how many examples go through at once."""

    name: str
    model: Any
    vocab: int = 4096
    micro: int = 8
    passes: int = 1
    precision: str = "fp32"
    optimizer: str = "adamw"
    ema: float | None = None


OPTIMIZERS: dict[str, Any] = {
    "adamw": AdamWConfig(),
    "muon": MuonConfig(precision="fp32"),
    "lion": LionConfig(),
    "adafactor": AdafactorConfig(),
    "soap": SoapConfig(),
}
SMALL = {"width": 256, "layers": 6, "heads": 4}
CASES = (
    Case("Qwen3, fp32", DecoderConfig(shape="qwen3", context=256, **SMALL)),
    Case("Qwen3, bf16", DecoderConfig(shape="qwen3", context=256, **SMALL), precision="bf16"),
    Case("Qwen3, bf16, T = 1,024", DecoderConfig(shape="qwen3", context=1024, **SMALL), micro=4, precision="bf16"),
    Case("GPT-2, fp32, V = 16,384", DecoderConfig(shape="gpt2", context=256, **SMALL), vocab=16384),
    Case("plain, bf16, 4 passes", DecoderConfig(shape="plain", context=256, **SMALL), precision="bf16", passes=4),
    Case("plain, Muon, average", DecoderConfig(shape="plain", context=256, **SMALL), optimizer="muon", ema=0.99),
    Case("Qwen3, fp32, Lion", DecoderConfig(shape="qwen3", context=256, **SMALL), optimizer="lion"),
    Case("Qwen3, fp32, Adafactor", DecoderConfig(shape="qwen3", context=256, **SMALL), optimizer="adafactor"),
    Case("Qwen3, fp32, SOAP", DecoderConfig(shape="qwen3", context=256, **SMALL), optimizer="soap"),
    Case("wide and shallow, one example", DecoderConfig(width=1024, layers=4, heads=16, context=128), micro=1),
    Case("Mixtral, fp32", DecoderConfig(shape="mixtral", width=192, layers=4, heads=6, context=256), micro=4),
    Case("BERT, masked, fp32", EncoderConfig(shape="bert", context=256, **SMALL)),
    Case("ModernBERT, masked, bf16", EncoderConfig(shape="modernbert", context=256, **SMALL), precision="bf16"),
)  # fmt: skip


class Marked(Pass):
    """Notes when each forward pass ended."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        found = super().forward(*args, **kwargs)
        self.marks.append(time.time_ns())
        return found


def measure(case: Case) -> dict[str, float]:
    """Bytes of a step by part, and the peak."""
    torch.manual_seed(0)
    config = case.model.resolved()
    network = config.build(case.vocab).use(torch.bfloat16 if case.precision == "bf16" else torch.float32)
    kind = MaskedConfig if config.kind == "encoder" else CausalConfig
    spec = Spec(vocab_size=case.vocab, context=config.context, specials=SPECIALS, model=config, seed=1)
    objective = kind().build(spec)
    passing = Marked(assemble(network, objective), objective)
    passing.marks = []
    parameters, roles = trained(passing.nets)
    chosen = OPTIMIZERS[case.optimizer]
    optimizers = chosen.build(parameters, roles)
    average = Average(parameters, case.ema) if case.ema else None
    count = case.micro * case.passes
    batch = batches.tensors(_batch(case, config, objective, count), torch.device("cpu"))
    examples = batch["examples"].numpy()

    def step() -> dict[str, float]:
        accumulate(passing.nets, objective, batch, examples, size=case.micro, seed=1, passing=passing)
        gradients = [p.grad for p in parameters.values() if p.grad is not None]
        clip(gradients, 1.0, total_norm(gradients, World()))
        for optimizer in optimizers:
            optimizer.step()
        held = {
            "gradients": sum(_bytes(g) for g in gradients),
            "optimizer": sum(_bytes(t) for o in optimizers for s in o.state.values() for t in s.values()),
        }
        for parameter in parameters.values():
            parameter.grad = None
        if average is not None:
            average.update(1)
        return held

    step()
    gc.collect()
    passing.marks.clear()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        held = step()
    weights = sum(map(_bytes, parameters.values()))
    still = weights + held["optimizer"] + (weights if average else 0)
    now = most = 0
    kept, mark = 0, passing.marks[-1]
    events = [e for e in record.profiler.kineto_results.events() if e.name() == "[memory]"]
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        most = max(most, now)
        if event.start_ns() <= mark:
            kept = now
    kept -= held["gradients"] if case.passes > 1 else 0
    return {"weights": weights, **held, "activations": kept, "peak": still + most}


def _bytes(tensor: Any) -> int:
    return tensor.numel() * tensor.element_size() if isinstance(tensor, torch.Tensor) else 0


def _batch(case: Case, config: Any, objective: Any, count: int) -> dict[str, np.ndarray]:
    length = objective.raw_length(config.context)
    tokens = np.random.default_rng(1).integers(4, case.vocab, (count, length))
    # Two documents in each window, as packed ones have.
    documents = np.repeat((np.arange(length) > length // 3)[None].astype(np.int64), count, 0)
    positions = np.where(documents == 0, np.arange(length), np.arange(length) - length // 3 - 1)
    return {"tokens": tokens, "documents": documents, "positions": positions, "examples": np.arange(count)}


def expected(case: Case) -> dict[str, float]:
    """The same from the plan's formula."""
    use = Use(case.micro, case.passes, case.optimizer, case.precision, case.ema is not None, "cpu")
    parts = memory(Shape.of(case.model), case.vocab, use)
    return parts | {"peak": peak(parts, use)}


def main() -> None:
    """Measures every case and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME", help="cases whose name holds this")
    options = parser.parse_args()
    torch.set_num_threads(2)
    print("| configuration | weights | gradients | optimizer | kept for the backward pass | peak | plan says | off |")
    print("|---|---|---|---|---|---|---|---|")
    for case in CASES:
        if options.only not in case.name:
            continue
        found, said = measure(case), expected(case)
        shown = [f"{found[name] / 2**20:.1f}" for name in ("weights", "gradients", "optimizer")]
        kept = f"{found['activations'] / 2**20:.1f}"
        off = said["peak"] / found["peak"] - 1
        total = f"{found['peak'] / 2**20:.1f} | {said['peak'] / 2**20:.1f} | {off:+.1%}"
        print(f"| {case.name} | {' | '.join(shown)} | {kept} | {total} |", flush=True)


if __name__ == "__main__":
    main()
