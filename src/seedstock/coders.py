"""Trained autoencoders that a run's input asks for the codes of media: resolved by name, handed in as callables."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from seedstock import environment
from seedstock.errors import IntegrityError, RecipeError
from seedstock.inputs.picture_codes import Pictures
from seedstock.inputs.sound_codes import Sounds
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

    def most(self) -> int:
        """How many codes a picture has."""
        network, _ = _loaded(self)
        return network.config.context

    def look(self, codes: Sequence[np.ndarray]) -> np.ndarray:
        """The pictures of codes ``[T]`` each, uint8 ``[N, H, W, C]``."""
        import torch

        network, _ = _loaded(self)
        with _one_thread(), torch.inference_mode():
            drawn = network.draw(torch.from_numpy(np.stack(codes)))
        return ((drawn.clamp(-1, 1) + 1) * 127.5).round().byte().numpy()


class SoundCodes(Judge):
    """The codes of a codec's checkpoint, and the sounds of codes."""

    def __call__(self, media: Sequence[bytes]) -> list[np.ndarray | None]:
        """The codes of each sound, int64 ``[T, books]``: of its clips, cut as the run's own input cuts them, one after
        another, without the frames of the silence that fills clips up; None where that fails."""
        import torch

        from seedstock.corpus.media.types import Undecodable
        from seedstock.inputs.items.config import Document

        network, config = _loaded(self)
        hop, found = network.config.hop, list[np.ndarray | None]([None] * len(media))
        with _one_thread():
            for row, data in enumerate(media):
                clips, parts = config.items(Document(data, "", "", {})), list[np.ndarray]()
                try:
                    while some := list(itertools.islice(clips, AT_ONCE)):
                        codes = network.codes(torch.from_numpy(np.stack([one["waveform"] for one in some]))).numpy()
                        parts += [own[: -(-int(one["length"]) // hop)] for own, one in zip(codes, some, strict=True)]
                except Undecodable:
                    continue
                found[row] = np.concatenate(parts)
        return found

    def play(self, codes: np.ndarray) -> tuple[np.ndarray, int]:
        """The samples of codes ``[T, books]``, float32 from -1 to 1, and how many a second."""
        import torch

        network, _ = _loaded(self)
        with _one_thread(), torch.inference_mode():
            samples = network.play(torch.from_numpy(codes)[None])[0]
        return samples.clamp(-1, 1).numpy(), network.config.rate

    def most(self) -> int:
        """How many frames a clip has."""
        network, _ = _loaded(self)
        return network.config.context

    def look(self, codes: Sequence[np.ndarray]) -> np.ndarray:
        """The spectra of a clip's length of what codes ``[T, books]`` each play, uint8 ``[N, bands, time, 1]``."""
        import torch

        from seedstock.objectives import spectra

        network, _ = _loaded(self)
        clips = torch.zeros(len(codes), network.config.samples)
        for row, one in enumerate(codes):
            if len(one):
                samples = torch.from_numpy(self.play(one[: network.config.context])[0])[: clips.shape[1]]
                clips[row, : len(samples)] = samples
        return spectra.drawn(clips, network.config.rate)


KINDS: dict[str, tuple[type[Judge], str, str, str, str]] = {
    "pictures": (Codes, "autoencoder", "vq", "autoencoder with a codebook", "vq"),
    "sounds": (SoundCodes, "codec", "encodec", "codec", "residual-vq"),
}
"""What media are coded by: the coder, kind and shape of the model, what people call it, and its objective."""


def of(runs: Path | str, config: Any, own: str | None = None) -> Any:
    """The coder of a ``PictureCodesConfig`` or ``SoundCodesConfig``, whose run is under ``runs``. Raises RecipeError
    where that has no such codebooks, SeedstockError where it is not there or not trained."""
    from seedstock import weights
    from seedstock.ledger import manifest
    from seedstock.ledger.ids import sha256_file

    coder, kind, shape, called, objective = KINDS[config.field]
    place = f"input.{config.field}"
    name, where = config.run, f"{place}.run"
    found, _, step = name.removeprefix("run:").partition("@")
    if not name.startswith("run:") or not found or (step and not step.isdigit()):
        raise RecipeError(f"{name!r} names no run", where=where, fix="write run:NAME or run:NAME@step")
    if found == own:
        raise RecipeError("a run cannot learn from its own codes", where=where, fix="name another run")
    run = Run.open(runs, found)
    model = run.recipe.model
    if model.kind != kind or model.shape != shape:
        raise RecipeError(f"{name} is no {called}", where=where, fix=f"name a run of the objective {objective}")
    if model.codes != config.codes:
        what = f"{name} has {model.codes:,} codes, and the recipe says {config.codes:,}"
        raise RecipeError(what, where=f"{place}.codes", fix=f"write {place}.codes: {model.codes}")
    if getattr(config, "books", 0) > getattr(model, "books", 0):
        what = f"{name} has {model.books} codebooks, and the recipe says {config.books}"
        raise RecipeError(what, where=f"{place}.books", fix=f"write {place}.books: {model.books}")
    environment.require("torch")
    number = weights.checkpoint_of(run, int(step) if step else None)
    sealed = sha256_file(run.folder / "checkpoints" / f"step-{number:08d}" / manifest.NAME)
    return coder(Path(runs).resolve(), found, number, sealed)


def writer(config: Any, coder: Any, specials: dict[str, int]) -> Pictures:
    """What writes media as tokens of a tokenizer with these special ones."""
    return {"pictures": Pictures, "sounds": Sounds}[config.field](config, coder, specials)


def on_record(run: Run) -> Any:
    """The coder whose codes a run's shards hold, as its chain has it; None where they hold none of a run."""
    config: Any = getattr(run.recipe.input, "coded", None)
    if not hasattr(config, "run"):
        return None
    records = [one["runs"] for one in run.chain.of("parents") if one.get("stage", "training") == "shards"]
    read = records[-1][config.run]
    return KINDS[config.field][0](Path(run.runs).resolve(), read["run"], read["step"], read["manifest_sha256"])


@lru_cache(maxsize=1)
def _loaded(coder: Codes) -> tuple[Any, Any]:
    """The network, on the CPU in fp32, and the input that cuts its media. Raises IntegrityError where it changed."""
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
    cut = run.recipe.input
    beside = {name: None for name in ("label", "caption", "group") if hasattr(cut, name)}
    return network, cut.model_copy(update=beside)
