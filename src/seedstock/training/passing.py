"""One micro-batch from its inputs to its losses, as a module: what layouts shard, copy or cut into stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from seedstock.training.batches import Batch

Counts = dict[str, Tensor]


@dataclass
class Seen:
    """Detached sums of metrics, and of each pass of the backbone rows, positions of a row, and of its source if any."""

    metrics: dict[str, Tensor] = field(default_factory=dict)
    passes: tuple[tuple[int, int, int], ...] = ()

    @property
    def positions(self) -> int:
        """How many went through the backbone."""
        return sum(rows * length for rows, length, _ in self.passes)


class Pass(nn.Module):
    """``nets`` and the objective that uses them. The call is everything of a step that has gradients."""

    def __init__(self, nets: nn.ModuleDict, objective: Any) -> None:
        super().__init__()
        self.nets = nets
        self.objective = objective
        self.context: Any = None
        """How sequences are cut among processes (``parallel.context.Context``), where they are."""
        self.pipeline: Any = None
        """How layers are divided among processes (``parallel.pipeline.Pipeline``), where they are."""

    @property
    def copies(self) -> set[nn.Parameter]:
        """Parameters that another stage has too, which counts them in the gradient's norm."""
        return set() if self.pipeline is None else self.pipeline.copies()

    def represent(self, part: Batch) -> tuple[dict[str, Tensor], Seen]:
        """What an objective whose loss couples examples compares of a micro-batch (``Objective.represent``)."""
        return self(part, None)

    def couple(self, found: dict[str, Tensor], counts: Counts) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Means of such an objective's losses and metrics, from the representations of a whole batch."""
        return self(found, counts, coupled=True)

    def forward(
        self, part: Batch, counts: Counts | None, coupled: bool = False, stage: tuple[range, Tensor] | None = None
    ) -> tuple[Any, Any]:
        """Each loss of a micro-batch that is corrupted already: its sum over ``counts``, those of the whole batch.

        Everything goes through here, since layouts look at the call: see ``represent`` and ``couple`` for the rest.
        """
        if stage is not None and counts is not None:
            return self._stage(part, counts, *stage)
        if coupled and counts is not None:
            sums, metrics = self.objective.couple(self.nets, part)
            first = next(iter(counts.values()))
            shown = {name: total / counts.get(name, first) for name, total in metrics.items()}
            return {name: total / counts[name] for name, total in sums.items()}, shown
        network: Any = self.nets["network"]
        given = self.objective.inputs(self.nets, part)
        passes = given if isinstance(given, list) else [given]
        shapes = tuple(_shape(one) for one in passes)
        if self.context is not None:
            part, cut = self.context.cut(part, *passes)
            outputs = [self.context.once(network.backbone(**cut))]
        else:
            outputs = [network.backbone(**one) for one in passes]
        output = outputs if isinstance(given, list) else outputs[0]
        if counts is None:
            return self.objective.represent(self.nets, output, part), Seen({}, shapes)
        sums, metrics = self.objective.loss(self.nets, output, part)
        seen = Seen(metrics, shapes)
        return {name: total / counts[name] for name, total in sums.items()}, seen

    def _stage(self, part: Batch, counts: Counts, only: range, x: Tensor) -> tuple[Tensor, tuple[Any, Any]]:
        """Some of the layers: what comes out of them, or behind the last one the mean loss; and the means of losses
        and the sums of metrics that are known here, detached."""
        network: Any = self.nets["network"]
        given = self.objective.inputs(self.nets, part)
        if only.start:
            given = {**given, "x": x}
        output = network.backbone(**given, only=only)
        if only.stop < network.config.depth:
            aux = {name: loss / counts[name] for name, loss in output.aux.items()}
            found = Carry.apply(output.hidden, sum(aux.values())) if aux else output.hidden
            return found, ({name: loss.detach() for name, loss in aux.items()}, {})
        sums, metrics = self.objective.loss(self.nets, output, part)
        means = {name: total / counts[name] for name, total in sums.items()}
        return torch.stack([*means.values()]).sum(), ({name: mean.detach() for name, mean in means.items()}, metrics)


class Carry(torch.autograd.Function):
    """The stream as it is; a loss that was found on the way has its gradient here, where the whole loss is not."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, loss: Tensor) -> Tensor:
        ctx.like = loss
        return x.clone()  # schedules cut what stages give from its graph, which no view can be

    @staticmethod
    def backward(ctx: Any, *ups: Tensor) -> Any:
        return ups[0], torch.ones_like(ctx.like)


def _shape(one: dict[str, Any]) -> tuple[int, int, int]:
    source = one.get("cross")
    return (*one["x"].shape[:2], 0 if source is None else source.x.shape[1])
