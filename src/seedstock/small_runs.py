"""Small runs that answer a question about a recipe: each trained once, scored on held-out text, kept on record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seedstock.errors import DataError, RecipeError
from seedstock.ledger.files import atomic, read_json, write_json
from seedstock.ledger.ids import digest
from seedstock.progress import Reporter, Silent
from seedstock.runs import Run, sections

QUIET: dict[str, Any] = {
    **dict.fromkeys(("validate_every", "sample_every")),
    "checkpoint_every": 10**9,
    "keep": 1,
    "callbacks": [],
}
"""Of ``training``: nothing but the last checkpoint."""
MEASURED = ("precision", "threads", "compile")
"""Of ``training``: what the first run of a question measured holds for the others."""


class SmallRuns:
    """The runs of one question. ``folder`` holds a record of each: its row, and each held-out document's loss."""

    def __init__(self, runs: Path, question: str, reporter: Reporter) -> None:
        self.runs, self.folder, self.reporter = runs, runs / question / "results", reporter
        self._settled = self.folder.parent / "settled.json"

    def row(self, recipe: Any, title: str) -> dict[str, Any]:
        """A run's sizes and its held-out loss: on record, or trained and scored now.

        Raises DataError where nothing is held out, and what ``pipeline.run`` raises.
        """
        asked, place = digest(sections(recipe)), self.folder / f"{recipe.name}.json"
        if place.exists() and (known := read_json(place))["asked"] == asked:
            self.reporter.say(f"   {title}: {known['loss']:.4f} {known['name']}, on record")
            return dict(known)
        if not recipe.corpus.held_out:
            raise DataError("nothing is held out to score runs on", where="corpus.held_out", fix="hold out 1 % or more")
        run = self._train(recipe)
        trained = run.chain.last("trained") or {}
        name, loss, documents = score(run)
        row = {
            "asked": asked,
            "run": run.name,
            "parameters": parameters(run),
            "tokens": trained["tokens"],
            "flops": trained["tokens"] * trained["flops_a_token"],
            "unique": unique(run),
            "loss": loss,
            "name": name,
            "seconds": trained["seconds"],
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic(place.with_suffix(".npz")) as file:
            np.savez(file, **documents)
        write_json(place, row)
        if not self._settled.exists():
            write_json(self._settled, {one: getattr(run.recipe.training, one) for one in MEASURED})
        self.reporter.say(f"   {title}: {loss:.4f} {name}, {trained['seconds']:.0f} s")
        return row

    def documents(self, name: str) -> dict[str, np.ndarray]:
        """Of each held-out document ``id``, ``size`` in bytes and ``loss`` in bits; empty where the loss is another."""
        with np.load(self.folder / f"{name}.npz") as held:
            return {key: held[key] for key in held.files}

    def _train(self, recipe: Any) -> Run:
        from seedstock import pipeline

        known = read_json(self._settled) if self._settled.exists() else {}
        open_ones = {one: value for one, value in known.items() if getattr(recipe.training, one) in (None, "auto")}
        made = recipe.model_copy(update={"training": recipe.training.model_copy(update=open_ones)})
        return pipeline.run(made, runs=self.runs, reporter=Silent(), until="training")


def parameters(run: Run) -> int:
    """All of a run's, as its recipe is resolved."""
    from seedstock.planning.parameters import Shape, total

    return total(Shape.of(run.recipe.model), run.vocab_size)


def unique(run: Run) -> int:
    """Different tokens (or items) that a run can learn from."""
    return sum(stratum.tokens for stratum in run.shards.strata("train"))


def score(run: Run) -> tuple[str, float, dict[str, Any]]:
    """The held-out loss of a run's result: what it is called, how much, and of each document.

    Raises DataError where nothing is held out.
    """
    from seedstock import scoring, weights
    from seedstock.evaluation import objective_loss
    from seedstock.evaluation.bits_per_byte import score as in_bits
    from seedstock.evaluation.tally import LN2

    if not run.shards.strata("held_out"):
        raise DataError("nothing is held out to score runs on", where="corpus.held_out", fix="hold out 1 % or more")
    nets, objective, _ = weights.load_nets(run)
    limit = run.recipe.evaluation.limit
    if objective.predicts_next:
        context = run.recipe.evaluation.context or run.recipe.model.context
        found = in_bits(nets["network"], run.shards, run.tokenizer, context=context, limit=limit)
        each = {"id": np.array(found.documents.ids), "size": found.bytes, "loss": found.nats / LN2}
        return "bits_per_byte", float(found.summary()["bits_per_byte"]), each
    windows = scoring.held_out(run, objective, limit)
    batch = run.recipe.training.batch_examples
    own: Mapping[str, Any] = objective_loss.plain(
        objective_loss.score(nets, objective, windows, batch=batch, draws=objective.draws)
    )
    if own["loss"] is None:
        raise RecipeError("the objective has no held-out loss here", where="objective", fix="hold out more")
    return "loss", float(own["loss"]), {}
