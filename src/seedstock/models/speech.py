"""A network that hears and writes: Whisper."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.backbone import Source
from seedstock.models.dropout import Dropout
from seedstock.models.encoder_decoder import EncoderDecoderNetwork, SideEmbedding
from seedstock.models.initialise import fill
from seedstock.models.mask import Mask
from seedstock.models.network import Embedding, Head, Table
from seedstock.models.roles import ROLES

OWN_ROLES = (("embedding.source.*.weight", "column"), *ROLES)


class Frames(nn.Module):
    """A convolution over three frames, padded by one to each side; its weight ``[out, in · 3]`` is a matrix."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.inputs, self.stride = inputs, stride
        self.weight = nn.Parameter(torch.empty(outputs, inputs * 3))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x_BCT: Tensor) -> Tensor:
        weight = self.weight.view(-1, self.inputs, 3).to(x_BCT.dtype)
        return F.gelu(F.conv1d(x_BCT, weight, self.bias.to(x_BCT.dtype), stride=self.stride, padding=1))


class SpectrumEmbedding(nn.Module):
    """Spectra to half as many places of the backbone's width, with where they lie."""

    def __init__(self, config: Any, seed: int) -> None:
        super().__init__()
        self.width = config.width
        self.first, self.second = Frames(config.bins, config.width, 1), Frames(config.width, config.width, 2)
        self.dropout = Dropout(config.dropout, seed, "embedding", "source")

    def forward(self, spectrum_BTF: Tensor, dtype: torch.dtype, examples_B: Tensor | None) -> Tensor:
        x_BTD = self.second(self.first(spectrum_BTF.to(dtype).transpose(1, 2))).transpose(1, 2)
        at_TD = lying(x_BTD.shape[1], self.width, x_BTD.device)
        return self.dropout((x_BTD.float() + at_TD).to(dtype), examples_B)


class SpeechEmbedding(Embedding):
    """Spectra on one side, tokens on the other."""

    def __init__(self, config: Any, vocab_size: int, seed: int) -> None:
        nn.Module.__init__(self)
        self.tokens = Table(vocab_size, config.width)
        self.source = SpectrumEmbedding(config, seed)
        self.target = SideEmbedding(config, seed, "target")

    def forward(self, tokens_BT: Tensor, positions_BT: Tensor, dtype: torch.dtype, examples_B: Tensor | None) -> Tensor:
        return self.target(self.tokens(tokens_BT, torch.float32), positions_BT, dtype, examples_B)


class SpeechNetwork(EncoderDecoderNetwork):
    """Embeddings, both stacks and the head. ``config`` has every size."""

    embedding_class = SpeechEmbedding  # type: ignore[assignment]
    head_class = Head  # type: ignore[assignment]

    role_patterns = OWN_ROLES

    def initialise(self) -> None:
        """The convolutions keep the size of what they are given (He et al. 2015)."""
        super().initialise()
        for name in ("first", "second"):
            weight = self.get_parameter(f"embedding.source.{name}.weight")
            fill(weight, (2 / weight.shape[1]) ** 0.5, self.seed, f"embedding.source.{name}.weight")

    def hear(self, spectrum_BTF: Tensor, examples_B: Tensor | None = None) -> Source:
        """Spectra, fp32 ``[B, frames, bins]``, embedded for ``backbone(cross=…)``. Silence is read as all else is."""
        x_BSD = self.embedding.source(spectrum_BTF, self.compute_dtype, examples_B)  # type: ignore[operator]
        return Source(x_BSD, torch.arange(x_BSD.shape[1], device=x_BSD.device)[None], Mask("full"))

    def encode(self, spectrum_BTF: Tensor) -> Tensor:
        """What the encoder gives, ``[B, frames / 2, D]``."""
        source = self.hear(spectrum_BTF)
        return self.backbone.encoder(source.x, source.positions, source.attention).hidden


def lying(count: int, width: int, device: Any = None) -> Tensor:
    """Fixed embeddings of places, fp32 ``[count, width]``: sines, then cosines, of wavelengths from 2π to 20,000π in
    equal factors (Vaswani et al. 2017, as Radford et al. 2022 lay them out)."""
    half = width // 2
    rates = torch.exp(-math.log(10_000) / max(1, half - 1) * torch.arange(half, device=device, dtype=torch.float32))
    angles = torch.arange(count, device=device, dtype=torch.float32)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
