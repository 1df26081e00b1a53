"""Masked-token prediction (Devlin et al. 2018), with or without the next sentence."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.keys import generator
from seedstock.models.linear import Linear
from seedstock.models.mask import Mask
from seedstock.objectives import pairs
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums, auxiliary_counts
from seedstock.objectives.configs.masked import MaskedConfig
from seedstock.objectives.cross_entropy import linear_cross_entropy


class NextSentence(nn.Module):
    """BERT's pooler over the first position, and two classes: 0 where the second segment follows the first."""

    def __init__(self, width: int, seed: int) -> None:
        super().__init__()
        self.pooler, self.classifier = Linear(width, width, True), Linear(width, 2, True)
        for name, parameter in self.named_parameters():
            std = 0.0 if name.endswith("bias") else 0.02
            nn.init.normal_(parameter, 0.0, std, generator=generator("initial weights", seed, f"next_sentence.{name}"))

    def forward(self, hidden_BTD: Tensor) -> Tensor:
        return self.classifier(torch.tanh(self.pooler(hidden_BTD[:, 0]))).float()

    def roles(self) -> dict[str, str]:
        """All small: none is a hidden matrix that a layout would cut."""
        return {name: "vector" if name.endswith("bias") else "head" for name, _ in self.named_parameters()}


class Masked(Objective):
    """Cross-entropy over the tokens that were chosen, whatever they were turned into."""

    def __init__(self, config: MaskedConfig | None = None, spec: Spec | None = None) -> None:
        self.config = config or MaskedConfig()
        self.spec = spec or Spec(vocab_size=0, context=0)
        self.partners = int(self.config.next_sentence)
        self.by_position = not self.config.next_sentence

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """Pairs of segments where the next sentence is asked for, else the windows as they are."""
        if not self.config.next_sentence:
            return {name: items[name] for name in ("tokens", "documents", "positions")}
        return pairs.prepare(items, keys, self.spec.specials)

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Adds ``given`` ``[B, T]``, what the network sees, and ``targets`` ``[B, T]``: the chosen tokens, else -1.

        The chosen positions are those with the smallest of the example's keyed numbers: ``rate`` of what may be chosen,
        rounded by a draw so that the mean is exact, and at least one. Special tokens and padding are never chosen.
        """
        tokens = batch["tokens"]
        length, device = tokens.shape[1], tokens.device
        order, fate, other = (torch.from_numpy(keys.uniform(name, length)) for name in ("choose", "fate", "other"))
        special = torch.zeros(self.spec.vocab_size, dtype=torch.bool, device=device)
        special[list(self.spec.specials.values())] = True
        eligible = (batch["documents"] >= 0) & ~special[tokens]
        order = order.to(device).masked_fill(~eligible, 2.0)
        share = torch.from_numpy(keys.uniform("rounding", 1)).to(device)
        wanted = (eligible.sum(1, keepdim=True) * self.config.rate + share).floor().clamp(min=1)
        chosen = (order.argsort(1).argsort(1) < wanted) & eligible
        fate, plain = fate.to(device), torch.nonzero(~special).flatten()
        replaced = plain[(other.to(device) * len(plain)).long()]
        given = torch.where(chosen & (fate < self.config.masked), self.spec.specials["mask"], tokens)
        swapped = chosen & (fate >= self.config.masked) & (fate < self.config.masked + self.config.random)
        return {**batch, "given": torch.where(swapped, replaced, given), "targets": torch.where(chosen, tokens, -1)}

    def counts(self, batch: Batch) -> Sums:
        """``masked``: chosen tokens; ``hidden``: those that became the mask token; ``next``: pairs; and what the
        network's own losses count."""
        found = {"masked": (batch["targets"] >= 0).sum(), "hidden": self._hidden(batch).sum()}
        if self.config.next_sentence:
            found["next"] = found["next_right"] = (batch["random_next"] >= 0).sum()
        return found | auxiliary_counts(self.spec, batch)

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """The corrupted tokens, each document on its own and seen from both sides."""
        more = {"types_BT": batch["types"]} if "types" in batch else {}
        positions, examples = batch["positions"], batch.get("examples")
        return {
            "x": nets["network"].embed(batch["given"], positions, examples, **more),
            "positions": positions,
            "attention": Mask.over(batch["documents"], "full"),
            "examples": examples,
        }

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``masked``: nats of the chosen tokens; ``next``: nats of the pair's class.

        Metrics: ``hidden``, nats of the tokens behind the mask token alone, which is what count models can be held
        against (a chosen token that stayed is easy to tell); ``next_right``, how often the class is right.
        """
        head, targets = nets["network"].head, batch["targets"].flatten()
        chosen = torch.nonzero(targets >= 0).flatten() if targets.device.type == "cpu" else slice(None)
        hidden = head.prepare(output.hidden.flatten(0, 1)[chosen])  # the head is run on what counts alone
        total, nats = linear_cross_entropy(hidden, head.matrix, targets[chosen], bias=head.bias)
        sums = {"masked": total, **output.aux}
        metrics = {"hidden": (nats * self._hidden(batch).flatten()[chosen]).sum()}
        if self.config.next_sentence:
            logits, wanted = nets["next_sentence"](output.hidden), batch["random_next"]
            held = wanted >= 0
            sums["next"] = (F.cross_entropy(logits, wanted.clamp_min(0), reduction="none") * held).sum()
            metrics["next_right"] = (logits.argmax(-1) == wanted).sum()
        return sums, metrics

    def _hidden(self, batch: Batch) -> Tensor:
        return (batch["targets"] >= 0) & (batch["given"] == self.spec.specials["mask"])

    def nets(self) -> dict[str, nn.Module]:
        """The head for the next sentence."""
        if not self.config.next_sentence:
            return {}
        return {"next_sentence": NextSentence(self.spec.model.width, self.spec.seed)}

    def expect(self, spec: Spec) -> Expectation:
        """Before training every token is as likely as any other: ln V nats; both classes too: ln 2."""
        pairs, shown = self.config.next_sentence, {"hidden": "nats of the tokens behind the mask token"}
        return Expectation(
            first={"masked": math.log(spec.vocab_size)} | ({"next": math.log(2)} if pairs else {}),
            floor="the entropy of single tokens, then a count model that knows the neighbours on both sides",
            collapse="the loss stays at the entropy of single tokens: nothing is learned from context",
            metrics=shown | ({"next_right": "share of pairs whose class is right"} if pairs else {}),
            collapse_at={"hidden": "order 0"},
        )
