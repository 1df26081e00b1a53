"""Masked text diffusion: hide a random share of the tokens and find them again (Nie et al. 2025, LLaDA)."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from seedstock.models.keys import generator
from seedstock.models.mask import Mask
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums, auxiliary_counts
from seedstock.objectives.configs.diffusion import DiffusionConfig
from seedstock.objectives.cross_entropy import linear_cross_entropy


class Diffusion(Objective):
    """Σ CE / p over hidden tokens, divided by all tokens: in expectation an upper bound of their negative
    log-likelihood (Sahoo et al. 2024, MDLM, equation 11, with the linear schedule 1 - t)."""

    bounds = "diffusion"
    own_class = "SeedstockMaskedDiffusion"

    def __init__(self, config: DiffusionConfig | None = None, spec: Spec | None = None) -> None:
        self.config = config or DiffusionConfig()
        self.spec = spec or Spec(vocab_size=0, context=0)
        self.draws = self.config.draws

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """The windows as they are."""
        return {name: items[name] for name in ("tokens", "documents", "positions")}

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Adds ``share`` ``[B, 1]``, p = (1 - least) t + least with t uniform, and ``hidden`` ``[B, T]``: each token
        on its own with the probability p. BOS and padding stay; EOS is a token like another, since texts end.

        The shares of neighbouring examples lie evenly over the range, as in the low-discrepancy sampler of Sahoo et al.
        2024, but by a sequence in the example's number: nothing depends on which others are in the batch.
        """
        tokens, least = batch["tokens"], self.config.least
        drawn = (keys.spread("share"), keys.uniform("hide", tokens.shape[1]))
        share, order = (torch.from_numpy(numbers).to(tokens.device) for numbers in drawn)
        share = (1 - least) * share + least
        return {**batch, "share": share.float(), "hidden": (order < share) & self._counted(batch)}

    def counts(self, batch: Batch) -> Sums:
        """``diffusion``: tokens, hidden or not; ``hidden``: those that are."""
        return {
            "diffusion": self._counted(batch).sum(),
            "hidden": batch["hidden"].sum(),
            **auxiliary_counts(self.spec, batch),
        }

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """The tokens that are left, each document on its own and seen from both sides: a decoder without its mask."""
        tokens = torch.where(batch["hidden"], self.spec.specials["mask"], batch["tokens"])
        seen = self._attention(batch["positions"], batch["documents"])
        return self._inputs(nets, tokens, batch["positions"], seen, batch.get("examples"))

    def _attention(self, positions: Tensor, documents: Tensor | None) -> Mask:
        return Mask.over(documents, "full")

    def _inputs(
        self, nets: Any, tokens: Tensor, positions: Tensor, seen: Mask, examples: Tensor | None = None
    ) -> dict[str, Any]:
        x = nets["network"].embed(tokens, positions, examples)
        return {"x": x, "positions": positions, "attention": seen, "examples": examples}

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``diffusion``: Σ CE / p; the metric ``hidden`` is CE itself, of hidden tokens at all shares alike."""
        head, hidden = nets["network"].head, batch["hidden"].flatten()
        rows = torch.nonzero(hidden).flatten() if hidden.device.type == "cpu" else slice(None)
        targets = torch.where(hidden, batch["tokens"].flatten(), -1)[rows]
        weights = (1 / batch["share"]).expand(batch["hidden"].shape).flatten()[rows]
        states = head.prepare(output.hidden.flatten(0, 1)[rows])
        total, nats = linear_cross_entropy(states, head.matrix, targets, bias=head.bias, weights=weights)
        return {"diffusion": total, **output.aux}, {"hidden": nats.sum()}

    def expect(self, spec: Spec) -> Expectation:
        """Before training every token is as likely as any other: ln V nats, which scatter by how many tokens happen to
        be hidden: sqrt((ln(1 / least) - 1) / tokens), a seventh of it for 256 tokens."""
        return Expectation(
            first={"diffusion": math.log(spec.vocab_size)},
            tolerance=0.15,
            floor="counts of both neighbours for hidden tokens; the next-token model of the same size for the bound",
            collapse="hidden tokens stay at the entropy of single tokens: nothing is learned from context",
            metrics={"hidden": "nats of a hidden token, at all shares alike"},
            collapse_at={"hidden": "order 0"},
        )

    @torch.inference_mode()
    def generate(
        self,
        nets: Any,
        ids: list[int],
        tokens: int,
        *,
        seed: int,
        temperature: float = 0.0,
        steps: int | None = None,
        stop: Collection[int] = (),
        forbidden: Collection[int] = (),
        **unused: Any,
    ) -> list[int]:
        """``tokens`` tokens after ``ids``, all hidden at first; in each of ``steps`` (as many as tokens where not
        given) the surest are kept (Nie et al. 2025, appendix A.5, low-confidence remasking), then cut at a ``stop``.

        ``temperature`` draws each token from its sharpened distribution; other options of writing from left to right
        (``top_k``) are not used.
        """
        network = nets["network"]
        room = min(tokens, network.config.context - 1)
        ids, made = ids[-(network.config.context - room) :], list[int]()
        never = sorted({*forbidden, self.spec.specials["mask"]})
        random = generator("diffusion", seed)
        for size in self._sizes(len(ids), room):
            within = min(steps or size, size)
            made += self._filled(nets, [*ids, *made], size, steps=within, never=never, heat=temperature, random=random)
            end = next((place for place, token in enumerate(made) if token in stop), None)
            if end is not None:
                return made[:end]
        return made

    def _sizes(self, start: int, count: int) -> list[int]:
        """How many tokens are written together, one lot after another."""
        return [count]

    def _filled(
        self, nets: Any, ids: list[int], room: int, *, steps: int, never: list[int], heat: float, random: Any
    ) -> list[int]:
        """``room`` tokens after ``ids``, the surest first."""
        network = nets["network"]
        device, mask = network.head.matrix.device, self.spec.specials["mask"]
        row = torch.tensor([[*ids, *[mask] * room]], device=device)
        positions = torch.arange(row.shape[1], device=device)[None]
        open_ = torch.arange(row.shape[1], device=device)[None] >= len(ids)
        for step in range(steps):
            given = self._inputs(nets, row, positions, self._attention(positions, None))
            logits = network.head(network.backbone(**given).hidden)
            logits[..., torch.tensor(never, device=device)] = -math.inf
            noise = -torch.empty(logits.shape).exponential_(generator=random).log().to(device) if heat else 0
            found = (logits + heat * noise).argmax(-1)
            sure = logits.softmax(-1).gather(-1, found[..., None]).squeeze(-1).masked_fill(~open_, -1)
            left = room - (step + 1) * room // steps
            kept = sure.topk(int(open_.sum()) - left).indices
            row.scatter_(1, kept, found.gather(1, kept))
            open_ = open_.scatter(1, kept, False)
        return row[0, len(ids) :].tolist()

    def _counted(self, batch: Batch) -> Tensor:
        return (batch["documents"] >= 0) & (batch["tokens"] != self.spec.specials["bos"])
