"""From a folder of the ecosystem to a network of ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seedstock.errors import IntegrityError, SeedstockError
from seedstock.models.configs.transformer import TransformerConfig
from seedstock.models.network import Network
from seedstock.transfer import parity as proof
from seedstock.transfer.maps import auto, find, rules
from seedstock.transfer.tensors import inward


@dataclass(frozen=True)
class Imported:
    """A model that came from elsewhere; ``report`` is the parity report, None where it was not asked for."""

    config: TransformerConfig
    network: Network
    report: dict[str, Any] | None


def import_model(folder: Path, *, parity: bool = True) -> Imported:
    """Reads ``config.json`` and the safetensors of a folder that ``transformers`` wrote.

    Raises SeedstockError where its class or one of its settings has no counterpart here, where its tensors are not
    those of its configuration, and where the network computes something else than transformers does.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SeedstockError("there is no such folder", where=folder, fix="name a folder with a config.json")
    if parity:
        proof.transformers()
    settings = _json(folder / "config.json")
    match settings.get("architectures"):
        case [str() as name, *_]:
            pass
        case _:
            name = "a model without a class"
    source = find(name, folder / "config.json")
    try:
        config, vocab_size = source.from_config(settings, folder / "config.json"), settings["vocab_size"]
        if not isinstance(vocab_size, int) or vocab_size < 1:
            raise ValueError(f"vocab_size is {vocab_size!r}")
    except (KeyError, TypeError, ValueError) as error:
        missing = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        what = f"not a configuration of {source.CLASS}: {missing}"
        raise SeedstockError(what, where=folder / "config.json", fix="complete it") from error
    network = config.build(vocab_size, device="meta")
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    found = _named_as_now(_read(folder), tied="head.weight" not in shapes)
    if hasattr(source, "mend"):
        found = source.mend(found, config)
    weights = inward(found, rules(source, config.resolved()), shapes, folder, getattr(source, "DERIVED", ()))
    network.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, assign=True)
    report = None
    if parity:
        report = proof.compare(network, folder, own_tokenizer=False, auto=auto(source, name))
        proof.insist(report, folder)
    return Imported(config, network, report)


def _json(path: Path) -> dict[str, Any]:
    """A JSON object of the folder."""
    fix = "name a folder that transformers wrote (save_pretrained), or fetch it again"
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise SeedstockError(f"cannot be read: {error.strerror}", where=path, fix=fix) from error
    except ValueError as error:
        raise SeedstockError(f"not readable as JSON: {error}", where=path, fix=fix) from error
    if not isinstance(found, dict):
        raise SeedstockError("not a JSON object", where=path, fix=fix)
    return found


def _files(index: Path) -> list[str]:
    """The files that an index names, which lie beside it."""
    places = _json(index).get("weight_map")
    names = set(places.values()) if isinstance(places, dict) and all(map(_is_text, places.values())) else {""}
    for name in sorted(names):
        if name in ("", "..") or "/" in name or "\\" in name or "\0" in name:
            what = f"the weight map names {name!r}, which is no file of this folder" if name else "no map of weights"
            raise SeedstockError(what, where=index, fix="fetch the folder again from a source that you trust")
    return sorted(names)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _read(folder: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    index = folder / "model.safetensors.index.json"
    names = _files(index) if index.exists() else ["model.safetensors"]
    found: dict[str, Tensor] = {}
    for name in names:
        if not (folder / name).is_file():
            fix = "save it with safe_serialization; files that must be unpickled are never read"
            raise SeedstockError("the weights are missing", where=folder / name, fix=fix)
        try:
            found |= load_file(folder / name)
        except SafetensorError as error:
            raise IntegrityError(f"not readable: {error}", where=folder / name, fix="fetch it again") from error
    return found


def _named_as_now(found: dict[str, Tensor], tied: bool) -> dict[str, Tensor]:
    """Old GPT-2 files lack the model's prefix and hold masks; tied heads may be written twice; norms have old names."""
    old = {".LayerNorm.gamma": ".LayerNorm.weight", ".LayerNorm.beta": ".LayerNorm.bias"}
    for ending, now in old.items():
        found = {
            name.removesuffix(ending) + now if name.endswith(ending) else name: tensor for name, tensor in found.items()
        }
    if "wte.weight" in found:
        found = {f"transformer.{name}": tensor for name, tensor in found.items()}
    masks = (".attn.bias", ".attn.masked_bias")
    found = {name: tensor for name, tensor in found.items() if not name.endswith(masks)}
    if tied and "lm_head.weight" in found:
        embedding = found.get("model.embed_tokens.weight", found.get("transformer.wte.weight"))
        if embedding is not None and torch.equal(embedding, found["lm_head.weight"]):
            del found["lm_head.weight"]
    return found
