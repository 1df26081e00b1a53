"""What a recipe leaves to the machine, settled by a short measurement: precision, threads, micro-batch, compilation.

The outcome is part of the run's record, and a resume or a rerun repeats it instead of measuring again.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from seedstock.errors import RecipeError
from seedstock.progress import Reporter
from seedstock.training import batches, measure
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.gradients import accumulate
from seedstock.training.optimizers.groups import build, trained

BUDGET = 12.0
"""Seconds that the measurement may take, as long as a few passes over one example fit in them."""
PROBE = 0.3
"""Seconds that one pass should take: long enough to tell, short enough to repeat."""
FAR_BEHIND = (5.0, 1.7, 1.3, 1.3, 1.3)
"""For each round, how many times the best cost takes a candidate out of the race."""
LONG = 1800.0
"""Seconds of training from which a compilation, which takes up to a minute, is worth trying."""
TIME_SHARE = 0.9
"""Of a horizon in seconds, the share for steps; the rest is for validation, samples and checkpoints."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def settle(
    config: TrainingConfig, nets: nn.ModuleDict, objective: Any, arrays: dict[str, np.ndarray], seed: int
) -> tuple[TrainingConfig, dict[str, Any]]:
    """The configuration with nothing left to measure, and the figures behind each choice.

    ``arrays`` is one batch of the run. Weights are left as they are; threads and precision are as before afterwards,
    for ``apply`` to set. Raises RecipeError where the run has no horizon.
    """
    threads = torch.get_num_threads()
    try:
        return _Probe(config, nets, objective, arrays, seed).settle()
    finally:
        torch.set_num_threads(threads)
        use(nets, torch.float32)
        nets.zero_grad(set_to_none=True)


def use(nets: nn.ModuleDict, dtype: torch.dtype) -> None:
    """Tells every net that knows of precisions to compute in ``dtype``."""
    for net in nets.values():
        if hasattr(net, "use"):
            net.use(dtype)  # type: ignore[operator]


def apply(config: TrainingConfig, nets: nn.ModuleDict, reporter: Reporter) -> None:
    """Sets precision and compilation of the nets as settled."""
    use(nets, DTYPES[config.precision])
    if config.compile is True:
        reporter.say("compiling at the first step, which takes up to a minute")
        nets["network"].compile(dynamic=False)


