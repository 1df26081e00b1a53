"""An encoder of sounds: convolutions over samples, positions by convolution, backbone, and no head."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models import filter_bank
from seedstock.models.backbone import Backbone
from seedstock.models.configs.audio import lengths_of
from seedstock.models.dropout import Dropout
from seedstock.models.initialise import fill
from seedstock.models.linear import Linear
from seedstock.models.mask import Mask
from seedstock.models.norms import LayerNorm
from seedstock.models.roles import ROLES
from seedstock.models.whole import Whole

OWN_ROLES = (
    ("embedding.layers.*", "column"),
    ("embedding.projection.weight", "column"),
    ("embedding.near.direction", "column"),
    ("embedding.near.length", "vector"),
    ("embedding.hidden", "vector"),
    *ROLES,
)


class Taps(nn.Module):
    """A convolution over time without padding or bias; its weight ``[out, in · taps]`` is a matrix."""

    def __init__(self, inputs: int, outputs: int, taps: int, stride: int) -> None:
        super().__init__()
        self.inputs, self.taps, self.stride = inputs, taps, stride
        self.weight = nn.Parameter(torch.empty(outputs, inputs * taps))

    def forward(self, x_BCT: Tensor) -> Tensor:
        weight = self.weight.view(-1, self.inputs, self.taps)
        return F.conv1d(x_BCT, weight.to(x_BCT.dtype), stride=self.stride)


class OverTime(nn.Module):
    """Each channel of each clip to mean 0 and variance 1 over time (group norm with a group a channel, Wu and He 2018);
    in fp32."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))

    def forward(self, x_BCT: Tensor) -> Tensor:
        return F.group_norm(x_BCT.float(), len(self.weight), self.weight, self.bias, 1e-5).to(x_BCT.dtype)


class Near(nn.Module):
    """Where a frame lies, from the frames around it: a convolution in groups, each tap's weight a length and a
    direction (weight norm, Salimans and Kingma 2016), then GELU. ``direction`` is ``[out, in / groups · taps]``."""

    def __init__(self, width: int, taps: int, groups: int) -> None:
        super().__init__()
        self.taps, self.groups, self.inputs = taps, groups, width // groups
        self.direction = nn.Parameter(torch.empty(width, self.inputs * taps))
        self.length = nn.Parameter(torch.empty(taps))
        self.bias = nn.Parameter(torch.empty(width))

    @property
    def cube(self) -> Tensor:
        """The directions by output, input and tap."""
        return self.direction.view(-1, self.inputs, self.taps)

    def forward(self, x_BTD: Tensor) -> Tensor:
        whole = self.cube * (self.length / self.cube.norm(dim=(0, 1)).clamp_min(1e-12))
        dtype, count = x_BTD.dtype, x_BTD.shape[1]
        found = F.conv1d(
            x_BTD.transpose(1, 2), whole.to(dtype), self.bias.to(dtype), padding=self.taps // 2, groups=self.groups
        )
        return F.gelu(found[..., :count]).transpose(1, 2)


class FrameEmbedding(nn.Module):
    """Samples to frames of the backbone's width; hidden ones are one learned vector."""

    def __init__(self, config: Any, seed: int) -> None:
        super().__init__()
        c, inputs = config.channels, [1, *[config.channels] * (len(config.kernels) - 1)]
        sizes = zip(inputs, config.kernels, config.strides, strict=True)
        self.layers = nn.ModuleList(Taps(each, c, taps, stride) for each, taps, stride in sizes)
        self.first_norm = OverTime(c)
        self.latent_norm = LayerNorm(c, config.norm_epsilon)
        self.projection = Linear(c, config.width, True)
        self.hidden = nn.Parameter(torch.empty(config.width))
        self.near = Near(config.width, config.position_taps, config.position_groups)
        self.norm = LayerNorm(config.width, config.norm_epsilon)
        self.dropout = Dropout(config.dropout, seed, "embedding")

    def latents(self, samples_BS: Tensor) -> Tensor:
        """What the convolutions find, ``[B, T, channels]``."""
        x_BCT = samples_BS[:, None]
        for number, layer in enumerate(self.layers):
            x_BCT = layer(x_BCT)
            x_BCT = F.gelu(x_BCT if number else self.first_norm(x_BCT))
        return x_BCT.transpose(1, 2)

    def forward(
        self, latents_BTC: Tensor, hidden_BT: Tensor | None, inside_BT: Tensor | None, examples_B: Tensor | None
    ) -> Tensor:
        x_BTD = self.projection(latents_BTC)
        if hidden_BT is not None:
            x_BTD = torch.where(hidden_BT[..., None], self.hidden.to(x_BTD.dtype), x_BTD)
        if inside_BT is not None:
            x_BTD = x_BTD * inside_BT[..., None]
        return self.dropout(self.norm(x_BTD + self.near(x_BTD)), examples_B)


