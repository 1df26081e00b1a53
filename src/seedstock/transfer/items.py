"""Exports of models whose input is no text: a folder that the ecosystem's class loads, with its parity proof."""

from __future__ import annotations

import copy
import importlib
import shutil
from pathlib import Path
from typing import Any

import torch

from seedstock.errors import SeedstockError
from seedstock.ledger.files import atomic_folder, write_json
from seedstock.transfer.export import TOKENIZER_FILES
from seedstock.transfer.parity import TOLERANCE

MAPS = "seedstock.transfer.maps"
CLASSIFIER = "ViTForImageClassification"


def map_of(objective: Any, model: Any) -> Any:
    """The map that an objective's models are exported by (``Objective.exports``); None where there is none for the
    model.

    A map is a module of ``transfer.maps``: ``CLASS``, ``LIBRARY`` (the package that has it), ``fits(model)``,
    ``to_config(model, objective)``, ``tensors(nets, objective)`` by their names, ``load(library, folder)``,
    ``compare(theirs, nets, objective)`` → what both give for the same input, by name; where the ecosystem has one
    ``processor(model)``, and ``WEIGHTS``, the name of the file of weights.
    """
    if objective.exports is None:
        return None
    target = importlib.import_module(f"{MAPS}.{objective.exports}")
    own = getattr(objective, "pool", "class")  # of a classifier: which state it asks
    return target if target.fits(model.resolved()) and (own == "class" or target.CLASS != CLASSIFIER) else None


def export(nets: Any, objective: Any, folder: Path, *, tokenizer: Path | None = None) -> dict[str, Any]:
    """Writes ``config.json``, ``model.safetensors``, ``preprocessor_config.json``, the files of the ``tokenizer``'s
    folder where captions were read, and ``parity.json``; returns the parity report.

    The folder appears whole, or not at all: where the class computes something else than ``nets`` do, it is not
    written. Raises SeedstockError where no class holds such a model, the folder is not new, the library is not
    installed, or the two differ.
    """
    from safetensors.torch import save_file

    folder, model = Path(folder), nets["network"].config
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SeedstockError("it exists already", where=folder, fix="name a new folder, or remove this one")
    target = map_of(objective, model)
    if target is None:
        raise SeedstockError(
            f"no class computes what this {model.kind} of shape {model.shape} does",
            where=folder,
            fix="see docs/models.md",
        )
    library = _library(target.LIBRARY)
    kept = copy.deepcopy(nets).cpu().float().eval()
    for net in kept.values():
        if hasattr(net, "use"):
            net.use(torch.float32)
    with atomic_folder(folder) as partial:
        weights = {name: one.contiguous() for name, one in target.tensors(kept, objective).items()}
        save_file(weights, partial / getattr(target, "WEIGHTS", "model.safetensors"), {"format": "pt"})
        about = {"architectures": [target.CLASS], "dtype": "float32"} if target.LIBRARY == "transformers" else {}
        write_json(partial / "config.json", about | target.to_config(model, objective))
        if hasattr(target, "processor"):
            write_json(partial / "preprocessor_config.json", target.processor(model))
        for name in TOKENIZER_FILES if tokenizer is not None else ():
            shutil.copyfile(Path(tokenizer) / name, partial / name)  # type: ignore[arg-type]
        report = _compare(target, library, kept, objective, partial)
        if not report["passed"]:
            what = (
                f"{target.CLASS} of {target.LIBRARY} {report['version']} computes something else: {report['outputs']}"
            )
            raise SeedstockError(what, where=folder, fix="nothing was written; report this with the recipe")
        write_json(partial / "parity.json", report)
    return report


@torch.inference_mode()
def _compare(target: Any, library: Any, nets: Any, objective: Any, folder: Path) -> dict[str, Any]:
    theirs = target.load(library, folder)
    found = {}
    for name, (other, own) in target.compare(theirs.eval(), nets, objective).items():
        scale = max(1.0, float(own.abs().max()))
        difference = float((other - own).abs().max()) if other.shape == own.shape else float("inf")
        passed = difference <= TOLERANCE * scale
        found[name] = {"passed": passed, "largest_difference": difference, "scale": scale}
    passed = bool(found) and all(one["passed"] for one in found.values())
    about = {"class": type(theirs).__name__, "library": target.LIBRARY, "version": library.__version__}
    return {**about, "tolerance": TOLERANCE, "passed": passed, "outputs": found}


def _library(name: str) -> Any:
    try:
        library: Any = importlib.import_module(name)
    except ImportError:
        extra = {"transformers": "hf", "diffusers": "diffusers"}[name]
        what = f"the parity proof needs {name}, which is not installed"
        raise SeedstockError(what, fix=f"pip install 'seedstock[{extra}]'") from None
    if name == "transformers":
        library.utils.logging.disable_progress_bar()
    return library
