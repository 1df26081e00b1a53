"""The families of pictures, alone and beside captions, for ``conformance_families``."""

from __future__ import annotations

import numpy as np
import torch
from conformance import Family, Secret

from seedstock.inputs.items.images import ImagesConfig
from seedstock.models.configs.autoencoder import AutoencoderConfig
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.towers import TowersConfig
from seedstock.models.configs.vision import VisionConfig
from seedstock.objectives.configs.captioner import CaptionerConfig
from seedstock.objectives.configs.classify_pictures import ClassifyPicturesConfig
from seedstock.objectives.configs.contrastive import ContrastiveConfig
from seedstock.objectives.configs.dino import DinoConfig
from seedstock.objectives.configs.ijepa import IjepaConfig
from seedstock.objectives.configs.image_diffusion import ImageDiffusionConfig
from seedstock.objectives.configs.mae import MaeConfig
from seedstock.objectives.configs.restoration import RestorationConfig
from seedstock.objectives.configs.rotation import RotationConfig
from seedstock.objectives.configs.views import ByolConfig, SimclrConfig

PICTURES = ImagesConfig(size=16, label="label")
VISION = {"width": 32, "layers": 2, "heads": 2, "mlp_width": 64, "image": 16, "patch": 4}
CAPTIONS = {"width": 32, "layers": 2, "heads": 2, "mlp_width": 64, "context": 12}


def hidden_patches(objective, batch):
    """Pixels of hidden patches may be seen from nowhere."""
    model = objective.spec.model
    side = model.image // model.patch
    for row, places in enumerate(batch["hidden"].tolist()):
        top, left = (one * model.patch for one in divmod(places[0], side))
        yield Secret("image", row, (top, left, 0), torch.ones(batch["seen"].shape[1] + 1, dtype=torch.bool), input=True)


def shares_of_patches(objective, batch):
    """He et al. 2022: the same number of each picture's patches, each as likely as another."""
    patches = objective.spec.model.patches
    hidden = torch.zeros(len(batch["hidden"]), patches).scatter_(1, batch["hidden"], 1)
    seen = torch.zeros(len(batch["seen"]), patches).scatter_(1, batch["seen"], 1)
    yield "patches hidden and seen, or neither", float((hidden + seen != 1).sum()), 0, 0
    yield "share", float(hidden.mean()), objective.config.mask, 1e-6
    yield "how the shares of places scatter", float(hidden.mean(0).std()), 0, 0.06


def turned_pictures(objective, batch):
    """The turn is no part of what is read; a picture may not be seen in the place of another."""
    count, length = len(batch["image"]), objective.spec.model.context
    for row in range(count - 1):
        yield Secret("image", row + 1, (0, 0, 0), torch.ones(length, dtype=torch.bool), of=row)


def other_pictures(objective, batch):
    """No picture is seen in the place of another, nor one view in that of the other."""
    length = objective.spec.model.context
    for row in range(len(batch["image"]) - 1):
        yield Secret("image", row + 1, (0, 0, 0), torch.ones(length, dtype=torch.bool), of=row)


