"""Trained autoencoders that a run's input asks for the codes of pictures: resolved by name, handed in as callables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from seedstock import environment
from seedstock.errors import IntegrityError, RecipeError
from seedstock.runs import Run
from seedstock.scorers import Judge, _one_thread

AT_ONCE = 64  # pictures that go through the network together


class Codes(Judge):
    """The codes of a checkpoint. What it says of a picture depends on no other one but by the order of sums."""

    def __call__(self, media: Sequence[bytes]) -> list[np.ndarray | None]:
        """The codes of each picture, int64 ``[T]``, cut as the run's own input cuts it; None where that fails."""
        import torch

        from seedstock.corpus.media.types import Undecodable
        from seedstock.inputs.items.config import Document

        network, config = _loaded(self)
        images, rows, found = [], [], list[np.ndarray | None]([None] * len(media))
        for row, data in enumerate(media):
            try:
                images.append(next(iter(config.items(Document(data, "", "", {}))))["image"])
                rows.append(row)
            except Undecodable:
                continue
        with _one_thread():
            for start in range(0, len(images), AT_ONCE):
                codes = network.codes(torch.from_numpy(np.stack(images[start : start + AT_ONCE])))
                for row, one in zip(rows[start : start + AT_ONCE], codes.numpy(), strict=True):
                    found[row] = one
        return found


def of(runs: Path | str, name: str, codes: int, own: str | None = None) -> Codes:
    """The autoencoder ``run:NAME`` or ``run:NAME@step`` under ``runs``. Raises RecipeError where it has no codebook of
    so many codes, SeedstockError where it is not there or not trained."""
    from seedstock import weights
    from seedstock.ledger import manifest
    from seedstock.ledger.ids import sha256_file

    where = "input.pictures.run"
    found, _, step = name.removeprefix("run:").partition("@")
    if not name.startswith("run:") or not found or (step and not step.isdigit()):
        raise RecipeError(f"{name!r} names no run", where=where, fix="write run:NAME or run:NAME@step")
    if found == own:
        raise RecipeError("a run cannot learn from its own codes", where=where, fix="name another run")
    run = Run.open(runs, found)
    model = run.recipe.model
    if model.kind != "autoencoder" or model.shape != "vq":
        what = f"{name} is no autoencoder with a codebook"
        raise RecipeError(what, where=where, fix="name a run of the objective vq")
    if model.codes != codes:
        what = f"{name} has {model.codes:,} codes, and the recipe says {codes:,}"
        raise RecipeError(what, where="input.pictures.codes", fix=f"write input.pictures.codes: {model.codes}")
    environment.require("torch")
    number = weights.checkpoint_of(run, int(step) if step else None)
    sealed = sha256_file(run.folder / "checkpoints" / f"step-{number:08d}" / manifest.NAME)
    return Codes(Path(runs).resolve(), found, number, sealed)


@lru_cache(maxsize=1)
def _loaded(coder: Codes) -> tuple[Any, Any]:
    """The network, on the CPU in fp32, and the input that cuts its pictures. Raises IntegrityError where it changed."""
    import torch

    from seedstock import weights
    from seedstock.ledger import manifest
    from seedstock.ledger.ids import sha256_file

    run = Run.open(coder.runs, coder.run)
    folder = run.folder / "checkpoints" / f"step-{coder.step:08d}"
    if not folder.is_dir() or sha256_file(folder / manifest.NAME) != coder.sha256:
        raise IntegrityError("the checkpoint has changed while it was in use", where=folder, fix="start again")
    network, _ = weights.load(run, coder.step)
    network.to("cpu").use(torch.float32).requires_grad_(False).eval()
    return network, run.recipe.input.model_copy(update={"label": None, "caption": None})
