"""From a network to a folder that ``transformers`` loads."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from seedstock.errors import SeedstockError
from seedstock.ledger.files import atomic_folder, read_json, write_json
from seedstock.models.network import Network
from seedstock.transfer import parity as proof
from seedstock.transfer.maps import auto, find, rules
from seedstock.transfer.tensors import outward

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def export(
    network: Network,
    tokenizer_folder: Path | None,
    folder: Path,
    *,
    nets: Mapping[str, Any] | None = None,
    dtype: Literal["float32", "bfloat16"] = "float32",
    parity: bool = True,
) -> dict[str, Any]:
    """Writes ``config.json``, ``model.safetensors``, ``generation_config.json``, the tokenizer and ``parity.json``.

    The folder appears whole, or not at all: where ``transformers`` loads something else than ``network`` computes, it
    is not written. Returns the parity report. Raises SeedstockError where the shape has no class there, where the
    folder is not new, where transformers is not installed (unless ``parity`` is off), and where the two differ.
    ``nets`` are the objective's modules by name; those that the class has a place for go with the network.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SeedstockError("it exists already", where=folder, fix="name a new folder, or remove this one")
    target = find(network.config.export_class, "model")
    if parity:
        proof.transformers()
    kept = copy.deepcopy(network).cpu()
    with torch.no_grad():
        for parameter in kept.parameters():
            parameter.copy_(parameter.to(getattr(torch, dtype)))
    with atomic_folder(folder) as partial:
        chosen = _write_weights(kept, nets or {}, target, partial, dtype)
        specials = _write_tokenizer(tokenizer_folder, partial) if tokenizer_folder else {}
        config = target.to_config(network.config, network.vocab_size)
        ids = {f"{name}_token_id": specials.get(name) for name in ("bos", "eos", "pad")}
        if network.config.cross:
            start = specials.get(network.config.start, config["decoder_start_token_id"])
            ids["decoder_start_token_id"] = start
        known = {key: value for key, value in ids.items() if value is not None or key not in config}
        write_json(partial / "config.json", {"architectures": [chosen], "dtype": dtype, **config, **known})
        generation = _generation(ids, specials) | {key: config[key] for key in ("use_cache",) if key in config}
        write_json(partial / "generation_config.json", generation)
        if not parity:
            return {"class": chosen, "passed": None}
        report = proof.compare(kept, partial, auto=auto(target, chosen))
        proof.insist(report, folder)
        write_json(partial / "parity.json", report)
    return report


def _write_weights(network: Network, nets: Mapping[str, Any], target: Any, folder: Path, dtype: str) -> str:
    """Writes the tensors and returns the class that holds them."""
    from safetensors.torch import save_file

    table = rules(target, network.config)
    known = {name for rule in table for name in rule.ours}
    ours = dict(network.state_dict())
    for net, module in nets.items():
        if net != "network":
            ours |= {name: one for key, one in module.state_dict().items() if (name := f"{net}.{key}") in known}
    ours = {name: tensor.detach().cpu().to(getattr(torch, dtype)) for name, tensor in ours.items()}
    save_file(outward(ours, table), folder / "model.safetensors", {"format": "pt"})
    return target.class_of(set(ours)) if hasattr(target, "class_of") else target.CLASS


def _write_tokenizer(source: Path, folder: Path) -> dict[str, int]:
    """Copies the files; returns the special tokens' ids by name."""
    for name in TOKENIZER_FILES:
        if not (Path(source) / name).is_file():
            raise SeedstockError("the tokenizer file is missing", where=Path(source) / name, fix="build it again")
        shutil.copyfile(Path(source) / name, folder / name)
    added = {token["content"]: token["id"] for token in read_json(folder / "tokenizer.json")["added_tokens"]}
    settings = read_json(folder / "tokenizer_config.json")
    named = {name: added.get(settings.get(f"{name}_token")) for name in ("bos", "eos", "pad")}
    return {
        name: number for name, number in {**named, "turn_end": added.get("<|im_end|>")}.items() if number is not None
    }


def _generation(ids: dict[str, int | None], specials: dict[str, int]) -> dict[str, Any]:
    """The model stops at the end of a document, and fine-tuned for chat at the end of a turn."""
    ends = [specials[name] for name in ("eos", "turn_end") if name in specials]
    return {
        **{key: value for key, value in ids.items() if value is not None},
        **({"eos_token_id": ends} if ends else {}),
    }