@dataclass
class _Probe:
    config: TrainingConfig
    nets: nn.ModuleDict
    objective: Any
    arrays: dict[str, np.ndarray]
    seed: int

    def settle(self) -> tuple[TrainingConfig, dict[str, Any]]:
        self.device = next(self.nets.parameters()).device
        self.batch = batches.tensors(self.arrays, self.device)
        self.count = len(self.arrays["examples"])
        self.until = time.perf_counter() + BUDGET
        self.figures: dict[str, Any] = {}
        self.found: dict[str, Any] = {"tokens": None, "time": None}
        self.nets.train()
        positions = self._pass(1, 1)
        self._optimizer_precision()
        self._precision_and_threads()
        self._micro_batch()
        self.found["steps"] = self._steps(positions * self.count)
        self.found["compile"] = self._compiles()
        return self.config.model_copy(update=self.found), self.figures

    def _precision_and_threads(self) -> None:
        """Together, since bf16 may want another number of threads than fp32."""
        precisions = [*DTYPES] if self.config.precision == "auto" else [self.config.precision]
        if self.config.float8:
            precisions = ["bf16"]
        most = torch.get_num_threads()
        threads = [self.config.threads or most]
        if not self.config.threads and self.device.type == "cpu":
            threads = sorted({most, max(1, most // 2), 1}, reverse=True)
        one = min(self._time(1, 1) for _ in range(3))
        count = max(1, min(self.count, int(PROBE / one)))

        def cost(candidate: tuple[str, int]) -> float:
            self._use(*candidate)
            return self._time(count, count) / count

        pairs = [(precision, number) for precision in precisions for number in threads]
        (precision, number), costs = self._race(pairs, cost)
        self._use(precision, number)
        self.found |= {"precision": precision, "threads": number}
        self.example = costs.get((precision, number), one)
        self.figures["seconds_an_example"] = {f"{name}, threads {n}": _short(v) for (name, n), v in costs.items()}

    def _micro_batch(self) -> None:
        """The fastest size up to what a pass of a second or so allows; on a GPU, that memory allows."""
        if self.config.micro_batch or self.objective.coupling == "batch":
            self.found["micro_batch"] = min(self.count, self.config.micro_batch or self.count)
            return
        most, halvings = self.count, 16
        if self.device.type == "cpu":
            most, halvings = max(1, min(self.count, int(4 * PROBE / self.example))), 3
        sizes = sorted({-(-most // 2**n) for n in range(halvings + 1)}, reverse=True)
        size, costs = self._race(sizes, lambda size: self._time(most, size) / most)
        if costs and costs[size] == float("inf"):
            raise RecipeError(
                "the device's memory does not hold one example", where="training", fix="take a smaller model or context"
            )
        self.figures["micro_batch"] = {str(key): _short(value) for key, value in costs.items()}
        self.found["micro_batch"] = -(-self.count // -(-self.count // size))  # equal parts

    def _race(self, candidates: list[Any], cost: Callable[[Any], float]) -> tuple[Any, dict[Any, float]]:
        """The candidate with the lowest cost of several rounds; who is far behind drops out.

        In rounds, not one after the other: what else the machine does comes and goes, and a first pass also pays for
        what is made once.
        """
        costs: dict[Any, float] = {}
        left = list(candidates)
        for behind in FAR_BEHIND if len(left) > 1 else ():
            for candidate in left:
                if len(costs) == len(candidates) and time.perf_counter() > self.until:
                    break
                costs[candidate] = min(cost(candidate), costs.get(candidate, float("inf")))
            best = min(costs.values())
            left = [candidate for candidate in left if costs[candidate] <= behind * best]
        return min(costs, key=lambda candidate: costs[candidate], default=candidates[0]), costs

    def _use(self, precision: str, threads: int) -> None:
        use(self.nets, DTYPES[precision])
        torch.set_num_threads(threads)

    def _steps(self, positions: int) -> int:
        if self.config.steps:
            return self.config.steps
        if self.config.tokens:
            return max(1, round(self.config.tokens / positions))
        if not self.config.time:
            raise RecipeError(
                "the run has no length", where="training", fix="give training.steps, training.tokens or training.time"
            )
        step = min(self._time(self.count, self.found["micro_batch"]) for _ in range(2)) + self._optimizer_seconds()
        self.figures["seconds_a_step"] = _short(step)
        return max(1, int(TIME_SHARE * self.config.time / step))

    def _compiles(self) -> bool:
        if self.config.compile != "auto":
            return self.config.compile
        size = self.found["micro_batch"]
        if self.example * self.count * self.found["steps"] < LONG:
            return False
        network = self.nets["network"]
        plain = min(self._time(size, size) for _ in range(3))
        try:
            network.compile(dynamic=False)
            self._pass(size, size)
            compiled = min(self._time(size, size) for _ in range(3))
        except Exception as error:  # a missing C++ compiler, an operation that the compiler does not know
            self.figures["compile"] = {"error": type(error).__name__}
            return False
        finally:
            for module in network.modules():
                module._compiled_call_impl = None
        self.figures["compile"] = {"eager": _short(plain), "compiled": _short(compiled)}
        return compiled < 0.95 * plain

    def _optimizer_precision(self) -> None:
        """bf16 for an optimizer's own matrix products, where it has any, if they are no slower than in fp32."""
        optimizer = self.config.optimizer
        if getattr(optimizer, "precision", None) != "auto":
            return
        rates = {name: measure.peak(dtype, self.device, 0.2) for name, dtype in DTYPES.items()}
        self.figures["flops"] = {name: _short(rate) for name, rate in rates.items()}
        chosen = max(rates, key=lambda name: rates[name])
        self.found["optimizer"] = optimizer.model_copy(update={"precision": chosen})

    def _optimizer_seconds(self) -> float:
        """One step of the optimizers, on copies of the weights."""
        nets = copy.deepcopy(self.nets)
        parameters, roles = trained(nets)
        for parameter in parameters.values():
            parameter.grad = torch.ones_like(parameter)
        model = getattr(nets["network"], "config", None)
        optimizers = build(self.config.model_copy(update=self.found), parameters, roles, model)
        fastest = float("inf")
        for _ in range(3):
            began = time.perf_counter()
            for optimizer in optimizers:
                optimizer.step()
            measure.wait(self.device)
            fastest = min(fastest, time.perf_counter() - began)
        return fastest

    def _time(self, count: int, size: int) -> float:
        """Seconds of one forward and backward pass over ``count`` examples; inf where memory does not hold it."""
        began = time.perf_counter()
        try:
            self._pass(count, size)
        except torch.OutOfMemoryError:
            self.nets.zero_grad(set_to_none=True)
            torch.get_device_module(self.device).empty_cache()
            return float("inf")
        return time.perf_counter() - began

    def _pass(self, count: int, size: int) -> int:
        rows = next(batches.split(self.batch, count))
        given = accumulate(self.nets, self.objective, rows, self.arrays["examples"][:count], size=size, seed=self.seed)
        self.nets.zero_grad(set_to_none=True)
        measure.wait(self.device)
        return given.positions


def _short(value: float) -> float:
    return float(f"{value:.4g}")
