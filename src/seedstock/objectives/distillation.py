"""Distillation from a teacher's next-token distributions (Hinton et al. 2015), worked out while training."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seedstock.errors import RecipeError
from seedstock.objectives.base import Batch, Expectation, Spec, Sums
from seedstock.objectives.causal import Causal, targets
from seedstock.objectives.configs.distillation import DistillationConfig
from seedstock.objectives.cross_entropy import linear_cross_entropy

_LOGITS = 2**22  # of either model at once


class Distillation(Causal):
    """``(1 - share) · cross-entropy + share · temperature² · KL(teacher ‖ student)``, both over the next token.

    The square of the temperature keeps the two gradients of one size (section 2 there). The teacher is frozen, in
    evaluation mode, and no part of ``nets``: it is not saved with the run, which names it as a parent.
    """

    def __init__(self, config: DistillationConfig, spec: Spec | None = None) -> None:
        super().__init__()
        self.distillation = config
        self.teacher = None if spec is None else spec.models.get(config.teacher)
        if spec is not None and self.teacher is not None:
            _fits(self.teacher, spec, config.teacher)

    def counts(self, batch: Batch) -> Sums:
        """``causal`` and ``teacher``: predicted tokens."""
        found = super().counts(batch)
        return {**found, "teacher": found["causal"]}

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``causal`` and ``teacher``, each with its weight in it; the metric ``nats`` is the plain cross-entropy."""
        wanted, share = targets(batch).flatten(), self.distillation.share
        head, hidden = nets["network"].head, output.hidden.flatten(0, 1)
        total, nats = linear_cross_entropy(hidden, head.matrix, wanted)
        with torch.no_grad():
            assert self.teacher is not None
            own = Causal.inputs(self, {"network": self.teacher}, batch)
            taught = self.teacher.backbone(**own).hidden.flatten(0, 1)
        kept = torch.nonzero(wanted >= 0).flatten()
        divergence = sum(
            (
                _Divergence.apply(
                    hidden[rows], head.matrix, taught[rows], self.teacher.head.matrix, self.distillation.temperature
                )
                for rows in kept.split(max(1, _LOGITS // len(head.matrix)))
            ),
            start=hidden.new_zeros((), dtype=torch.float32),
        )
        sums = {"causal": (1 - share) * total, "teacher": share * divergence, **output.aux}
        return sums, {"nats": nats.sum()}

    def expect(self, spec: Spec) -> Expectation:
        """The text's part is ln V; how far a fresh network is from the teacher, only the teacher knows."""
        found = super().expect(spec)
        return Expectation(
            first={"causal": (1 - self.distillation.share) * found.first["causal"]},
            tolerance=found.tolerance,
            floor=found.floor,
            collapse=found.collapse,
            metrics={"nats": "cross-entropy of the text alone"},
        )


class _Divergence(torch.autograd.Function):
    """``temperature² · Σ KL(teacher ‖ student)`` over rows; gradients are made on the way, so no logits are kept."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, taught: Tensor, teacher: Tensor, temperature: float
    ) -> Tensor:
        matrix = weight.to(hidden.dtype)
        ours = F.log_softmax((hidden @ matrix.t()).float() / temperature, -1)
        theirs = F.log_softmax((taught @ teacher.to(taught.dtype).t()).float() / temperature, -1)
        shares = theirs.exp()
        total = (shares * (theirs - ours)).sum() * temperature**2
        up = ((ours.exp() - shares) * temperature).to(hidden.dtype)
        ctx.save_for_backward(up @ matrix, (up.t() @ hidden).to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *ups: Tensor) -> Any:
        d_hidden, d_weight = ctx.saved_tensors
        return d_hidden * ups[0].to(d_hidden.dtype), d_weight * ups[0], None, None, None


def _fits(teacher: Any, spec: Spec, name: str) -> None:
    if teacher.vocab_size != spec.vocab_size:
        raise RecipeError(
            f"{name} has {teacher.vocab_size:,} tokens, this run {spec.vocab_size:,}",
            where="objective.teacher",
            fix="train this run with the teacher's tokenizer (tokenizer: {kind: imported, path: …})",
        )
    if teacher.config.context < spec.context and teacher.config.position == "learned":
        raise RecipeError(
            f"{name} sees {teacher.config.context:,} positions, this run has {spec.context:,}",
            where="objective.teacher",
            fix="shorten model.context",
        )
