"""Distillation from a teacher's distributions (Hinton et al. 2015), worked out while training or stored before."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seedstock.errors import RecipeError
from seedstock.inputs.held_out import HeldOut
from seedstock.inputs.keys import Keys
from seedstock.objectives import causal, divergence, teacher
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.configs.distillation import DistillationConfig

EXPECTED = 4096  # tokens that the first loss is foretold from


class Distillation(Objective):
    """``(1 - share) · cross-entropy + share · temperature² · KL(teacher ‖ student)``, over the same tokens.

    The square of the temperature keeps the two gradients of one size (section 2 there). The teacher is frozen, in
    evaluation mode, and no part of ``nets``: it is not saved with the run, which names it as a parent. Where its
    distributions are stored, the divergence is over the k likeliest tokens and all others as one.
    """

    def __init__(self, config: DistillationConfig, spec: Spec | None = None) -> None:
        self.distillation, self.spec = config, spec
        self.own: Any = config.of.build(spec)
        self.name = config.of.kind
        self.partners, self.predicts_next = self.own.partners, self.own.predicts_next
        self.teacher = None if spec is None else spec.models.get(config.teacher)
        self.stored = spec.logits if spec is not None and config.stored else None
        if spec is not None and self.teacher is not None:
            teacher.fits(self.teacher, spec, config.teacher)

    def window(self, context: int) -> int:
        return self.own.window(context)

    def raw_length(self, window: int) -> int:
        return self.own.raw_length(window)

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """What the student's own objective makes of the windows; stored distributions are read by where these lie:
        ``teacher_ids`` ``[B, T, k]``, ``teacher_logs`` ``[B, T, k + 1]``."""
        made = self.own.prepare(items, keys)
        if self.stored is None:
            return made
        ids, logs = self.stored.read(items["strata"], items["starts"])
        return {**made, "teacher_ids": ids, "teacher_logs": logs}

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        return self.own.corrupt(batch, keys)

    def counts(self, batch: Batch) -> Sums:
        """``teacher``: as many terms as the first loss of the student's own objective has."""
        found = self.own.counts(batch)
        return {**found, "teacher": found[self.name], "nats": found[self.name]}

    def inputs(self, nets: Any, batch: Batch) -> Any:
        return self.own.inputs(nets, batch)

    def nets(self) -> dict[str, nn.Module]:
        return self.own.nets()

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """The text's part, and ``teacher``. The metric ``nats`` is the cross-entropy of the text alone."""
        share, head = self.distillation.share, nets["network"].head
        sums, metrics = self.own.loss(nets, output, batch)
        text, places = sums[self.name], torch.nonzero(_wanted(batch) >= 0, as_tuple=True)
        far = self._divergence(head.prepare(output.hidden[places]), head.matrix, head.bias, batch, places)
        return {**sums, self.name: (1 - share) * text, "teacher": share * far}, {"nats": text.detach(), **metrics}

    def _divergence(
        self, hidden: Tensor, matrix: Tensor, bias: Tensor | None, batch: Batch, places: tuple[Tensor, ...]
    ) -> Tensor:
        """How far a student's hidden states ``[N, D]`` at ``places`` of a batch are from the teacher's words there."""
        total, temperature = hidden.new_zeros((), dtype=torch.float32), self.distillation.temperature
        taught = None if self._reads() else self._teach(batch)[places]
        for rows in torch.arange(len(hidden), device=hidden.device).split(max(1, teacher.AT_ONCE // len(matrix))):
            here = hidden[rows], matrix, bias
            if taught is None:
                at = tuple(index[rows] for index in places)
                given = batch["teacher_ids"][at], batch["teacher_logs"][at]
                total = total + divergence.likeliest(*here, *given, temperature)
            else:
                theirs = teacher.log_shares(self.teacher, taught[rows], temperature)
                total = total + divergence.whole(*here, theirs, temperature)
        return total

    def _reads(self) -> bool:
        """Whether what the teacher says is on disk."""
        if self.distillation.stored and self.stored is None:
            what = f"what {self.distillation.teacher} says is not stored yet"
            raise RecipeError(what, where="objective.stored", fix="`seedstock resume` writes it before the first step")
        return self.stored is not None

    @torch.no_grad()
    def _teach(self, batch: Batch) -> Tensor:
        """The teacher's hidden states of what the student sees."""
        assert self.teacher is not None
        return self.teacher.backbone(**self.own.inputs({"network": self.teacher}, batch)).hidden

    def expect(self, spec: Spec) -> Expectation:
        """The text's part is that of the student's own objective; how far the teacher is from a fresh network, to
        which all tokens are alike, some windows of the training text tell."""
        found, share = self.own.expect(spec), self.distillation.share
        first = {**found.first, self.name: (1 - share) * found.first[self.name]}
        if spec.shards is not None and (self.teacher is not None or self.stored is not None):
            batch = self._some(spec)
            places = torch.nonzero(_wanted(batch) >= 0, as_tuple=True)
            fresh, alike = (torch.zeros(rows, 1, device=places[0].device) for rows in (len(places[0]), spec.vocab_size))
            far = self._divergence(fresh, alike, None, batch, places)
            first["teacher"] = share * float(far) / max(1, len(fresh))
        return Expectation(
            first=first,
            tolerance=found.tolerance,
            floor=found.floor,
            collapse=found.collapse,
            metrics={**found.metrics, "nats": "cross-entropy of the text alone"},
            collapse_at={"nats": "order 0"} if self.name == "causal" else found.collapse_at,
            collapse_below=found.collapse_below,
        )

    def _some(self, spec: Spec) -> Batch:
        """Windows from all over the training text; where the teacher's words are stored, some of those."""
        length = self.own.window(spec.context) if self.stored is None else self.stored.length
        options: dict[str, Any] = {"partners": self.partners, "seed": spec.seed, "split": "train", "limit": EXPECTED}
        some = HeldOut(
            spec.shards, window=length, raw_length=self.own.raw_length(length), prepare=self.prepare, **options
        )
        if self.stored is not None:
            some.places = np.asarray(self.stored.windows)
            some.numbers = np.linspace(0, len(some.places) - 1, max(1, EXPECTED // length)).astype(np.int64)
        arrays = next(some.batches(len(some.numbers)))
        device = "cpu" if self.teacher is None else self.teacher.head.matrix.device
        batch = {name: torch.from_numpy(array).to(device) for name, array in arrays.items() if name != "digests"}
        return self.own.corrupt(batch, Keys(spec.seed, arrays["examples"]))


def _wanted(batch: Batch) -> Tensor:
    """The tokens to be predicted, else -1: those that were hidden, or the next ones."""
    return batch["targets"] if "targets" in batch else causal.targets(batch)