def wanted_patches(objective, batch):
    """Patches that are asked for may not be seen where the context is read."""
    model = objective.spec.model
    for row, places in enumerate(batch["wanted"].any(1)):
        at = int(torch.nonzero(places)[0])
        top, left = (one * model.patch for one in divmod(at, model.image // model.patch))
        yield Secret("image", row, (top, left, 0), batch["shown"][row], input=True)


def blocks_of_patches(objective, batch):
    """Assran et al. 2023: what is wanted is not shown, and each target is a block of about its share."""
    wanted, shown = batch["wanted"], batch["shown"]
    yield "wanted and shown", float((wanted.any(1) & shown).sum()), 0, 0
    yield "pictures without a context", float((~shown.any(1)).sum()), 0, 0
    yield "pictures without a target", float((~wanted.flatten(1).any(1)).sum()), 0, 0
    yield "share of a target", float(wanted.float().mean()), objective.config.target, 0.05


def mixtures(objective, batch):
    """Times are drawn evenly, noise is normal, a tenth of the labels is not told, and the mixture is undone exactly."""
    time, picture = batch["time"], batch["image"].float() / 127.5 - 1
    yield "mean time", float(time.mean()), 0.5, 0.03
    yield "variance of time", float(time.var()), 1 / 12, 0.01
    yield "labels that are not told", float((batch["told"] < 0).float().mean()), objective.config.unlabelled, 0.03
    at = time[:, None, None, None]
    if objective.config.process == "flow":
        noise = batch["wanted"] + picture
        again = (1 - at) * picture + at * noise
    else:
        from seedstock.objectives.noise import kept

        noise, share = batch["wanted"], kept()[(at * 1000).long()].float()
        again = share.sqrt() * picture + (1 - share).sqrt() * noise
    yield "mixtures that differ", float((again - batch["mixed"]).abs().max()), 0, 1e-5
    yield "mean of the noise", float(noise.mean()), 0, 0.01
    yield "deviation of the noise", float(noise.std()), 1, 0.01


def other_pairs(objective, batch):
    """No picture is seen in the place of another, nor in that of its caption."""
    length = objective.spec.model.picture.context
    for row in range(len(batch["image"]) - 1):
        yield Secret("image", row + 1, (0, 0, 0), torch.ones(length, dtype=torch.bool), of=row)


def equal_pairs(arrays):
    """Pairs with one caption are right for each other alike: nobody can tell which is meant."""
    marks = arrays["marks"]
    return float(np.log((marks[:, None] == marks[None]).any(-1).sum(1)).mean())


def spoilt_pixels(objective, batch):
    """What lies in the hole may not be seen."""
    for row, places in enumerate(batch["counted"]):
        top, left = torch.nonzero(places)[0].tolist()
        yield Secret(
            "image", row, (top, left, 0), torch.ones(objective.spec.model.context, dtype=torch.bool), input=True
        )


def holes(objective, batch):
    """A square of the side that was asked for, anywhere."""
    side = round(objective.spec.model.image * objective.config.level)
    counted = batch["counted"].flatten(1).sum(1)
    yield "pixels of a hole", float(counted.float().mean()), side**2, 0
    yield "holes of another size", float((counted != side**2).sum()), 0, 0
    tops = batch["counted"].any(2).int().argmax(1).float()
    yield "mean of the first row", float(tops.mean()), (objective.spec.model.image - side) / 2, 0.5


def mixed_latents(objective, batch):
    """Latents have a deviation of about one, and noise is normal: both as mixture and velocity give them back."""
    at = batch["time"][:, None, None, None]
    latents, noise = batch["mixed"] - at * batch["wanted"], batch["mixed"] + (1 - at) * batch["wanted"]
    yield "deviation of latents", float(latents.std()), 1, 0.1
    yield "mean of noise", float(noise.mean()), 0, 0.01
    yield "deviation of noise", float(noise.std()), 1, 0.01
    yield "noise that is a latent", float((latents * noise).mean()), 0, 0.02


def noises(objective, batch):
    """Normal noise of the deviation that was asked for."""
    noise = batch["spoilt"] - (batch["image"].float() / 127.5 - 1)
    yield "mean", float(noise.mean()), 0, 0.01
    yield "deviation", float(noise.std()), objective.config.level, 0.01
    yield "fourth moment", float((noise / objective.config.level).pow(4).mean()), 3, 0.1


KL = AutoencoderConfig(shape="kl", image=16, widths=(8, 16), groups=4, latent=4)

FAMILIES = {
    "rotation": Family(
        RotationConfig(),
        VisionConfig(shape="vit", **VISION),
        turned_pictures,
        padded=False,
        by_heart=0.3,
        input=PICTURES,
    ),
    "inpainting": Family(
        RestorationConfig(damage="hole", level=0.4),
        VisionConfig(shape="vit", **VISION),
        spoilt_pixels,
        holes,
        padded=False,
        by_heart=0.1,
        steps=200,
        input=PICTURES,
    ),
    "denoising-pictures": Family(
        RestorationConfig(damage="noise", level=0.5),
        VisionConfig(shape="vit", **VISION),
        lambda objective, batch: (),
        noises,
        guessed=False,
        padded=False,
        by_heart=0.25,
        steps=200,
        input=PICTURES,
    ),
    "simclr": Family(
        SimclrConfig(hidden=64, outputs=32),
        VisionConfig(shape="vit", **VISION),
        other_pictures,
        padded=False,
        by_heart=0.5,
        steps=150,
        input=PICTURES,
    ),
    "byol": Family(
        ByolConfig(hidden=64, outputs=32),
        VisionConfig(shape="vit", **VISION),
        other_pictures,
        frozen=("teacher",),
        padded=False,
        by_heart=0.3,
        input=PICTURES,
    ),
    "dino": Family(
        DinoConfig(prototypes=64, hidden=64, bottleneck=32, small=2, small_size=8, teacher_temperature=0.1),
        VisionConfig(shape="vit", **VISION),
        other_pictures,
        frozen=("teacher", "teacher_head"),
        idle=("head.blank",),
        padded=False,
        by_heart=0.9,
        input=PICTURES,
    ),
    "dinov2": Family(
        DinoConfig(
            prototypes=64,
            hidden=64,
            bottleneck=32,
            small=2,
            small_size=8,
            patches=1.0,
            scatter=0.1,
            centring="sinkhorn",
            jitter=0.2,
            teacher_temperature=0.1,
        ),
        VisionConfig(shape="vit", **VISION),
        other_pictures,
        frozen=("teacher", "teacher_head"),
        padded=False,
        by_heart=0.9,
        unknown=("scatter",),
        input=PICTURES,
    ),
    "ijepa": Family(
        IjepaConfig(predictor_width=32, predictor_layers=1, predictor_heads=2),
        VisionConfig(shape="vit", class_token=False, **VISION),
        wanted_patches,
        blocks_of_patches,
        frozen=("teacher",),
        padded=False,
        by_heart=0.6,
        input=PICTURES,
    ),
    **{
        f"image-diffusion {process}": Family(
            ImageDiffusionConfig(process=process),
            VisionConfig(shape="dit", **{**VISION, "mlp_width": 128}),
            lambda objective, batch: (),
            mixtures,
            guessed=False,
            padded=False,
            by_heart=0.6,
            steps=150,
            export=None,
            input=PICTURES,
        )
        for process in ("flow", "ddpm")
    },
    "image-diffusion of latents": Family(
        ImageDiffusionConfig(latents="run:kl"),
        VisionConfig(shape="dit", **{**VISION, "mlp_width": 128, "image": 8, "channels": 4, "patch": 2}),
        lambda objective, batch: (),
        mixed_latents,
        guessed=False,
        padded=False,
        by_heart=0.6,
        steps=150,
        input=PICTURES,
        parents={"run:kl": KL},
    ),
    **{
        f"contrastive {loss}": Family(
            ContrastiveConfig(loss=loss, embedding=32),
            TowersConfig(
                shape=shape,
                picture=VisionConfig(shape=shape, **VISION),
                text=DecoderConfig(shape="gpt2", **CAPTIONS),
            ),
            other_pairs,
            padded=False,
            by_heart=0.5,
            **({"least": equal_pairs} if loss == "softmax" else {}),
            batch=3,  # of the first one five pairs of six are equal
            steps=150,
            unknown=("pair",) if loss == "sigmoid" else (),
            input=ImagesConfig(size=16, caption=12),
        )
        for loss, shape in (("softmax", "clip"), ("sigmoid", "siglip"))
    },
    "classify-pictures": Family(
        ClassifyPicturesConfig(),
        VisionConfig(shape="vit", **VISION),
        other_pictures,
        padded=False,
        by_heart=0.2,
        input=PICTURES,
    ),
    "captioner": Family(
        CaptionerConfig(embedding=32, layers=1, tied=False),
        TowersConfig(
            shape="clip",
            picture=VisionConfig(shape="clip", **VISION),
            text=DecoderConfig(shape="gpt2", **CAPTIONS),
        ),
        other_pairs,
        padded=False,
        by_heart=0.5,
        steps=150,
        input=ImagesConfig(size=16, caption=12),
    ),
    "mae": Family(
        MaeConfig(decoder_width=32, decoder_layers=1, decoder_heads=2, mask=0.5),
        VisionConfig(shape="mae", **VISION),
        hidden_patches,
        shares_of_patches,
        by_heart=0.3,
        steps=200,
        padded=False,
        input=PICTURES,
    ),
}