class AudioNetwork(Whole):
    """Embedding and backbone over samples. ``config`` has every size."""

    role_patterns = OWN_ROLES

    def assemble(self) -> None:
        """Embedding and backbone."""
        self.embedding = FrameEmbedding(self.config, self.seed)
        self.backbone = Backbone(self.config, self.seed)

    def initialise(self) -> None:
        """Convolutions keep the size of what they are given (He et al. 2015), so that the last norm has something to
        work on; taps of positions have the length of their directions."""
        super().initialise()
        for number, layer in enumerate(self.embedding.layers):
            assert isinstance(layer, Taps)
            std = (2 / layer.weight.shape[1]) ** 0.5
            fill(layer.weight, std, self.seed, f"embedding.layers.{number}.weight")
        if self.config.filters == "mel":
            filter_bank.begin(list(self.embedding.layers), self.config.rate)
        near = self.embedding.near
        fill(near.direction, 2 / (near.taps * near.inputs * near.groups) ** 0.5, self.seed, "embedding.near.direction")
        near.length.copy_(near.cube.norm(dim=(0, 1)))
        fill(self.embedding.hidden, 0.3, self.seed, "embedding.hidden")

    def latents(self, waveform_BS: Tensor, length_B: Tensor | None = None) -> Tensor:
        """What the convolutions find in clips (int16, or floating-point), each normalised over its ``length`` samples,
        then the layer norm: ``[B, T, channels]``."""
        found = self.embedding.latents(normalised(waveform_BS, length_B).to(self.compute_dtype))
        return self.embedding.latent_norm(found)

    def inside(self, length_B: Tensor) -> Tensor:
        """Which frames are made of sound alone, and the first one in any case: bool ``[B, T]``."""
        frames_B = lengths_of(length_B, self.config.kernels, self.config.strides)[-1]
        at_T = torch.arange(self.config.context, device=length_B.device)
        return at_T < frames_B.clamp(min=1)[:, None]

    def embed(
        self,
        latents_BTC: Tensor,
        hidden_BT: Tensor | None = None,
        inside_BT: Tensor | None = None,
        examples_B: Tensor | None = None,
    ) -> Tensor:
        """Frames for the backbone, ``[B, T, D]``: those of ``hidden`` know nothing of their latents."""
        return self.embedding(latents_BTC, hidden_BT, inside_BT, examples_B)

    @staticmethod
    def given(x_BTD: Tensor, inside_BT: Tensor | None = None, examples_B: Tensor | None = None) -> dict[str, Any]:
        """What the backbone is called with for embedded frames: those inside see each other."""
        positions = torch.arange(x_BTD.shape[1], device=x_BTD.device)[None]
        documents = None if inside_BT is None else inside_BT.to(torch.int64) - 1
        return {
            "x": x_BTD,
            "positions": positions,
            "attention": Mask.over(documents, "full"),
            "examples": examples_B,
        }

    def inputs(self, waveform_BS: Tensor, length_B: Tensor, examples_B: Tensor | None = None) -> dict[str, Any]:
        """What the backbone is called with for whole clips."""
        inside_BT = self.inside(length_B)
        x_BTD = self.embed(self.latents(waveform_BS, length_B), None, inside_BT, examples_B)
        return self.given(x_BTD, inside_BT, examples_B)

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """The last hidden states ``[B, T, D]`` of clips ``[B, samples]``."""
        if length is None:
            length = torch.full((len(waveform),), waveform.shape[1], device=waveform.device)
        return self.backbone(**self.inputs(waveform, length)).hidden

    def pooled(self, hidden_BTD: Tensor, length_B: Tensor) -> Tensor:
        """One fp32 vector a clip ``[B, D]``: the mean over its frames."""
        weight_BT = self.inside(length_B).float()
        return (hidden_BTD.float() * weight_BT[..., None]).sum(1) / weight_BT.sum(1, keepdim=True)


def normalised(waveform_BS: Tensor, length_B: Tensor | None = None) -> Tensor:
    """Clips with mean 0 and variance 1 over their first ``length`` samples, fp32, and silence after them."""
    scale = 1 / 32767.0 if not waveform_BS.is_floating_point() else 1.0
    samples = waveform_BS.float() * scale
    if length_B is None:
        length_B = torch.full((len(samples),), samples.shape[1], device=samples.device)
    inside = torch.arange(samples.shape[1], device=samples.device) < length_B[:, None]
    count = length_B.clamp(min=1)[:, None]
    mean = (samples * inside).sum(1, keepdim=True) / count
    away = (samples - mean) * inside
    return away / (away.square().sum(1, keepdim=True) / count + 1e-7).sqrt()
