"""An autoencoder of sounds: its backbone makes frames of samples, codebooks round them, the rest plays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.backbone import Output
from seedstock.models.codebook import Codebook
from seedstock.models.initialise import fill
from seedstock.models.whole import Whole

OWN_ROLES = (
    ("books.*.weight", "embedding"),
    ("*.length", "vector"),
    ("*.bias*", "vector"),
    ("*", "kernel"),
)
FIRST = 0.05
"""What the last convolution begins with, as a part of what would keep the size of what goes through."""
BOOK = 0.2
"""That of the first codebook's vectors, about that of latents; each further book has half of it."""
FULL = 32767.0


class Taps(nn.Module):
    """A convolution over what came before, its weight a length and a direction (weight norm, Salimans and Kingma 2016);
    before the beginning the sound is mirrored. ``[B, C, T]`` → ``[B, outputs, T / stride]``."""

    def __init__(self, inputs: int, outputs: int, taps: int, stride: int = 1, spread: int = 1) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.empty(outputs, inputs, taps))
        self.length = nn.Parameter(torch.empty(outputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.stride, self.spread, self.before = stride, spread, (taps - 1) * spread + 1 - stride

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = weight_of(self).to(x.dtype), self.bias.to(x.dtype)
        return F.conv1d(mirrored(x, self.before), weight, bias, self.stride, dilation=self.spread)


class Spread(nn.Module):
    """The way back: each frame becomes ``ratio`` samples, from it and the one before. ``[B, C, T]`` → ``[B, C / 2,
    T · ratio]``."""

    def __init__(self, inputs: int, outputs: int, ratio: int) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.empty(inputs, outputs, 2 * ratio))
        self.length = nn.Parameter(torch.empty(inputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.ratio = ratio

    def forward(self, x: Tensor) -> Tensor:
        found = F.conv_transpose1d(x, weight_of(self).to(x.dtype), self.bias.to(x.dtype), self.ratio)
        return found[..., : -self.ratio]


def weight_of(layer: Any) -> Tensor:
    """The weight of a length and a direction for each first index."""
    direction = layer.direction
    return direction * (layer.length / direction.flatten(1).norm(dim=1).clamp_min(1e-12))[:, None, None]


def mirrored(x: Tensor, before: int) -> Tensor:
    """With ``before`` more places in front, as in a mirror at the first; a clip shorter than that is silence behind."""
    missing = max(0, before + 1 - x.shape[-1])
    padded = F.pad(F.pad(x, (0, missing)), (before, 0), "reflect") if before else x
    return padded[..., : padded.shape[-1] - missing] if missing else padded


class Around(nn.Module):
    """A residual block: two convolutions of half the width, and one of one tap that goes around."""

    def __init__(self, width: int, spread: int) -> None:
        super().__init__()
        self.first = Taps(width, width // 2, 3, spread=spread)
        self.second = Taps(width // 2, width, 1)
        self.around = Taps(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.around(x) + self.second(F.elu(self.first(F.elu(x))))


class Recurrent(nn.Module):
    """An LSTM over frames, added to them; in fp32."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.lstm(x.float().transpose(1, 2))[0].transpose(1, 2).to(x.dtype)


class Elu(nn.Module):
    """x, below zero exp(x) - 1 (Clevert et al. 2016)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(x)


class Frames(nn.Module):
    """Samples by frame ``[B, T, hop]`` → latents ``[B, T, E]``."""

    def __init__(self, c: Any) -> None:
        super().__init__()
        width = c.filters
        layers: list[nn.Module] = [Taps(1, width, c.taps)]
        for ratio in reversed(c.ratios):
            layers += [Around(width, 2**number) for number in range(c.blocks)]
            layers += [Elu(), Taps(width, 2 * width, 2 * ratio, ratio)]
            width *= 2
        layers += [Recurrent(width, c.recurrent)] if c.recurrent else []
        layers += [Elu(), Taps(width, c.latent, c.taps)]
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, **_: Any) -> Output:
        x = x.flatten(1)[:, None]
        for layer in self.layers:
            x = layer(x)
        return Output(x.transpose(1, 2))


class Samples(nn.Module):
    """Latents ``[B, T, E]`` → samples ``[B, T · hop]``, fp32."""

    def __init__(self, c: Any) -> None:
        super().__init__()
        width = c.width
        layers: list[nn.Module] = [Taps(c.latent, width, c.taps)]
        layers += [Recurrent(width, c.recurrent)] if c.recurrent else []
        for ratio in c.ratios:
            layers += [Elu(), Spread(width, width // 2, ratio)]
            width //= 2
            layers += [Around(width, 2**number) for number in range(c.blocks)]
        layers += [Elu(), Taps(width, 1, c.taps)]
        self.layers = nn.ModuleList(layers)

    def forward(self, latents_BTE: Tensor) -> Tensor:
        x = latents_BTE.transpose(1, 2)
        for layer in self.layers:
            x = layer(x)
        return x[:, 0].float()


class CodecNetwork(Whole):
    """Encoder, codebooks, decoder. ``config`` has every size."""

    role_patterns = OWN_ROLES
    block_class = Around

    def assemble(self) -> None:
        """Both halves, and the codebooks between them."""
        c = self.config
        self.backbone = Frames(c)
        self.decoder = Samples(c)
        self.books = nn.ModuleList(Codebook(c.codes, c.latent, self.seed + number) for number in range(c.books))

    def initialise(self) -> None:
        """Weights keep the size of what goes through; the last layer begins small, and so does each further book."""
        for buffer in self.buffers():
            buffer.zero_()
        for name, role in self.roles().items():
            parameter = self.get_parameter(name)
            if role == "vector":
                parameter.zero_()
            elif role == "embedding":
                fill(parameter, BOOK * 0.5 ** int(name.split(".")[1]), self.seed, name)
            else:
                fill(parameter, 1 / math.sqrt(parameter[0].numel()), self.seed, name)
        for module in self.modules():
            if isinstance(module, Taps | Spread):
                module.length.copy_(module.direction.flatten(1).norm(dim=1))
        last: Any = self.decoder.layers[-1]
        last.length.mul_(FIRST)

    def inputs(self, waveform_BS: Tensor) -> dict[str, Any]:
        """What the backbone is called with for clips of whole frames, int16 or from -1 to 1."""
        return {"x": floating(waveform_BS).unflatten(1, (-1, self.config.hop)).to(self.compute_dtype)}

    def latents(self, waveform_BS: Tensor) -> Tensor:
        """The latents of clips, fp32 ``[B, T, E]``."""
        return self.backbone(**self.inputs(waveform_BS)).hidden.float()

    def rounded(self, latents_BTE: Tensor, books: int | None = None) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Codes ``[B, T, books]``; and book by book what was rounded, and the vectors, ``[B, T, E]`` each."""
        left, codes, given, vectors = latents_BTE, [], [], []
        for book in list(self.books)[:books]:
            assert isinstance(book, Codebook)
            codes.append(book.nearest(left))
            given.append(left)
            vectors.append(book(codes[-1]))
            left = left - vectors[-1].detach()
        return torch.stack(codes, dim=-1), given, vectors

    def codes(self, waveform_BS: Tensor, books: int | None = None) -> Tensor:
        """The codes of clips, int64 ``[B, T, books]``, of the first so many books."""
        return self.rounded(self.latents(waveform_BS), books)[0]

    def decode(self, latents_BTE: Tensor) -> Tensor:
        """The samples of latents, fp32 ``[B, S]``."""
        return self.decoder(latents_BTE.to(self.compute_dtype))

    def play(self, codes_BTK: Tensor) -> Tensor:
        """The samples of codes of the first so many books, fp32 ``[B, S]``."""
        books = zip(self.books, codes_BTK.unbind(-1), strict=False)
        return self.decode(sum((book(codes) for book, codes in books), torch.zeros((), device=codes_BTK.device)))

    def after_step(self, reduce: Callable[[Tensor], Tensor] = lambda found: found) -> None:
        """After each optimizer step: the codebooks follow, of what ``reduce`` adds up over processes."""
        for book in self.books:
            assert isinstance(book, Codebook)
            book.after_step(reduce)

    def forward(self, waveform: Tensor) -> Tensor:
        """Clips played again, fp32 ``[B, S]``."""
        return self.play(self.codes(waveform))


def floating(waveform_BS: Tensor) -> Tensor:
    """Samples from -1 to 1, fp32, of stored ones or of such."""
    return waveform_BS.float() if waveform_BS.is_floating_point() else waveform_BS.float() / FULL
