"""Skip-gram with negative samples (Mikolov et al. 2013, arXiv 1310.4546): the root of the family."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from seedstock.inputs.frequencies import frequencies
from seedstock.models.mask import Mask
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.configs.skip_gram import SkipGramConfig


class SkipGram(Objective):
    """For neighbours c and o: ``-ln σ(u_o · v_c) - k E ln σ(-u_n · v_c)``, n drawn from the noise (equation 4 there).

    The expectation is taken over one set of noise words for each window of text, as many as it has positions, in the
    place of k words for each pair: matrix products over the same objective (Ji et al. 2016, arXiv 1604.04661).
    """

    def __init__(self, config: SkipGramConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or SkipGramConfig(), spec or Spec(vocab_size=0, context=0)

    @cached_property
    def shares(self) -> np.ndarray:
        """Each token's share of the training text, float64 ``[V]``; 0 for special tokens. Alike where none is known."""
        counts = np.ones(self.spec.vocab_size) if self.spec.shards is None else frequencies(self.spec.shards)
        counts[list(self.spec.specials.values())] = 0
        return counts / max(1, counts.sum())

    @cached_property
    def kept(self) -> np.ndarray:
        """How likely each token is to stay, ``[V]``: section 2.3."""
        with np.errstate(divide="ignore"):
            return (
                np.minimum(1.0, np.sqrt(self.config.subsample / self.shares))
                if self.config.subsample
                else (np.ones_like(self.shares))
            )

    @cached_property
    def noise(self) -> np.ndarray:
        """The probability of each token in the noise, ``[V]``."""
        powers = np.where(self.shares > 0, self.shares**self.config.noise_power, 0.0)
        return powers / powers.sum()

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """Leaves out special tokens, padding and some of what is frequent, closing the gaps: ``tokens``, ``documents``
        (-1 at the end of a row), ``positions``, and ``spans``, how far each word looks, all ``[B, T]``."""
        tokens, documents = items["tokens"], items["documents"]
        length = tokens.shape[1]
        special = np.zeros(self.spec.vocab_size, bool)
        special[list(self.spec.specials.values())] = True
        stays = (documents >= 0) & ~special[tokens] & (keys.uniform("subsample", length) < self.kept[tokens])
        order = np.argsort(~stays, axis=1, kind="stable")
        tokens, documents, stays = (np.take_along_axis(one, order, 1) for one in (tokens, documents, stays))
        return {
            "tokens": np.where(stays, tokens, self.spec.specials["pad"]),
            "documents": np.where(stays, documents, -1),
            "positions": np.broadcast_to(np.arange(length), tokens.shape).copy(),
            "spans": keys.integers("span", 1, self.config.window + 1, length),
        }

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Adds ``noise`` ``[B, N]``, the words that every word of a window is told from, and ``pairs`` ``[B, T, T]``:
        whether a word (row) has another (column) within the distance that it looks, in its document."""
        drawn = np.searchsorted(np.cumsum(self.noise), keys.uniform("noise", self.spec.context), "right")
        last = int(np.flatnonzero(self.noise)[-1])  # a sum that rounds to less than 1 leaves nothing beyond it
        noise = torch.from_numpy(np.minimum(drawn, last)).to(batch["tokens"].device)
        return {**batch, "noise": noise, "pairs": _neighbours(batch)}

    def counts(self, batch: Batch) -> Sums:
        """``pairs``: ordered pairs of neighbours."""
        return {"pairs": batch["pairs"].sum()}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """Each word's own vector."""
        x = nets["network"].embed(batch["tokens"], batch["positions"], batch.get("examples"))
        attention = Mask.over(batch["documents"], "full")
        return {"x": x, "positions": batch["positions"], "attention": attention, "examples": batch.get("examples")}

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``pairs``: nats of neighbours, and of the noise that each stands against; the metrics are the two."""
        vectors, pairs, length = output.hidden, batch["pairs"], batch["tokens"].shape[1]
        others = F.embedding(torch.cat([batch["tokens"], batch["noise"]], 1), nets["network"].head.matrix)
        scores = (vectors @ others.to(vectors.dtype).mT).float()
        near, far = scores[:, :, :length], scores[:, :, length:]
        found = (F.softplus(-near) * pairs).sum()
        noise = (F.softplus(far).mean(-1) * pairs.sum(-1)).sum() * self.config.negatives
        return {"pairs": found + noise}, {"neighbours": found.detach(), "noise": noise.detach()}

    def expect(self, spec: Spec) -> Expectation:
        """All vectors being alike, a pair is as likely as not: (1 + k) ln 2."""
        floor, known = self._floor(), spec.shards is not None
        who = "who knows how frequent the neighbour is, and not beside what"
        return Expectation(
            first={"pairs": (1 + self.config.negatives) * math.log(2)},
            floor=f"{floor:.3f} nats a pair: {who}" if known else who,
            collapse="the loss stays at what the frequencies alone give: no word has company of its own",
            metrics={"neighbours": "nats of the neighbours alone", "noise": "nats of the noise beside them"},
            collapse_at={"pairs": floor} if known else {},
        )

    def _floor(self) -> float:
        """The loss where u · v depends on the neighbour alone: at its best ln p(o) - ln (k q(o)), p being how likely a
        word is to be a neighbour and q to be noise (Levy and Goldberg 2014, section 3)."""
        near, k = self.shares * self.kept, self.config.negatives
        some = near > 0
        p, q = near[some] / near.sum(), self.noise[some]
        score = np.log(p) - np.log(k * q)
        return float((p * np.logaddexp(0, -score) + k * q * np.logaddexp(0, score)).sum())


def _neighbours(batch: Batch) -> Tensor:
    places, documents = torch.arange(batch["tokens"].shape[1], device=batch["tokens"].device), batch["documents"]
    apart = (places[:, None] - places).abs()
    within = (apart > 0) & (apart <= batch["spans"][:, :, None])
    return within & (documents[:, :, None] == documents[:, None, :]) & (documents[:, :, None] >= 0)
