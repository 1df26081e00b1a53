"""What an objective is: the contract, with the answers that most objectives share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn

Batch = dict[str, Any]
Sums = dict[str, Tensor]


@dataclass(frozen=True)
class Spec:
    """What an objective is told of the input and the network."""

    vocab_size: int
    context: int


@dataclass(frozen=True)
class Expectation:
    """What a healthy run looks like: ``first`` is each loss before training, within ``tolerance`` of it."""

    first: dict[str, float]
    tolerance: float = 0.05
    floor: str = ""
    collapse: str = ""
    metrics: dict[str, str] = field(default_factory=dict)
    """What each metric says, in a line."""


class Objective:
    """Derive from it, give it a torch-free configuration with ``build()``, and name that in an entry point.

    ``corrupt``, ``inputs`` and ``loss`` run for each micro-batch. Every draw must be keyed by the example number
    (``batch["examples"]``), so that no split of a batch changes what is learned.
    """

    passes: int = 1
    """How often the backbone runs for one loss; ``fit`` runs it once."""
    coupling: Literal["none", "batch"] = "none"
    """``batch`` where a loss has terms between examples: micro-batches may not then be summed."""

    def raw_length(self, context: int) -> int:
        """Stored symbols that an example of ``context`` positions needs."""
        return context

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """Numpy, in the loader: the arrays that the batch shall hold. May change lengths."""
        return items

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Tensors, on the device: shapes stay."""
        return batch

    def counts(self, batch: Batch) -> Sums:
        """How many terms each loss has."""
        raise NotImplementedError

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """What the backbone is called with."""
        raise NotImplementedError

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """Sums of losses by name, and metrics: detached sums, to be divided by the counts of the same name or of
        the first loss. Nothing here may wait for the device."""
        raise NotImplementedError

    def nets(self) -> dict[str, nn.Module]:
        """Modules besides the network: heads, a decoder, a teacher. A module with parameters has ``roles()``."""
        return {}

    def after_step(self, example: int) -> None:
        """After the optimizer's step that ended before example number ``example``."""

    def expect(self, spec: Any) -> Expectation:
        """What a healthy run looks like."""
        raise NotImplementedError


def assemble(network: nn.Module, objective: Objective) -> nn.ModuleDict:
    """Everything that is trained, by name: ``network`` and the objective's own."""
    return nn.ModuleDict({"network": network, **objective.nets()})
