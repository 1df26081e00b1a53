"""What the roof does for a second stage: its recipe and its run, and the step that stands for it."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from seedstock import recipe as recipes
from seedstock.errors import RecipeError
from seedstock.judging import TOGETHER, told
from seedstock.ledger.files import read_json
from seedstock.progress import Reporter, Silent
from seedstock.runs import Run
from seedstock.transfer.finetune.plan import Task, recipe


def finetune(
    base: Run,
    task: Task,
    *,
    step: int | None = None,
    overrides: Sequence[str] = (),
    reporter: Reporter | None = None,
    until: str = "release",
) -> Run:
    """A run that goes on from a checkpoint of ``base``: its ledger, plan, checkpoints, scores and release are a run's.

    ``overrides`` are ``KEY=VALUE`` for any key of the recipe that the task comes to. Raises what ``pipeline.run`` does.
    """
    from seedstock import pipeline, weights

    chosen = weights.checkpoint_of(base, step)
    values = recipe(
        task,
        recipes_values(base),
        str(base.stage_folder("tokenizer").resolve()),
        f"run:{base.name}@{chosen}",
    )
    made = recipes.given(values, list(overrides), f"the second stage of {base.name}")
    return pipeline.run(made, runs=base.runs, reporter=reporter or Silent(), until=until)


def recipes_values(base: Run) -> dict[str, Any]:
    """The base's recipe as plain values."""
    return json.loads(base.recipe.model_dump_json())


def count(sources: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """How many documents sources give, and bytes of their texts, by reading them."""
    from seedstock import kinds
    from seedstock.corpus.sources.base import Unreadable

    found = size = 0
    for entry in sources:
        source = kinds.load("sources", entry["kind"])(**entry)
        for part in source.partitions():
            for item in source.read(part):
                if not isinstance(item, Unreadable):
                    found += 1
                    size += len((item.text or "").encode(errors="replace")) or len(item.raw or b"")
    return found, size


def source_of(given: str, name: str, text: str) -> dict[str, Any]:
    """A recipe's source from a file (by its ending), or from a source written out (``{kind: huggingface, …}``).

    Raises RecipeError for an ending that says nothing.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if given.lstrip().startswith("{"):
        try:
            found = dict(YAML(typ="safe", pure=True).load(io.StringIO(given)))
        except (YAMLError, ValueError) as error:
            raise RecipeError("not a source", where=given, fix="write {kind: …, path: …}") from error
        return {"name": name, **found}
    endings = {"csv": (".csv", ".tsv", ".tab"), "jsonl": (".jsonl", ".ndjson", ".json"), "parquet": (".parquet",)}
    plain = given
    for packed in (".gz", ".zst", ".bz2", ".xz"):
        plain = plain.removesuffix(packed)
    for kind, known in endings.items():
        if plain.lower().endswith(known):
            # One language, declared: short texts are told apart badly, and every language would be a stratum.
            return {"name": name, "kind": kind, "path": given, "fields": {"text": text}, "language": "und"}
    raise RecipeError(
        "the ending says nothing of what the file holds",
        where=given,
        fix="give a .csv, .tsv, .jsonl or .parquet file, or a source: '{kind: huggingface, dataset: …}'",
    )


def choose(run: Run, objective: Any, windows: Any, reporter: Reporter) -> None:
    """Records which of the kept checkpoints stands for the run, by validation alone; no test is looked at.

    Each is scored on ``windows``, the held-out texts. Of those whose number that ``objective.chooses`` names is within
    one standard error of the highest, that of the lowest loss stands: the chance of a few texts should not choose
    (Breiman et al. 1984, section 3.4.3). Nothing is chosen where the objective names none.
    """
    from seedstock import weights
    from seedstock.evaluation import objective_loss

    if objective.chooses is None or not len(windows.numbers):
        return
    batch, among = run.recipe.training.batch_examples, []
    for step in run.checkpoints:
        nets, own, _ = weights.load_nets(run, step)
        found = objective_loss.plain(objective_loss.score(nets, own, windows, batch=max(batch, TOGETHER)))
        among.append({"step": step, **{name: found[name] for name in (objective.chooses, "loss")}})
    highest = max(one[objective.chooses] for one in among)
    error = math.sqrt(highest * (1 - highest) / len(windows.numbers))
    near = [one for one in among if one[objective.chooses] >= highest - error]
    best = min(near, key=lambda one: (one["loss"], one["step"]))
    record = [body for body in run.chain.of("checkpoint") if body["step"] == best["step"]][-1]
    body = {**best, "by": objective.chooses, "among": among, "manifest_sha256": record["manifest_sha256"]}
    run.chain.append("chosen", body)
    reporter.event("chosen", **best)
    reporter.say(f"   step {best['step']:,} stands for the run: {objective.chooses} {best[objective.chooses]:.4g}")


def summary(run: Run) -> dict[str, Any]:
    """What there is to say of a second stage: which step of which base, and its scores."""
    scores = read_json(run.folder / "evaluation" / "scores.json")
    parents = [body["runs"] for body in run.chain.of("parents")]
    return {
        **run.summary(),
        "base": parents[-1] if parents else None,
        "chosen": run.chain.last("chosen"),
        **{name: scores.get(name) for name in ("validation", "test")},
    }


def fresh(task: Task) -> Task:
    """The same task from random weights: the baseline of a base."""
    return replace(task, name=f"{task.name}-random", random=True)


def shown(result: dict[str, Any]) -> str:
    """The scores as people read them."""
    rows = {"validation": result["validation"], **(result["test"] or {})}
    lines = [f"{name}: {told(one)}" for name, one in rows.items() if one]
    if not lines:  # more text, scored as a base is
        known = {name: value for name, value in (result["held_out"] or {}).items() if isinstance(value, float)}
        lines = ["held out: " + ", ".join(f"{name} {value:.4g}" for name, value in known.items())]
    for name, one in (result.get("beside") or {}).items():
        low, high = one["interval"]
        lines.append(
            f"{name}: {one['difference']:+.1%} against random weights ({low:+.1%} to {high:+.1%}, p {one['p']:.2g})"
        )
    return "\n".join(lines)
