"""A convolutional autoencoder of pictures: its backbone is the encoder, and its other half draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seedstock.models.backbone import Output
from seedstock.models.codebook import Codebook
from seedstock.models.initialise import fill
from seedstock.models.patches import normalised, patchify, unpatchify
from seedstock.models.residual import Half, Kernel, ResidualBlock
from seedstock.models.whole import Whole

OWN_ROLES = (
    ("*norm.weight", "vector"),
    ("*.bias", "vector"),
    ("codebook.weight", "embedding"),
    ("*.output.weight", "row"),
    ("*.attention.*.weight", "column"),
    ("*.attentions.*.weight", "column"),
    ("*.weight", "kernel"),
)
FIRST = 0.1
"""The deviation of what is drawn before training."""


class Encoder(nn.Module):
    """Pixels by place ``[B, T, P]`` → what is found at each, ``[B, T, E]`` (mean, then log-variance, of ``kl``)."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.layers = Half(config, config.channels, config.found, encoder=True)
        self.project = Kernel(config.found, config.found, 1)
        self.config = config

    def forward(self, x: Tensor, **_: Any) -> Output:
        images = unpatchify(x, self.config.factor, self.config.channels).permute(0, 3, 1, 2)
        found = self.project(self.layers(images.contiguous(memory_format=torch.channels_last)))
        return Output(found.flatten(2).transpose(1, 2))


class Decoder(nn.Module):
    """Latents ``[B, T, E]`` → pixels ``[B, H, W, C]``, fp32."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.project = Kernel(config.latent, config.latent, 1)
        self.layers = Half(config, config.latent, config.channels, encoder=False)
        self.side = config.image // config.factor

    def forward(self, latents_BTE: Tensor) -> Tensor:
        square = latents_BTE.transpose(1, 2).unflatten(2, (self.side, self.side))
        drawn = self.layers(self.project(square.contiguous(memory_format=torch.channels_last)))
        return drawn.float().permute(0, 2, 3, 1)


class AutoencoderNetwork(Whole):
    """Encoder, decoder, and of ``vq`` the codebook between them."""

    role_patterns = OWN_ROLES
    block_class = ResidualBlock

    def assemble(self) -> None:
        """Both halves, and the codebook where there is one."""
        c = self.config
        self.backbone = Encoder(c)
        self.decoder = Decoder(c)
        self.codebook = Codebook(c.codes, c.latent, self.seed) if c.shape == "vq" else None

    def initialise(self) -> None:
        """Weights keep the size of what goes through; the last layer begins small."""
        for buffer in self.buffers():
            buffer.zero_()
        for name, role in self.roles().items():
            parameter = self.get_parameter(name)
            if role == "vector":
                parameter.fill_(float(name.endswith("norm.weight")))
                continue
            std = 1.0 if role == "embedding" else 1 / math.sqrt(parameter[0].numel())
            fill(parameter, std * (FIRST if name == "decoder.layers.last.weight" else 1.0), self.seed, name)

    def inputs(self, images_BHWC: Tensor) -> dict[str, Any]:
        """What the backbone is called with for pictures, uint8 or normalised."""
        return {"x": patchify(normalised(images_BHWC), self.config.factor).to(self.compute_dtype)}

    def latents(self, images_BHWC: Tensor) -> Tensor:
        """The latents of pictures, fp32 ``[B, T, E]``: of ``kl`` their means."""
        return self.backbone(**self.inputs(images_BHWC)).hidden.float()[..., : self.config.latent]

    def codes(self, images_BHWC: Tensor) -> Tensor:
        """The codes of pictures, int64 ``[B, T]``, row by row."""
        return self._book.nearest(self.latents(images_BHWC))

    def decode(self, latents_BTE: Tensor) -> Tensor:
        """The pictures of latents, fp32 ``[B, H, W, C]``, from -1 to 1 where they are like those it learned."""
        return self.decoder(latents_BTE.to(self.compute_dtype))

    def draw(self, codes_BT: Tensor) -> Tensor:
        """The pictures of codes, fp32 ``[B, H, W, C]``."""
        return self.decode(self._book(codes_BT))

    @property
    def _book(self) -> Codebook:
        if self.codebook is None:
            raise ValueError("a KL autoencoder has latents, and no codes")
        return self.codebook

    def after_step(self, reduce: Callable[[Tensor], Tensor] = lambda found: found) -> None:
        """After each optimizer step: the codebook follows, of what ``reduce`` adds up over processes."""
        if self.codebook is not None:
            self.codebook.after_step(reduce)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures drawn again, fp32 ``[B, H, W, C]``."""
        latents = self.latents(images)
        return self.decode(latents) if self.codebook is None else self.draw(self.codebook.nearest(latents))
