"""HuBERT: the units of hidden frames, told from the frames around them (Hsu et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.initialise import fill
from seedstock.models.linear import Linear
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.configs.hubert import HubertConfig
from seedstock.objectives.sounds import SAMPLES, features, inside, pooled_spectra, spans
from seedstock.objectives.units import STAGE, Units


class Telling(nn.Module):
    """A projection, and a vector for each unit: cosines over a temperature."""

    def __init__(self, width: int, config: HubertConfig, seed: int) -> None:
        super().__init__()
        self.temperature = config.temperature
        self.project = Linear(width, config.code_width, True)
        self.codes = nn.Parameter(torch.empty(config.units, config.code_width))
        with torch.no_grad():
            fill(self.project.weight, width**-0.5, seed, "hubert.project")
            fill(self.codes, 1.0, seed, "hubert.codes")
            self.project.bias.zero_()  # type: ignore[union-attr]

    def roles(self) -> dict[str, str]:
        """The vectors are a table's rows."""
        return {"project.weight": "column", "project.bias": "vector", "codes": "head"}

    def forward(self, hidden_ND: Tensor) -> Tensor:
        """Scores of all units, fp32 ``[N, units]``."""
        own = F.normalize(self.project(hidden_ND).float(), dim=-1)
        return own @ F.normalize(self.codes, dim=-1).T / self.temperature


class Hubert(Objective):
    """Cross-entropy of the units of hidden frames."""

    exports = "hubert"

    def __init__(self, config: HubertConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or HubertConfig(), spec or Spec(vocab_size=0, context=0)
        self.units = Units(self.config, spec) if spec is not None else None
        self.folders = {} if self.units is None else {STAGE: self.units.folder}

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``waveform`` int16 ``[B, S]``, ``length`` and ``present`` ``[B]``."""
        return {name: items[name] for name in SAMPLES}

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Adds ``inside`` and ``hidden``, bool ``[B, T]``, and ``units`` int64 ``[B, T]``."""
        assert self.units is not None
        there = inside(batch["length"], self.spec.model)
        frames, (start, span) = there.sum(1), (self.config.start, self.config.span)
        hidden = spans(keys, frames, there.shape[1], start, span)
        return {**batch, "inside": there, "hidden": hidden, "units": self.units.of(batch)}

    def counts(self, batch: Batch) -> Sums:
        """``units``: hidden frames of clips that are there."""
        return {"units": self._asked(batch).sum()}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """Clips of which the hidden frames are one learned vector."""
        network, examples = nets["network"], batch.get("examples")
        latents = network.latents(batch["waveform"], batch["length"])
        return network.given(network.embed(latents, batch["hidden"], batch["inside"], examples), batch["inside"])

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``units``: nats of the hidden frames' units; the metric ``found``: how many are the likeliest one."""
        asked, wanted = self._asked(batch).flatten(), batch["units"].flatten()
        chosen = torch.nonzero(asked).flatten() if asked.device.type == "cpu" else slice(None)
        scores, asked, wanted = nets["units"](output.hidden.flatten(0, 1)[chosen]), asked[chosen], wanted[chosen]
        nats = F.cross_entropy(scores, wanted, reduction="none")
        found = (scores.detach().argmax(1) == wanted) & asked
        return {"units": (nats * asked).sum()}, {"found": found.sum()}

    def nets(self) -> dict[str, nn.Module]:
        """The projection and the units' vectors, which are thrown away afterwards."""
        return {"units": Telling(self.spec.model.width, self.config, self.spec.seed)}

    def features(self, nets: Any, batch: Batch) -> Tensor:
        """The mean over the frames of whole clips ``[B, D]``."""
        return features(nets, batch, self.config.probe_layer)

    def plain(self, batch: Batch) -> Tensor:
        """Means and deviations of spectra, which probes hold the features against."""
        return pooled_spectra(batch, self.spec.model.rate)

    def floors(self, batches: Iterable[Batch]) -> dict[str, float]:
        """``frequencies``: the entropy of the hidden frames' units; ``last seen``: of a unit after the one that was
        seen last before its span."""
        pairs = torch.zeros(self.config.units + 1, self.config.units, dtype=torch.float64)
        for batch in batches:
            at = torch.arange(batch["hidden"].shape[1])
            last = torch.where(batch["hidden"], -1, at).cummax(1).values
            before = torch.where(last >= 0, batch["units"].gather(1, last.clamp(min=0)), self.config.units)
            asked = self._asked(batch)
            places = before[asked] * self.config.units + batch["units"][asked]
            pairs += torch.bincount(places, minlength=pairs.numel()).view_as(pairs)
        total = pairs.sum().clamp(min=1)
        alone = pairs.sum(0)
        return {
            "frequencies": float(-(alone * (alone / total).clamp_min(1e-12).log()).sum() / total),
            "last seen": float(-(pairs * _shares(pairs, alone).clamp_min(1e-12).log()).sum() / total),
        }

    def expect(self, spec: Spec) -> Expectation:
        """Before training cosines of random vectors scatter by 1 / √width around zero: ln units, and half of their
        variance over the temperature's square."""
        config = self.config
        scatter = 0.5 / (config.code_width * config.temperature**2)
        return Expectation(
            first={"units": math.log(config.units) + scatter},
            tolerance=0.1,
            floor="the entropy of the units, and of units after the last one that is seen",
            collapse="the loss stays at the entropy of the units: what is around is not used",
            collapse_at={"units": "frequencies"},
            metrics={"found": "share of hidden frames whose unit is the likeliest"},
        )

    def _asked(self, batch: Batch) -> Tensor:
        return batch["hidden"] & batch["present"][:, None]


def _shares(pairs: Tensor, alone: Tensor) -> Tensor:
    """Witten-Bell shares of the second given the first, backing off to the second alone."""
    seen, kinds = pairs.sum(1, keepdim=True), (pairs > 0).sum(1, keepdim=True)
    return (pairs + kinds * alone / alone.sum().clamp(min=1)) / (seen + kinds).clamp(min=1)
