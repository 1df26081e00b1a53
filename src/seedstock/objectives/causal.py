"""Next-token prediction over packed documents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor

from seedstock.errors import RecipeError
from seedstock.models.mask import Mask
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums, auxiliary_counts, auxiliary_expected
from seedstock.objectives.by_source import BySource
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.objectives.cross_entropy import linear_cross_entropy


def targets(batch: Batch) -> Tensor:
    """``[B, T]``: the token after each position, or -1 where that belongs to another document or is padding.

    Documents with negative numbers are padding.
    """
    documents = batch["documents"]
    inside = (documents[:, 1:] == documents[:, :-1]) & (documents[:, 1:] >= 0)
    return torch.where(inside, batch["tokens"][:, 1:], -1)


def weights(wanted: Mapping[str, float], spec: Spec | None) -> Tensor | None:
    """``[V]``, fp32: what each token weighs in the loss, by patterns of special tokens' names; None without patterns.

    Raises RecipeError where a pattern fits none.
    """
    if not wanted or spec is None:
        return None
    table, known = torch.ones(spec.vocab_size), set[str]()
    for pattern, weight in wanted.items():
        names = {name for name in spec.specials if fnmatchcase(name, pattern)}
        if not names:
            what = f"no special token of the tokenizer has a name like {pattern!r}"
            raise RecipeError(what, where="objective.token_weights", fix=f"name some of {_few(spec.specials)}")
        table[[spec.specials[name] for name in sorted(names - known)]] = weight
        known |= names
    return table


def _few(specials: Mapping[str, int]) -> str:
    names = sorted(specials, key=lambda name: specials[name])
    return ", ".join([*names[:12], *(["…"] if len(names) > 12 else [])])


class Causal(Objective):
    """Cross-entropy of the next token, each from what comes before it in its own document."""

    predicts_next = True
    by_position = True

    def __init__(self, config: CausalConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or CausalConfig(), spec
        self.by_source = BySource(spec)
        self._weights = weights(self.config.token_weights, spec)

    def raw_length(self, window: int) -> int:
        """One more than the positions, for the last target."""
        return window + 1

    def targets(self, batch: Batch) -> Tensor:
        """The module's ``targets``, or what of them is to be predicted."""
        return targets(batch)

    def counts(self, batch: Batch) -> Sums:
        """``causal``: predicted tokens, or the sum of their weights, and then ``nats``: predicted tokens; and what the
        network's own losses count."""
        targets = self.targets(batch)
        own = {"causal": (targets >= 0).sum()}
        if (weights := self._weighing(targets)) is not None:
            own = {"causal": weights.sum(), "nats": own["causal"]}
        return {**own, **auxiliary_counts(self.spec, batch)}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """Embedded tokens ``[B, T, D]``, without the last, which is a target alone."""
        tokens, documents, positions = (batch[name][:, :-1] for name in ("tokens", "documents", "positions"))
        examples = batch.get("examples")
        return {
            "x": nets["network"].embed(tokens, positions, examples),
            "positions": positions,
            "attention": Mask.over(documents),
            "examples": examples,
        }

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``causal``: the sum of nats, weighted if there are weights, and of the z-loss if there is one. Beside these,
        or the network's own losses, the metric ``nats`` is without them. Metrics by source where there are several
        (``by_source``)."""
        targets = self.targets(batch)
        weights = self._weighing(targets)
        total, nats = linear_cross_entropy(
            output.hidden.flatten(0, 1),
            nets["network"].head.matrix,
            targets.flatten(),
            self.config.z_loss,
            weights=None if weights is None else weights.flatten(),
        )
        shown = {"nats": nats.sum()} if self.config.z_loss or output.aux or weights is not None else {}
        if nets["network"].training:
            shown |= self.by_source.sums(batch, nats, targets)
        return {"causal": total, **output.aux}, shown

    def _weighing(self, targets: Tensor) -> Tensor | None:
        """The weight of each target ``[B, T]``, fp32; None where all weigh the same."""
        if self._weights is None:
            return None
        if self._weights.device != targets.device:
            self._weights = self._weights.to(targets.device)
        return self._weights[targets.clamp_min(0)] * (targets >= 0)

    def expect(self, spec: Any) -> Expectation:
        """Before training every token is as likely as any other: ln V nats."""
        return Expectation(
            first={"causal": math.log(spec.vocab_size), **auxiliary_expected(spec)},
            floor="the best count model of orders 0 to 5 on the same held-out bytes",
            collapse="the loss stays at the entropy of single tokens (order 0): nothing is learned from context",
            collapse_at={"causal": "order 0"},
        )
