"""What a recipe leaves to the machine, settled by a short measurement: precision, threads, micro-batch, compilation.

The outcome is part of the run's record, and a resume or a rerun repeats it instead of measuring again.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable
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
from seedstock.training.optimizers.groups import trained

BUDGET = 15.0
"""Seconds that the measurement may take, as long as one pass over one example fits in them."""
PROBE = 1.0
"""Seconds that one pass of the probe should take at most."""
LONG = 1800.0
"""Seconds of training from which a compilation, which takes up to a minute, is worth trying."""
TIME_SHARE = 0.9
"""Of a horizon in seconds, the share for steps; the rest is for validation, samples and checkpoints."""


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
    use(nets, torch.bfloat16 if config.precision == "bf16" else torch.float32)
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
        self.nets.train()
        use(self.nets, torch.float32)
        positions = self._pass(1, 1)
        began = time.perf_counter()
        self._pass(1, 1)
        probe = max(1, min(self.count, int(PROBE / (time.perf_counter() - began + 1e-9))))

        self.found: dict[str, Any] = {}
        self._optimizer_precision()
        self._choose("precision", self._precisions(), lambda value: self._precision(value, probe))
        self._choose("threads", self._threads(), lambda value: self._with_threads(value, probe))
        self._choose("micro_batch", self._sizes(probe), lambda value: self._time(self.count, value) / self.count)
        self.found["steps"] = self._steps(positions * self.count)
        self.found |= {"tokens": None, "time": None}
        self.found["compile"] = self._compiles()
        return self.config.model_copy(update=self.found), self.figures

    def _choose(self, name: str, candidates: Iterable[Any], cost: Callable[[Any], float]) -> None:
        """Takes the candidate with the lowest cost; the first where there is no time to try another."""
        candidates = list(candidates)
        chosen = candidates[0]
        if len(candidates) > 1:
            costs: dict[Any, float] = {}
            for candidate in candidates:
                if not costs or time.perf_counter() < self.until:
                    costs[candidate] = cost(candidate)
            chosen = min(costs, key=lambda candidate: costs[candidate])
            if costs[chosen] == float("inf"):
                raise RecipeError(
                    "the device's memory does not hold one example", where="training", fix="a smaller model or context"
                )
            self.figures[name] = {str(key): float(f"{value:.4g}") for key, value in costs.items()}
        self.found[name] = chosen
        if name == "precision":
            use(self.nets, torch.bfloat16 if chosen == "bf16" else torch.float32)
        elif name == "threads":
            torch.set_num_threads(chosen)

    def _precisions(self) -> list[str]:
        return ["fp32", "bf16"] if self.config.precision == "auto" else [self.config.precision]

    def _precision(self, value: str, probe: int) -> float:
        use(self.nets, torch.bfloat16 if value == "bf16" else torch.float32)
        return self._time(probe, probe)

    def _threads(self) -> list[int]:
        if self.config.threads:
            return [self.config.threads]
        most = torch.get_num_threads()
        return [most] if self.device.type != "cpu" else sorted({most, max(1, most // 2), 1}, reverse=True)

    def _with_threads(self, value: int, probe: int) -> float:
        torch.set_num_threads(value)
        return self._time(probe, probe)

    def _sizes(self, probe: int) -> list[int]:
        if self.config.micro_batch or self.objective.coupling == "batch":
            return [min(self.count, self.config.micro_batch or self.count)]
        if self.device.type == "cpu" and probe < self.count:
            return [probe]
        halves = [-(-self.count // 2**n) for n in range(16 if self.device.type != "cpu" else 4)]
        return sorted(set(halves), reverse=True)

    def _steps(self, positions: int) -> int:
        if self.config.steps:
            return self.config.steps
        if self.config.tokens:
            return max(1, round(self.config.tokens / positions))
        if not self.config.time:
            raise RecipeError(
                "the run has no length", where="training", fix="give training.steps, training.tokens or training.time"
            )
        a_step = self._time(self.count, self.found["micro_batch"]) + self._optimizer_seconds()
        self.figures["seconds_a_step"] = float(f"{a_step:.4g}")
        return max(1, int(TIME_SHARE * self.config.time / a_step))

    def _compiles(self) -> bool:
        if self.config.compile != "auto":
            return self.config.compile
        size = self.found["micro_batch"]
        plain = self._time(self.count, size)
        if plain * self.found["steps"] < LONG:
            return False
        network = self.nets["network"]
        try:
            network.compile(dynamic=False)
            self._pass(self.count, size)
            compiled = self._time(self.count, size)
        except Exception as error:  # a missing C++ compiler, an operation that the compiler does not know
            self.figures["compile"] = {"error": type(error).__name__}
            return False
        finally:
            for module in network.modules():
                module._compiled_call_impl = None
        self.figures["compile"] = {"False": float(f"{plain:.4g}"), "True": float(f"{compiled:.4g}")}
        return compiled < 0.95 * plain

    def _optimizer_precision(self) -> None:
        """bf16 for an optimizer's own matrix products, where it has any, if they are no slower than in fp32."""
        optimizer = self.config.optimizer
        if getattr(optimizer, "precision", None) != "auto":
            return
        rates = {name: measure.peak(dtype, self.device, 0.1) for name, dtype in _DTYPES.items()}
        self.figures["optimizer.precision"] = {name: float(f"{rate:.4g}") for name, rate in rates.items()}
        chosen = max(rates, key=lambda name: rates[name])
        self.found["optimizer"] = optimizer.model_copy(update={"precision": chosen})

    def _optimizer_seconds(self) -> float:
        """One step of the optimizers, on copies of the weights."""
        nets = copy.deepcopy(self.nets)
        parameters, roles = trained(nets)
        for parameter in parameters.values():
            parameter.grad = torch.ones_like(parameter)
        optimizers = self.found.get("optimizer", self.config.optimizer).build(parameters, roles)
        fastest = float("inf")
        for _ in range(2):
            began = time.perf_counter()
            for optimizer in optimizers:
                optimizer.step()
            measure.wait(self.device)
            fastest = min(fastest, time.perf_counter() - began)
        return fastest

    def _time(self, count: int, size: int) -> float:
        """Seconds of one forward and backward pass over ``count`` examples, the best of up to three; inf if too big."""
        fastest = float("inf")
        try:
            for _ in range(3):
                began = time.perf_counter()
                self._pass(count, size)
                fastest = min(fastest, time.perf_counter() - began)
                if time.perf_counter() > self.until:
                    break
        except torch.OutOfMemoryError:
            torch.get_device_module(self.device).empty_cache()
        return fastest

    def _pass(self, count: int, size: int) -> int:
        rows = next(batches.split(self.batch, count))
        given = accumulate(self.nets, self.objective, rows, self.arrays["examples"][:count], size=size, seed=self.seed)
        self.nets.zero_grad(set_to_none=True)
        measure.wait(self.device)
        return given.positions


_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
