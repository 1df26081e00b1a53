"""What the roof does to judge a second stage: what its model says of texts, scored and set beside another's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from seedstock.errors import DataError, SeedstockError
from seedstock.ledger.files import write_json, write_text
from seedstock.progress import Reporter
from seedstock.runs import Run

PREDICTIONS = "predictions.jsonl"
TOGETHER = 64  # texts that are scored at once


def evaluate(run: Run, nets: Any, objective: Any, step: int, asked: Any, windows: Any, reporter: Reporter) -> bool:
    """Scores a second stage: its losses on the validation texts, and what it says of these and of every test set."""
    from seedstock import weights
    from seedstock.evaluation import objective_loss
    from seedstock.evaluation.curve import curve
    from seedstock.evaluation.labelled import Labelled, marks

    config, folder = run.recipe, run.folder / "evaluation"
    found = objective_loss.score(nets, objective, windows, batch=config.training.batch_examples)
    scores = objective_loss.record(found, nets, objective, weights.spec(run), {})
    names, lines = list(run.shards.labels), []
    validation, said = _judged(run, nets, objective, windows, names, None)
    lines += _lines("validation", names, *said)
    scores["validation"], scores["test"] = validation, {}
    training = marks(run.corpus) if config.evaluation.test else set()
    for source in config.evaluation.test:
        tested = Labelled(source, config.input, run.tokenizer, names, objective.prepare)
        judged, said = _judged(run, nets, objective, tested, tested.names, tested.labels)
        apart = tested.apart(training)
        judged |= {"fingerprint": tested.fingerprint, "left_out": tested.left_out, "in_training": int((~apart).sum())}
        if apart.any() and not apart.all():
            judged["accuracy_apart"] = float((said[0] == said[1])[apart].mean())
        scores["test"][source.name] = judged
        lines += _lines(source.name, tested.names, *said)
    write_json(folder / "scores.json", scores)
    write_text(folder / PREDICTIONS, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    curve(run.folder / "events.jsonl", folder / "curve.png", name=run.name)
    run.chain.append("evaluation", {"asked": asked, "step": step, "held_out": scores["held_out"]})
    for name, one in {"validation": validation, **scores["test"]}.items():
        reporter.say(f"   {name}: {told(one)}")
    return True


def told(one: dict[str, Any]) -> str:
    """A line on the scores of a set of texts."""
    low, high = one["accuracy_interval"]
    f1 = f", macro-F1 {one['macro_f1']:.3f}" if "macro_f1" in one else ""
    most = f"; the most frequent class alone {one['most_frequent']:.1%}" if "most_frequent" in one else ""
    return f"{one['accuracy']:.1%} of {one['texts']:,} right ({low:.1%} to {high:.1%}){f1}{most}"


def _judged(
    run: Run, nets: Any, objective: Any, texts: Any, names: list[str], labels: np.ndarray | None
) -> tuple[dict[str, Any], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Scores of a set of texts; and of each its class, what was said, and how surely. ``labels`` stand in the place of
    those that the texts come with where there are classes that training did not have."""
    from seedstock.corpus.disparity import wilson
    from seedstock.evaluation import classification
    from seedstock.evaluation.labels import scores

    if hasattr(objective, "logits"):
        said = classification.classes(nets, objective, texts, batch=TOGETHER)
        truth, predicted, sure = said.labels if labels is None else labels, said.predicted, said.confidence
    else:
        wanted, truth = _targets(texts)
        length = run.recipe.input.target_length
        written = classification.answers(nets, objective, texts, batch=TOGETHER, tokens=length)
        truth = truth if labels is None else labels
        if not names:
            right = np.array([one == other for one, other in zip(written, wanted, strict=True)])
            low_high = list(wilson(int(right.sum()), len(right)))
            result = {"texts": len(right), "accuracy": float(right.mean()), "accuracy_interval": low_high}
            return result, (np.zeros(len(right), int), np.where(right, 0, -1), np.ones(len(right)))
        numbers = {name: number for number, name in enumerate(names)}
        predicted = np.array([numbers.get(run.tokenizer.decode(one).strip(), -1) for one in written])
        sure = np.ones(len(predicted))
    held = truth >= 0
    if not held.any():
        raise DataError("none of the texts to score has a class", where=run.folder, fix="see input.label")
    return scores(truth[held], predicted[held], names, run.recipe.seed), (truth[held], predicted[held], sure[held])


def _targets(texts: Any) -> tuple[list[list[int]], np.ndarray]:
    """The tokens of each answer without their end, and each class."""
    wanted: list[list[int]] = []
    labels: list[np.ndarray] = []
    for arrays in texts.batches(TOGETHER):
        wanted += [row[row >= 0][:-1].tolist() for row in arrays["targets"]]
        labels.append(arrays["label"])
    return wanted, np.concatenate(labels)


def _lines(
    place: str, names: list[str], truth: np.ndarray, predicted: np.ndarray, sure: np.ndarray
) -> list[dict[str, Any]]:
    """What was said of each text; the text itself is not among it."""
    called = names or ["right"]
    return [
        {
            "set": place,
            "number": number,
            "label": called[own],
            "predicted": called[other] if other >= 0 else None,
            "confidence": round(float(share), 4),
        }
        for number, (own, other, share) in enumerate(zip(truth, predicted, sure, strict=True))
    ]


def beside(run: Run, other: Run) -> dict[str, Any]:
    """Two runs on the same texts: for each set that both were scored on, the paired difference of their accuracies."""
    from seedstock.evaluation.labels import compared

    ours, theirs = _said(run), _said(other)
    found = {}
    for place in [name for name in ours if name in theirs]:
        (labels, one), (same, another) = ours[place], theirs[place]
        if not np.array_equal(labels, same):
            continue
        found[place] = compared(labels, one, another)
    return found


def _said(run: Run) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    path = run.folder / "evaluation" / PREDICTIONS
    if not path.is_file():
        raise DataError("this run says nothing of labelled texts", where=run.folder, fix="evaluate it first")
    found: dict[str, list[tuple[str, str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        found.setdefault(one["set"], []).append((one["label"], one["predicted"] or ""))
    return {place: (np.array([a for a, _ in rows]), np.array([b for _, b in rows])) for place, rows in found.items()}


def predict(run: Run, texts: Sequence[str], *, step: int | None = None) -> list[dict[str, Any]]:
    """The class of each text, and its probability, by a run that was fine-tuned to ``classify``.

    Raises SeedstockError for another run, DataError for a text without a character.
    """
    from seedstock import weights
    from seedstock.corpus.media.types import Undecodable
    from seedstock.evaluation import classification
    from seedstock.evaluation.labelled import Given
    from seedstock.inputs.items.config import Document

    nets, objective, _ = weights.load_nets(run, step)
    if not hasattr(objective, "logits"):
        what = f"the objective {run.recipe.objective.kind} trains a model that names no classes"
        raise SeedstockError(what, where=run.folder, fix="`seedstock finetune` with --objective classify")
    items: list[dict[str, Any]] = []
    for number, text in enumerate(texts):
        try:
            items += run.recipe.input.items(Document(None, text, "und", {}), run.tokenizer)
        except Undecodable as error:
            raise DataError(f"text {number + 1}: {error}", fix="leave it out") from None
    said = classification.classes(nets, objective, Given(items, objective.prepare), batch=TOGETHER) if items else None
    pairs = zip(said.predicted, said.confidence, strict=True) if said else ()
    return [{"label": run.shards.labels[number], "probability": float(share)} for number, share in pairs]
