"""What objectives over sounds share: their checks, the spans that are hidden, and what probes read."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedstock.errors import RecipeError
from seedstock.inputs.items import mel
from seedstock.models.configs.audio import lengths_of
from seedstock.objectives.base import Batch, Spec

SAMPLES = ("waveform", "length", "present")


def insist(kind: str, spec: Spec, layer: int | None = None) -> None:
    """Raises RecipeError where the input gives no samples, or the model is none for clips of that many, or has no such
    layer."""
    if "waveform" not in spec.fields:
        what = f"the objective {kind} learns from samples of sounds"
        raise RecipeError(what, where="input", fix="write input: {kind: waveform, rate: 16000, seconds: 1}")
    (samples,) = spec.fields["waveform"]
    if getattr(spec.model, "kind", None) != "audio":
        what = f"the objective {kind} needs an encoder of sounds"
        raise RecipeError(what, where="model.kind", fix=f"write model: {{kind: audio, samples: {samples}}}")
    if spec.model.samples != samples:
        what = f"the model is for clips of {spec.model.samples:,} samples, the input gives {samples:,}"
        raise RecipeError(what, where="model.samples", fix=f"write model.samples: {samples}")
    if layer is not None and layer > spec.model.layers:
        what = f"the model has {spec.model.layers} layers, and no layer {layer}"
        raise RecipeError(what, where="objective.probe_layer", fix="name one that it has")


def inside(length_B: Tensor, model: Any) -> Tensor:
    """Which frames are made of sound alone, and the first one in any case: bool ``[B, T]``."""
    frames_B = lengths_of(length_B, model.kernels, model.strides)[-1].clamp(min=1)
    return torch.arange(model.context, device=length_B.device) < frames_B[:, None]


def spans(keys: Any, frames_B: Tensor, count: int, start: float, span: int) -> Tensor:
    """Frames to hide, bool ``[B, count]``, among the first ``frames`` of each clip: ``start · frames`` of them (a part
    of one by chance, one at least) begin a span of ``span``, or of half of the clip where that is less."""
    draws_BT = torch.from_numpy(keys.uniform("spans", count)).to(frames_B.device)
    part_B1 = torch.from_numpy(keys.uniform("number of spans", 1)).to(frames_B.device)
    at_T, frames_B1 = torch.arange(count, device=frames_B.device), frames_B[:, None]
    reach_B1 = (frames_B1 // 2).clamp(1, span)
    places_B1 = frames_B1 - reach_B1 + 1
    number_B1 = (start * frames_B1 + part_B1).floor().clamp(min=1).minimum(places_B1)
    rank_BT = torch.where(at_T < places_B1, draws_BT, 2.0).argsort(1).argsort(1)
    begun_BT = (rank_BT < number_B1).long().cumsum(1)
    before_BT = torch.where(at_T >= reach_B1, begun_BT.gather(1, (at_T - reach_B1).clamp(min=0)), 0)
    return (begun_BT > before_BT) & (at_T < frames_B1)


def features(nets: Any, batch: Batch, layer: int | None) -> Tensor:
    """The mean over the frames of whole clips, of a layer's output, fp32 ``[B, D]``."""
    network = nets["network"]
    found = layer_of(network, batch, layer)
    return network.pooled(found, batch["length"])


def layer_of(network: Any, batch: Batch, layer: int | None) -> Tensor:
    """What a layer (counted from 1; None: the last one) gives for whole clips, ``[B, T, D]``."""
    output = network.backbone(**network.inputs(batch["waveform"], batch["length"]), keep_layers=layer is not None)
    return output.hidden if layer is None else output.layers[layer - 1]


def pooled_spectra(batch: Batch, rate: int, bands: int = 40) -> Tensor:
    """What is known of clips without learning: means and deviations over time of the logarithms of their powers in mel
    bands, windows of 32 ms every 16 ms, fp32 ``[B, 2 · bands]``."""
    points = round(0.032 * rate)
    hop = points // 2
    samples = np.pad(batch["waveform"].cpu().numpy() / 32767, ((0, 0), (0, points)))
    found = torch.from_numpy(mel.log_mel(samples, rate, bands, points, hop))
    length = batch["length"].cpu()[:, None]
    there = (torch.arange(found.shape[1]) * hop < length)[..., None]
    count = there.sum(1)
    mean = (found * there).sum(1) / count
    away = ((found - mean[:, None]).square() * there).sum(1) / count
    return torch.cat([mean, away.sqrt()], dim=1).float()
