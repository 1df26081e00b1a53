"""wav2vec 2.0: the code of a hidden frame among those of others (Baevski et al. 2020)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.configs.wav2vec2 import Wav2Vec2Config
from seedstock.objectives.gumbel_codes import Codes, cosines, gumbel, perplexity
from seedstock.objectives.sounds import SAMPLES, features, inside, pooled_spectra, spans

FALLING = 0.7  # the share of a run over which the temperature falls


class Wav2Vec2(Objective):
    """Cross-entropy of each hidden frame's own code, and how unevenly the batch uses the entries of the books.

    The second is of the whole batch: examples are coupled by it.
    """

    coupling = "batch"
    exports = "wav2vec2"

    def __init__(self, config: Wav2Vec2Config | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or Wav2Vec2Config(), spec or Spec(vocab_size=0, context=0)

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``waveform`` int16 ``[B, S]``, ``length`` and ``present`` ``[B]``."""
        return {name: items[name] for name in SAMPLES}

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Adds ``inside`` and ``hidden``, bool ``[B, T]``; ``noise`` fp32 ``[B, T, groups, entries]``; ``others`` int64
        ``[B, T, negatives]``, other hidden frames of the clip (-1: there is none), or in their place ``drawn`` int64
        ``[B, negatives, groups]``, entries of the books."""
        c = self.config
        there = inside(batch["length"], self.spec.model)
        count, device = there.shape[1], there.device
        hidden = spans(keys, there.sum(1), count, c.start, c.span)
        noise = torch.from_numpy(keys.uniform("gumbel", count * c.groups * c.entries)).to(device)
        noise = gumbel(noise).view(-1, count, c.groups, c.entries)
        found = {**batch, "inside": there, "hidden": hidden, "noise": noise}
        if c.distractors == "book":
            draws = torch.from_numpy(keys.uniform("negatives", c.negatives * c.groups)).to(device)
            return {**found, "drawn": (draws * c.entries).long().view(-1, c.negatives, c.groups)}
        draws = torch.from_numpy(keys.uniform("negatives", count * c.negatives)).to(device)
        return {**found, "others": _others(hidden, draws.view(-1, count, c.negatives))}

    def counts(self, batch: Batch) -> Sums:
        """``contrast`` and ``diversity``: hidden frames of clips that are there."""
        asked = (batch["hidden"] & batch["present"][:, None]).sum()
        return {"contrast": asked, "diversity": asked}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """Clips of which the hidden frames are one learned vector. What the convolutions found is kept in the batch:
        the codes are of that."""
        network = nets["network"]
        batch["latents"] = network.latents(batch["waveform"], batch["length"])
        x = network.embed(batch["latents"], batch["hidden"], batch["inside"], batch.get("examples"))
        return network.given(x, batch["inside"], batch.get("examples"))

    def represent(self, nets: Any, output: Any, batch: Batch) -> Sums:
        """Of each clip: ``nats`` and frames ``found``, ``asked`` (``[B]``); sums over its hidden frames of how likely
        each entry is, ``shares``, and of which are chosen, ``used`` (``[B, groups, entries]``)."""
        codes = nets["codes"]
        given = (batch["noise"], self._temperature(batch["examples"])) if codes.training else (None, None)
        code, number, shares = codes(batch.pop("latents"), *given)
        asked = batch["hidden"] & batch["present"][:, None]
        own = codes.project_hidden(output.hidden).float()
        alike = cosines(own, code) / self.config.temperature
        if "drawn" in batch:
            others, theirs = codes.of(batch["drawn"])
            far, same = cosines(own, others) / self.config.temperature, theirs[:, None] == number[..., None]
        else:
            others = batch["others"]
            far = alike.gather(2, others.clamp(min=0))
            same = number.gather(1, others.clamp(min=0).flatten(1)).view_as(others) == number[..., None]
            same = same | (others < 0)
        far = far.masked_fill(same, -math.inf)
        scores = torch.cat([alike.diagonal(dim1=1, dim2=2)[..., None], far], dim=-1)
        nats = torch.where(asked, -scores.log_softmax(-1)[..., 0], 0.0)
        right = (scores.argmax(-1) == 0) & asked & (~same).any(-1)
        chosen = F.one_hot(self._entries(number), self.config.entries)
        return {
            "nats": nats.sum(1),
            "found": right.sum(1),
            "asked": asked.sum(1),
            "shares": (shares * asked[..., None, None]).sum(1),
            "used": (chosen * asked[..., None, None]).sum(1),
        }

    def couple(self, nets: Any, represented: Sums) -> tuple[Sums, Sums]:
        """``contrast``: nats; ``diversity``: its weight times the share of entries that are not used, as it were, by
        the batch; metrics: ``found``, and ``perplexity``, how many entries are used."""
        count = represented["asked"].sum()
        soft, hard = (represented[name].sum(0).float() / count.clamp(min=1) for name in ("shares", "used"))
        unused = 1 - perplexity(soft) / soft.numel()
        sums = {"contrast": represented["nats"].sum(), "diversity": self.config.diversity * unused * count}
        return sums, {"found": represented["found"].sum(), "perplexity": perplexity(hard.detach()) * count}

    def nets(self) -> dict[str, nn.Module]:
        """Books of codes, and the projections into the space where they are compared."""
        return {"codes": Codes(self.spec.model.channels, self.spec.model.width, self.config, self.spec.seed)}

    def features(self, nets: Any, batch: Batch) -> Tensor:
        """The mean over the frames of whole clips ``[B, D]``."""
        return features(nets, batch, self.config.probe_layer)

    def plain(self, batch: Batch) -> Tensor:
        """Means and deviations of spectra, which probes hold the features against."""
        return pooled_spectra(batch, self.spec.model.rate)

    def expect(self, spec: Spec) -> Expectation:
        """Before training a frame's own code is as far as the others are: less than ln(negatives + 1), since those that
        are the same code do not count. What that comes to is for the data to say."""
        return Expectation(
            first={},
            floor=f"ln {self.config.negatives + 1} = {math.log(self.config.negatives + 1):.3f} nats by chance",
            collapse="a frame's code is that of all others: few entries are used, and the loss falls to nothing",
            metrics={
                "found": "share of hidden frames whose own code is nearest, of those with another among the others",
                "perplexity": f"how many of {self.config.groups * self.config.entries} entries are used, as it were",
            },
            collapse_below={"perplexity": 2.0 * self.config.groups},
        )

    def _temperature(self, examples_B: Tensor) -> Tensor:
        """Of the noise, at each example of the run ``[B]``: it falls by an equal factor at every step."""
        c = self.config
        part = (examples_B.float() / (FALLING * (self.spec.examples or math.inf))).clamp(max=1)
        return c.softest * (c.hardest / c.softest) ** part

    def _entries(self, number_BT: Tensor) -> Tensor:
        """The entry of each book, ``[B, T, groups]``."""
        found, v = [], self.config.entries
        for _ in range(self.config.groups):
            found.append(number_BT % v)
            number_BT = number_BT // v
        return torch.stack(found[::-1], dim=-1)


def _others(hidden_BT: Tensor, draws_BTN: Tensor) -> Tensor:
    """Places of other hidden frames of each clip, by uniform draws; -1 for frames that are seen, or hidden alone."""
    others = hidden_BT.sum(1)[:, None, None] - 1
    rank = hidden_BT.long().cumsum(1)[..., None] - 1  # of each hidden frame among its clip's
    drawn = (draws_BTN * others).long()
    drawn = drawn + (drawn >= rank)  # which leaves the frame itself out
    order = (~hidden_BT).long().argsort(dim=1, stable=True)  # hidden frames first
    places = order.gather(1, drawn.clamp(0, hidden_BT.shape[1] - 1).flatten(1)).view_as(drawn)
    return torch.where(hidden_BT[..., None] & (others > 0), places, -1)
