"""Trained runs that a corpus asks about its documents: resolved by name, and handed in as plain callables.

A corpus imports no torch: where its part of a recipe names ``run:NAME`` or ``run:NAME@step``, it is handed a callable
that knows a checkpoint by its place and digest. It travels to workers by pickle, and loads the network there, once a
process, on one thread of a CPU and in single precision: what it says of a text depends on no other text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from seedstock import environment
from seedstock.errors import IntegrityError, RecipeError
from seedstock.runs import Run

RUN = "run:"
TOKENS = 4096  # of a text that are looked at, from its beginning


@dataclass(frozen=True)
class Judge:
    """A checkpoint of a run beside the one that asks; ``sha256`` is that of its manifest."""

    runs: Path
    run: str
    step: int
    sha256: str

    def record(self) -> dict[str, Any]:
        """What the chain keeps of it."""
        return {"run": self.run, "step": self.step, "manifest_sha256": self.sha256}


class Nats(Judge):
    """What texts cost a model that predicts the next token."""

    def __call__(self, texts: list[str]) -> np.ndarray:
        """Nats, tokens and UTF-8 bytes of each text, float64 [texts, 3]; of its first ``TOKENS`` tokens.

        Tokens are counted as in ``evaluation.bits_per_byte``: each is predicted once, BOS and EOS are not.
        """
        from seedstock.evaluation.bits_per_byte import token_nats

        found = np.zeros((len(texts), 3))
        with _one_thread():
            network, tokenizer, context = _loaded(self)
            lengths = np.asarray(tokenizer.byte_lengths, np.int64)
            for row, text in enumerate(texts):
                for tokens in _windows(tokenizer, text, context):
                    found[row] += (float(token_nats(network, tokens).sum(dtype=_double())), tokens[:, 1:].numel(), 0)
                    found[row, 2] += lengths[tokens[:, 1:].numpy()].sum()
        return found


class Meaning(Judge):
    """Where a model puts texts: the mean of its last hidden states over their tokens."""

    def __call__(self, texts: list[str]) -> np.ndarray:
        """One vector a text, float32 [texts, width of the model]; zeros for a text without tokens."""
        import torch

        from seedstock.models.mask import Mask

        with _one_thread():
            network, tokenizer, context = _loaded(self)
            pattern: Any = "full" if network.config.kind == "encoder" else "causal"
            found = np.zeros((len(texts), network.config.width), np.float32)
            for row, text in enumerate(texts):
                total, count = np.zeros(found.shape[1]), 0
                for tokens in _windows(tokenizer, text, context):
                    read = tokens[:, 1:]
                    positions = torch.arange(read.shape[1])[None]
                    hidden = network.backbone(network.embed(read, positions), positions, Mask(pattern)).hidden
                    total += hidden.flatten(0, 1).sum(0, dtype=torch.float64).numpy()
                    count += read.numel()
                found[row] = total / max(1, count)
        return found


def with_runs(config: Any, runs: Path | str, own: str | None = None) -> tuple[Any, dict[str, dict[str, Any]]]:
    """A corpus' configuration with its ``run:`` models resolved, and their records by the names that it gives them.

    ``runs`` is the folder of runs, ``own`` the run that the corpus is for. Raises RecipeError for a run that cannot do
    what it is asked for, SeedstockError for one that is not there or not trained.
    """
    found: dict[str, dict[str, Any]] = {}

    def given(part: Any, where: str) -> Any:
        name = getattr(part, "model", None)
        if not isinstance(name, str) or not name.startswith(RUN):
            return part
        judge = _judge(Path(runs), name, Nats if part.kind == "perplexity" else Meaning, where, own)
        found[name] = judge.record()
        return part.with_run(judge, judge.sha256)

    policy = config.policy.model_copy(
        update={"signals": tuple(given(one, f"signal {one.name!r}") for one in config.policy.signals)}
    )
    changed: dict[str, Any] = {"policy": policy}
    if config.dedup is not None:
        steps = tuple(given(step, "corpus.dedup") for step in config.dedup.steps)
        changed["dedup"] = config.dedup.model_copy(update={"steps": steps})
    changed["select"] = tuple(given(step, f"corpus.select: {step.kind}") for step in config.select)
    return (config.model_copy(update=changed) if found else config), found


def _judge(runs: Path, name: str, kind: type[Judge], where: str, own: str | None) -> Judge:
    from seedstock import weights
    from seedstock.ledger import manifest
    from seedstock.ledger.ids import sha256_file

    found, _, step = name.removeprefix(RUN).partition("@")
    if not found or (step and not step.isdigit()):
        raise RecipeError(f"{name!r} names no run", where=where, fix="write run:NAME or run:NAME@step")
    if found == own:
        raise RecipeError("a run cannot judge what it is to learn from", where=where, fix="name another run")
    run = Run.open(runs, found)
    environment.require("torch")
    number = weights.checkpoint_of(run, int(step) if step else None)
    model = run.recipe.model
    if getattr(model, "cross", False):
        raise RecipeError(
            f"{name} reads a source besides what it writes: it judges no text alone",
            where=where,
            fix="name another run",
        )
    if kind is Nats and not weights.objective(run).predicts_next:
        what = f"{name} was trained to {run.recipe.objective.kind}, and predicts no next token"
        raise RecipeError(what, where=where, fix="name a run of the objective causal")
    sealed = sha256_file(run.folder / "checkpoints" / f"step-{number:08d}" / manifest.NAME)
    return kind(runs.resolve(), found, number, sealed)


@lru_cache(maxsize=2)
def _loaded(judge: Judge) -> tuple[Any, Any, int]:
    """The network (on the CPU, for reading), its tokenizer and context. Raises IntegrityError where they changed."""
    import torch

    from seedstock import weights
    from seedstock.ledger import manifest
    from seedstock.ledger.ids import sha256_file

    run = Run.open(judge.runs, judge.run)
    folder = run.folder / "checkpoints" / f"step-{judge.step:08d}"
    if not folder.is_dir() or sha256_file(folder / manifest.NAME) != judge.sha256:
        raise IntegrityError("the checkpoint has changed while it was in use", where=folder, fix="start again")
    network, _ = weights.load(run, judge.step)
    network.to("cpu").use(torch.float32).requires_grad_(False).eval()
    return network, run.tokenizer, run.recipe.model.context


def _windows(tokenizer: Any, text: str, context: int) -> Iterator[Any]:
    """The beginning of a text as windows of ``context`` inputs and their next tokens, int64 [windows, inputs + 1]:
    full ones together, then what is left."""
    import torch

    ids = tokenizer.encode(text[: TOKENS * 16])[:TOKENS]
    tokens = torch.from_numpy(np.concatenate([[tokenizer.specials["bos"]], ids]).astype(np.int64))
    whole = (len(tokens) - 1) // context
    if whole:
        yield tokens[: whole * context + 1].unfold(0, context + 1, context)
    if len(tokens) - 1 > whole * context:
        yield tokens[None, whole * context :]


def _double() -> Any:
    import torch

    return torch.float64


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Sums are taken in one order, and workers leave one another their cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)
