"""A captioner as a folder of its own, since no class of the ecosystem is one::

    config.json         {"architectures": ["SeedstockCaptioner"], "model": the recipe's section with every size,
                         "objective": the same, "vocab_size", "specials": names and ids}
    model.safetensors   network.picture.*, network.text.*, joint.* (as docs/objectives/contrastive.md names them) and
                         writer.*: the layers that see the picture

``read(folder)`` gives the model; no code of the folder is run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seedstock.errors import SeedstockError
from seedstock.ledger.files import read_json
from seedstock.transfer.maps import clip, vit

CLASS, LIBRARY = "SeedstockCaptioner", "seedstock"
processor = clip.processor


class SeedstockCaptioner(nn.Module):
    """``describe(images)`` writes captions; ``pictures`` and ``texts`` give unit vectors."""

    def __init__(self, nets: nn.ModuleDict, objective: Any) -> None:
        super().__init__()
        self.nets, self.objective = nets, objective

    def pictures(self, images: Tensor) -> Tensor:
        """uint8 ``[B, H, W, C]`` → ``[B, embedding]``."""
        return self.objective.features(self.nets, {"image": images})

    def texts(self, tokens: Tensor) -> Tensor:
        """``[B, T]`` → ``[B, embedding]``."""
        return self.objective.described(self.nets, tokens)

    def describe(self, images: Tensor) -> Tensor:
        """The tokens ``[B, T]`` of captions."""
        return self.objective.written(self.nets, images)

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Logits ``[B, T, V]`` of what follows each token."""
        return self.objective.told(self.nets, images, tokens)


def fits(c: Any) -> bool:
    """Every captioner's can."""
    return c.kind == "towers"


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``."""
    own = objective.spec
    about = {"architectures": [CLASS], "model_type": "seedstock_captioner", "vocab_size": own.vocab_size}
    settings = {"model": c.model_dump(mode="json"), "objective": objective.config.model_dump(mode="json")}
    return {**about, **settings, "specials": dict(own.specials)}


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """All, by their own names."""
    return {name: one.detach() for name, one in nets.state_dict().items()}


def read(folder: Any) -> SeedstockCaptioner:
    """The model of a folder, in fp32. Raises SeedstockError for a folder of another class."""
    from safetensors.torch import load_file

    from seedstock.models.configs.towers import TowersConfig
    from seedstock.objectives.base import Spec, assemble
    from seedstock.objectives.configs.captioner import CaptionerConfig

    path = Path(folder) / "config.json"
    about = read_json(path) if path.is_file() else {}
    if about.get("architectures") != [CLASS]:
        raise SeedstockError(
            f"this is no {CLASS}", where=folder, fix="name a folder that `seedstock export` wrote of one"
        )
    model = TowersConfig(**about["model"])
    spec = Spec(
        vocab_size=about["vocab_size"], context=model.context, specials=about["specials"], model=model.resolved()
    )
    objective: Any = CaptionerConfig(**about["objective"]).build()
    objective.spec = spec
    nets = assemble(model.build(spec.vocab_size), objective)
    nets.load_state_dict(load_file(Path(folder) / "model.safetensors"))
    return SeedstockCaptioner(nets, objective).eval()


def load(library: Any, folder: Any) -> SeedstockCaptioner:
    """``read``."""
    return read(folder)


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """Unit vectors and logits."""
    images, ours = vit.pixels(nets["network"].picture.config), SeedstockCaptioner(nets, objective)
    length, specials = nets["network"].text.config.context, objective.spec.specials
    tokens = torch.arange(3 * length).view(3, length) * 7 % objective.spec.vocab_size
    tokens[:, 0], tokens[:, -1] = specials["bos"], specials["eos"]
    return {
        "pictures": (theirs.pictures(images), ours.pictures(images)),
        "texts": (theirs.texts(tokens), ours.texts(tokens)),
        "logits": (theirs(images, tokens), ours(images, tokens)),
    }
