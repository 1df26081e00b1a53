"""One micro-batch from its inputs to its losses, as a module: what layouts shard, copy or cut into stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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

    def represent(self, part: Batch) -> tuple[dict[str, Tensor], Seen]:
        """What an objective whose loss couples examples compares of a micro-batch (``Objective.represent``)."""
        return self(part, None)

    def couple(self, found: dict[str, Tensor], counts: Counts) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Means of such an objective's losses and metrics, from the representations of a whole batch."""
        return self(found, counts, coupled=True)

    def forward(self, part: Batch, counts: Counts | None, coupled: bool = False) -> tuple[dict[str, Tensor], Any]:
        """Each loss of a micro-batch that is corrupted already: its sum over ``counts``, those of the whole batch.

        Everything goes through here, since layouts look at the call: see ``represent`` and ``couple`` for the rest.
        """
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


def _shape(one: dict[str, Any]) -> tuple[int, int, int]:
    source = one.get("cross")
    return (*one["x"].shape[:2], 0 if source is None else source.x.shape[1])
