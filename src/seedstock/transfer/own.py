"""Exports of networks that the ecosystem's class of their shape would use for something else.

A masked text diffusion model has the tensors of a Llama, and looks both ways: loaded as ``LlamaForCausalLM`` it would
answer, and wrongly. So its folder has a class of ours on top, which no library takes for another, and the tensors below
it under their usual names::

    config.json    {"architectures": ["SeedstockMaskedDiffusion"], "model_type": "seedstock_masked_diffusion",
                    "mask_token_id", "vocab_size", "network": "network", "attention": "full",
                    "block": null, or tokens of a block where attention is "blocks"}
    network/       config.json and model.safetensors as transformers writes them
    tokenizer.json, tokenizer_config.json, parity.json

``load(folder)`` reads it; no code of the folder is run.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seedstock.errors import IntegrityError, SeedstockError
from seedstock.ledger.files import atomic_folder, read_json, write_json
from seedstock.models.keys import generator
from seedstock.models.mask import Mask
from seedstock.models.network import Network
from seedstock.transfer import export as plain
from seedstock.transfer.importing import import_model

CLASSES = {"SeedstockMaskedDiffusion": "seedstock_masked_diffusion"}
NETWORK = "network"
TOLERANCE = 1e-5


class MaskedDiffusion(nn.Module):
    """Logits ``[B, T, V]`` of every place of ``tokens`` ``[B, T]``, in which ``mask_token_id`` hides what is asked
    for; of use are those of hidden places: with a ``block``, of the last one that is not clean."""

    def __init__(self, network: Network, mask_token_id: int, block: int | None = None) -> None:
        super().__init__()
        self.network, self.mask_token_id, self.block = network, mask_token_id, block

    def forward(self, tokens: Tensor) -> Tensor:
        return self.network(tokens, mask=_mask(tokens, self.block))


def _mask(tokens: Tensor, block: int | None) -> Mask:
    if block is None:
        return Mask("full")
    return Mask("blocks", blocks=torch.arange(tokens.shape[1], device=tokens.device)[None] // block)


def export(
    network: Network,
    tokenizer_folder: Path | None,
    folder: Path,
    *,
    name: str,
    mask_token_id: int,
    block: int | None = None,
) -> dict[str, Any]:
    """Writes the folder of the class ``name``, whole or not at all; returns the report that ``parity.json`` holds.

    Raises SeedstockError where the folder is not new, IntegrityError where what is loaded from it computes something
    else.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SeedstockError("it exists already", where=folder, fix="name a new folder, or remove this one")
    with atomic_folder(folder) as partial:
        inner = plain.export(network, tokenizer_folder, partial / NETWORK, parity=False)
        for file in plain.TOKENIZER_FILES:
            if (partial / NETWORK / file).exists():
                shutil.move(partial / NETWORK / file, partial / file)
        (partial / NETWORK / "generation_config.json").unlink()  # it does not generate as that class does
        config = {
            "architectures": [name],
            "model_type": CLASSES[name],
            "network": NETWORK,
            "network_class": inner["class"],
            "attention": "full" if block is None else "blocks",
            "block": block,
            "mask_token_id": mask_token_id,
            "vocab_size": network.vocab_size,
        }
        write_json(partial / "config.json", config)
        report = _parity(network, load(partial), name)
        if not report["passed"]:
            what = f"what is loaded differs by {report['largest_difference']:.3g}"
            raise IntegrityError(
                what, where=folder, fix="nothing was written; report this with the recipe's model section"
            )
        write_json(partial / "parity.json", report)
    return report


def load(folder: Path) -> MaskedDiffusion:
    """The model of a folder that ``export`` wrote, in fp32 and ready for use. Raises SeedstockError for any other."""
    folder = Path(folder)
    settings = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    names = settings.get("architectures") or ["a model without a class"]
    if names[0] not in CLASSES:
        what = f"{names[0]} is not one of {', '.join(CLASSES)}"
        raise SeedstockError(what, where=folder, fix="transfer.importing reads the ecosystem's classes")
    network = import_model(folder / str(settings["network"]), parity=False).network
    return MaskedDiffusion(network, int(settings["mask_token_id"]), settings.get("block")).eval()


@torch.inference_mode()
def _parity(network: Network, loaded: MaskedDiffusion, name: str) -> dict[str, Any]:
    """Logits of random tokens, a third of them hidden: ours against those of the folder."""
    shape = (4, min(network.config.context, 128))
    tokens = torch.randint(0, network.vocab_size, shape, generator=generator("parity"))
    tokens[torch.rand(shape, generator=generator("parity", "hidden")) < 1 / 3] = loaded.mask_token_id
    training, dtype, device = network.training, network.compute_dtype, network.head.matrix.device
    network.eval().use(torch.float32)
    try:
        ours = network(tokens.to(device), mask=_mask(tokens.to(device), loaded.block)).cpu()
    finally:
        network.train(training).use(dtype)
    scale, difference = max(1.0, float(ours.abs().max())), float((loaded(tokens) - ours).abs().max())
    report = {"positions": tokens.numel(), "largest_difference": difference, "scale": scale, "tolerance": TOLERANCE}
    return {"class": name, "passed": difference <= TOLERANCE * scale, **report}
