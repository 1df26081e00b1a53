"""The families of autoencoders and of what reads their codes, for ``conformance_families``."""

from __future__ import annotations

from conformance import Family

from seedstock.inputs.items.images import ImagesConfig
from seedstock.models.configs.autoencoder import AutoencoderConfig
from seedstock.objectives.configs.codes import KlConfig, VqConfig

PICTURES = ImagesConfig(size=16, label="label")
SIZES = {"image": 16, "widths": (8, 16), "groups": 4, "latent": 4}


def noise(objective, batch):
    """The noise on latents is normal."""
    yield "mean", float(batch["noise"].mean()), 0, 0.01
    yield "deviation", float(batch["noise"].std()), 1, 0.01


FAMILIES = {
    **{
        f"vq {codebook}": Family(
            VqConfig(codebook=codebook),
            AutoencoderConfig(codes=32, attended=int(codebook == "gradient"), **SIZES),
            lambda objective, batch: (),
            guessed=False,
            padded=False,
            frozen=("network.codebook",) if codebook == "ema" else (),
            by_heart=0.4,
            steps=150,
            unknown=("commitment", "codebook"),
            input=PICTURES,
        )
        for codebook in ("ema", "gradient")
    },
    "kl": Family(
        KlConfig(),
        AutoencoderConfig(shape="kl", **SIZES),
        lambda objective, batch: (),
        noise,
        guessed=False,
        padded=False,
        by_heart=0.3,
        unknown=("kl",),
        input=PICTURES,
    ),
}
