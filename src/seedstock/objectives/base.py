"""What an objective is: the contract, with the answers that most objectives share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

Batch = dict[str, Any]
Sums = dict[str, Tensor]


@dataclass(frozen=True)
class Spec:
    """What an objective is told of the input and the network.

    ``specials`` are the tokenizer's (name → id), those that the configuration's ``specials()`` asked for among them;
    ``model`` is the network's configuration, every size known; ``models`` are networks of other runs that the
    configuration's ``networks()`` named, by that name; ``tokenizer`` is there for who must go from ids to text,
    ``shards`` for who counts; ``logits`` are a parent's stored distributions (``inputs.logits.Stored``). Of an
    input that is no stream of tokens, ``fields`` are the shapes of an item's arrays, ``labels`` the names of classes.
    """

    vocab_size: int
    context: int
    specials: Mapping[str, int] = field(default_factory=dict)
    model: Any = None
    seed: int = 1
    models: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: Any = None
    shards: Any = None
    logits: Any = None
    fields: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    examples: int | None = None
    """How many the run trains on, where that is known."""
    batch: int = 0
    """How many examples a step has, where that is known."""


@dataclass(frozen=True)
class Expectation:
    """What a healthy run looks like: ``first`` is each loss before training, within ``tolerance`` of it; where that is
    for the data to say, the name of a floor (``Objective.floors``)."""

    first: dict[str, Any]
    tolerance: float = 0.05
    floor: str = ""
    collapse: str = ""
    metrics: dict[str, str] = field(default_factory=dict)
    """What each metric says, in a line."""
    collapse_at: dict[str, float | str] = field(default_factory=dict)
    """``collapse`` for machines: the value of a loss that says, on held-out windows, that nothing is learned: nats, or
    the name of a floor (``order 0``: the entropy of single tokens). A loss that is not clearly below it rings."""
    collapse_below: dict[str, float] = field(default_factory=dict)
    """The same for metrics that rise with learning: one that is not clearly above its value rings."""

    def with_floors(self, floors: Mapping[str, float]) -> Expectation:
        """With the values of floors in the place of their names in ``first``; unknown ones are left out."""
        known = {name: floors.get(one) if isinstance(one, str) else one for name, one in self.first.items()}
        return replace(self, first={name: one for name, one in known.items() if one is not None})


class Objective:
    """Derive from it, give it a torch-free ``ObjectiveConfig``, and name that in an entry point.

    ``corrupt``, ``inputs`` and ``loss`` run for each micro-batch. Every draw must be keyed by the example number
    (``batch["examples"]``), so that no split of a batch changes what is learned.
    """

    coupling: Literal["none", "batch"] = "none"
    """``batch`` where a loss has terms between examples: then it has ``represent`` and ``couple``, and gradients are
    cached where a batch is split (``training.coupled``)."""
    partners: int = 0
    """Windows besides its own that ``prepare`` is handed for each example: ``partner_tokens`` ``[B, partners, L]`` and
    so on, drawn by ``inputs.partners``."""
    by_position: bool = False
    """Whether every loss is a sum over positions, each of which needs of the batch what stands at its own place and at
    most ``raw_length - window`` symbols behind it, and padding (documents below zero) counts nothing: then sequences
    can be cut among processes, and micro-batches be filled up. ``loss`` is then handed runs of positions, of a batch
    as of ``output.hidden``, each a row of its own."""
    predicts_next: bool = False
    """Whether the network gives the next token of plain text from what comes before: then it is scored in bits per
    byte. Otherwise its own losses on held-out windows are its score."""

    chooses: str | None = None
    """The number of a validation that says which checkpoint stands for the run, the higher the better: of a second
    stage on few examples the last step is seldom the best. None: the newest does."""

    draws: int = 1
    """How often held-out windows are corrupted for the final score, where that is a mean over what is drawn."""
    bounds: str | None = None
    """The loss that is, over all tokens, an upper bound of their negative log-likelihood, if one is."""
    tags: Mapping[str, int] = {}
    """Special tokens that a text may begin with in the place of BOS, by name, to say of what kind it shall be."""
    exports: str | None = None
    """The map in ``transfer.maps`` that exports what it trains, where the input is no text (``transfer.items``)."""
    own_class: str | None = None
    """What an export is called where the ecosystem's class of such a network would use it for something else
    (``transfer.own``)."""

    folders: Mapping[str, Any] = {}
    """Stages of the store that it made or read when it was built, by name: the run records them."""

    def window(self, context: int) -> int:
        """Stored symbols that each example moves on by in the stream, so that an epoch offers every one once."""
        return context

    def raw_length(self, window: int) -> int:
        """Stored symbols that an example reads from the start of its window."""
        return window

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """Numpy, in the loader: the arrays that the batch shall hold. May change lengths."""
        return items

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Tensors, on the device: shapes stay."""
        return batch

    def counts(self, batch: Batch) -> Sums:
        """How many terms each loss has."""
        raise NotImplementedError

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any] | list[dict[str, Any]]:
        """What the backbone is called with; a list where it runs more than once for one loss."""
        raise NotImplementedError

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """Sums of losses by name, and metrics: detached sums, to be divided by the counts of the same name or of
        the first loss. Nothing here may wait for the device. ``output`` is a list where ``inputs`` gave one."""
        if self.coupling == "batch":
            return self.couple(nets, self.represent(nets, output, batch))
        raise NotImplementedError

    def represent(self, nets: Any, output: Any, batch: Batch) -> Sums:
        """With ``coupling = "batch"``: what the loss compares, by name, ``[B, …]`` each: embeddings that gradients go
        through, and whatever else it must know of each example."""
        raise NotImplementedError

    def couple(self, nets: Any, represented: Sums) -> tuple[Sums, Sums]:
        """Losses and metrics as ``loss`` gives them, from what ``represent`` gave for a whole batch, of all
        micro-batches and processes."""
        raise NotImplementedError

    def nets(self) -> dict[str, nn.Module]:
        """Modules besides the network: heads, a decoder, a teacher. A module with parameters has ``roles()``."""
        return {}

    def assembled(self, nets: Any) -> None:
        """Once all of ``nets`` are there, before a checkpoint is read: teachers that begin as the network's copies."""

    def after_step(self, nets: Any, example: int) -> None:
        """After the optimizer's step that ended before example number ``example``: teachers, clamps, centres."""

    def expect(self, spec: Spec) -> Expectation:
        """What a healthy run looks like."""
        raise NotImplementedError

    def floors(self, batches: Iterable[Batch]) -> dict[str, float]:
        """For inputs that are no tokens: what the first loss comes to without learning, by name, over held-out batches
        as ``corrupt`` leaves them. Of tokens, count models are the floors."""
        return {}

    def features(self, nets: Any, batch: Batch) -> Tensor | None:
        """One vector an item ``[B, D]``, which probes read, of items as they are stored; None where there is none."""
        return None

    def plain(self, batch: Batch) -> Tensor | None:
        """What is known of items without learning ``[B, F]``, which probes hold ``features`` against; None: the first
        field as it is."""
        return None

    def pictures(self, nets: Any, batch: Batch) -> Any:
        """What it makes of a corrupted batch, to look at: uint8 ``[rows, columns, H, W, C]``; None where it draws
        nothing."""
        return None

    def generate(self, nets: Any, ids: list[int], tokens: int, *, seed: int, **options: Any) -> list[int]:
        """Up to ``tokens`` tokens after (or for) ``ids``, as this objective writes them. The options are those of
        ``models.generate``. Raises NotImplementedError where the objective writes nothing."""
        if not self.predicts_next:
            raise NotImplementedError
        from seedstock.models.generate import generate

        return generate(nets["network"], ids, tokens, seed=seed, **options)


def auxiliary_counts(spec: Spec | None, batch: Batch) -> Sums:
    """For ``counts``: the terms of the network's own losses (``Output.aux``), which are sums over sequences.

    The configuration names them in ``auxiliary``: how evenly experts are used, say.
    """
    import torch

    names = getattr(spec.model, "auxiliary", ()) if spec is not None else ()
    return {name: torch.tensor(len(batch["examples"]), device=batch["examples"].device) for name in names}


def auxiliary_expected(spec: Spec) -> dict[str, float]:
    """For ``expect``: the network's own losses before training, when a router's scores are all but equal."""
    import math

    c = spec.model
    known = {"balance": lambda: c.balance, "router_z": lambda: c.router_z_loss * math.log(c.experts) ** 2}
    return {name: known[name]() for name in getattr(c, "auxiliary", ())}


def assemble(network: nn.Module, objective: Objective, device: torch.device | None = None) -> nn.ModuleDict:
    """Everything that is trained, by name: ``network`` and the objective's own, which go to the network's device, or to
    ``device`` where that has no values yet."""
    nets = nn.ModuleDict({"network": network, **objective.nets()})
    objective.assembled(nets)
    for name, net in nets.items():
        if name != "network":
            net.to(device or next(network.parameters()).device)
    return nets
