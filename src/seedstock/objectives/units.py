"""Units of sound: clusters of frames, found once by k-means and kept in the store."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedstock.inputs.items import mel
from seedstock.inputs.items.loader import HeldOutItems
from seedstock.ledger import manifest
from seedstock.ledger.files import write_json
from seedstock.ledger.store import Store
from seedstock.models.keys import generator
from seedstock.objectives.base import Batch, Spec
from seedstock.objectives.configs.hubert import HubertConfig
from seedstock.objectives.sounds import inside, layer_of

STAGE, VERSION = "units", 1
ROUNDS, AT_ONCE = 50, 1 << 14


class Units:
    """Centres ``[units, F]`` and the frames' features that they lie among. ``folder`` holds them, sealed."""

    def __init__(self, config: HubertConfig, spec: Spec) -> None:
        self.config, self.model = config, spec.model
        self.teacher = spec.models[config.teacher] if config.teacher else None
        self.folder = _found(self, spec)
        self.centres = torch.from_numpy(np.load(self.folder / "centres.npy"))
        self.mean, self.scale = map(torch.from_numpy, np.load(self.folder / "scale.npy"))

    @torch.no_grad()
    def features(self, batch: Batch) -> Tensor:
        """What units are clusters of, of clips ``waveform`` and ``length``: fp32 ``[B, T, F]``."""
        if self.teacher is not None:
            found = layer_of(self.teacher, batch, self.config.layer).float()
        else:
            found = torch.from_numpy(cepstra(batch["waveform"].cpu().numpy(), self.model)).to(batch["length"].device)
        if not self.config.centred:
            return found
        there = inside(batch["length"], self.model)[..., None].float()
        return found - (found * there).sum(1, keepdim=True) / there.sum(1, keepdim=True)

    def of(self, batch: Batch) -> Tensor:
        """The unit of every frame, int64 ``[B, T]``."""
        found = self.features(batch)
        device = found.device
        flat = (found.flatten(0, 1) - self.mean.to(device)) / self.scale.to(device)
        return nearest(flat, self.centres.to(device))[0].view(found.shape[:2])


def cepstra(waveform: np.ndarray, model: Any) -> np.ndarray:
    """MFCC and their differences, float32 ``[B, T, 39]``, over the samples that each frame of the model is made of:
    windows of as many samples, twice as often as frames where the stride is even."""
    points, twice = model.sight, 2 if model.stride % 2 == 0 else 1
    hop = model.stride // twice
    found = mel.mfcc(np.asarray(waveform, np.float64) / 32767, model.rate, points, hop)[:, ::twice]
    return found[:, : model.context].astype(np.float32)


def nearest(x_NF: Tensor, centres_KF: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest centre of each row ``[N]`` and the squared distance to it."""
    squares = centres_KF.square().sum(1)
    parts = [(squares - 2 * part @ centres_KF.T).min(1) for part in x_NF.split(AT_ONCE)]
    which = torch.cat([part.indices for part in parts])
    return which, (torch.cat([part.values for part in parts]) + x_NF.square().sum(1)).clamp(min=0)


def kmeans(x_NF: Tensor, count: int, seed: int, rounds: int = ROUNDS) -> tuple[Tensor, Tensor]:
    """Centres ``[count, F]`` by Lloyd's rounds (1982) from k-means++ (Arthur and Vassilvitskii 2007), and the size of
    each cluster. A cluster that loses all its rows takes the row that is farthest from its own centre.

    Raises ValueError where there are fewer rows than clusters.
    """
    if len(x_NF) < count:
        raise ValueError(f"{len(x_NF)} frames cannot make {count} clusters")
    draw = generator("k-means", seed)
    chosen = [int(torch.randint(len(x_NF), (1,), generator=draw))]
    away = (x_NF - x_NF[chosen[0]]).square().sum(1)
    for _ in range(count - 1):
        at = torch.searchsorted(away.double().cumsum(0), torch.rand(1, generator=draw).double() * away.double().sum())
        chosen.append(min(int(at), len(x_NF) - 1))
        away = away.minimum((x_NF - x_NF[chosen[-1]]).square().sum(1))
    centres, last = x_NF[chosen].clone(), None
    for _ in range(rounds):
        which, away = nearest(x_NF, centres)
        if last is not None and bool((which == last).all()):
            break
        sizes = torch.bincount(which, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, which, x_NF)
        centres = torch.where(sizes[:, None] > 0, sums / sizes.clamp(min=1)[:, None], centres)
        if len(empty := torch.nonzero(sizes == 0).flatten()):
            centres[empty] = x_NF[away.topk(len(empty)).indices]
        last = which
    return centres, torch.bincount(nearest(x_NF, centres)[0], minlength=count)


def _found(units: Units, spec: Spec) -> Path:
    """The folder of the units, which is made where it is not there."""
    config, shards, model = units.config, spec.shards, spec.model
    about: dict[str, Any] = {"of": "cepstra", "sight": model.sight, "stride": model.stride}
    if units.teacher is not None:
        about = {"of": _digest(units.teacher), "layer": config.layer}
    about |= {"units": config.units, "frames": config.frames, "centred": config.centred, "seed": spec.seed}
    about |= {
        "shards": manifest.read(shards.folder).origin,
        "samples": model.samples,
        "rate": model.rate,
        "version": VERSION,
    }
    store = Store(shards.folder.parents[2])
    if store.has(STAGE, about):
        return store.folder(STAGE, about)
    with store.build(STAGE, about) as partial:
        rows = _frames(units, spec)
        mean, scale = rows.mean(0), rows.std(0).clamp_min(1e-6)
        centres, sizes = kmeans((rows - mean) / scale, config.units, spec.seed)
        np.save(partial / "centres.npy", centres.numpy())
        np.save(partial / "scale.npy", torch.stack([mean, scale]).numpy())
        shares = (sizes / sizes.sum()).double()
        entropy = float(-(shares * shares.clamp_min(1e-12).log()).sum())
        write_json(partial / "index.json", {**about, "rows": len(rows), "entropy": entropy, "sizes": sizes.tolist()})
    return store.folder(STAGE, about)


def _frames(units: Units, spec: Spec) -> Tensor:
    """Features of frames of the training clips, evenly taken, ``[N, F]`` on the CPU."""
    config, model = units.config, spec.model
    items = HeldOutItems(
        spec.shards,
        prepare=lambda made, keys: made,
        seed=spec.seed,
        split="train",
        limit=max(1, config.frames // model.context),
    )
    device = "cpu" if units.teacher is None else next(units.teacher.parameters()).device
    rows = []
    for arrays in items.batches(64):
        batch = {name: torch.from_numpy(arrays[name]).to(device) for name in ("waveform", "length", "present")}
        rows.append(units.features(batch)[inside(batch["length"], model) & batch["present"][:, None]].cpu())
    return torch.cat(rows)


def _digest(network: Any) -> str:
    """SHA-256 of a network's weights by name."""
    found = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
