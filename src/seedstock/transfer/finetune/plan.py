"""The recipe of a second stage, from that of its base: plain values, free of torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from seedstock.errors import RecipeError

OBJECTIVES = ("classify", "text-to-text", "next-token", "own")
TARGET_LENGTH = 32
LEAST_STEPS, EPOCHS, BATCH, LOOKS = 200, 3.0, 32, 10


@dataclass(frozen=True)
class Task:
    """What is to be learned from ``sources`` (entries of a recipe), and how it is judged.

    ``texts`` is how many documents there are, and ``tokens`` about how many tokens, which windows of packed text
    (``next-token``, ``own``) need; ``validation`` the share that is held out to choose the best step by, ``test``
    sources that nothing is chosen by. ``random`` leaves out the base's weights. What is None has a default: ``epochs``
    three, or as many as 200 steps take, of packed text one; ``learning_rate`` by the model's width;
    ``dropout`` 10 %.
    """

    name: str
    sources: list[dict[str, Any]]
    texts: int
    tokens: int = 0
    objective: str = "classify"
    label: str = "label"
    target: str | None = None
    test: list[dict[str, Any]] = field(default_factory=list)
    validation: float = 0.1
    seed: int = 1
    epochs: float | None = None
    batch: int = BATCH
    learning_rate: float | None = None
    dropout: float | None = None
    length: int | None = None
    random: bool = False


def learning_rate(width: int) -> float:
    """AdamW's peak, from a base or from random weights: ``5e-5 · (768 / width) ** 1.6``.

    A line through two points: BERT's at its width (Devlin et al. 2018, appendix A.3), and about 9e-4 at 128, where a
    third of it learned too little of 1,000 labels and three times it no more (docs/finetuning.md).
    """
    return float(f"{5e-5 * (768 / width) ** 1.6:.2g}")


def recipe(task: Task, base: dict[str, Any], tokenizer: str, start: str) -> dict[str, Any]:
    """A recipe as plain values: the ``base``'s model and tokenizer (a folder), the task's documents and objective.

    ``start`` is ``run:NAME@step``. Raises RecipeError for an objective that the base's kind of model cannot learn.
    """
    if task.objective in ("classify", "text-to-text") and not 0 < task.validation < 1:
        what = "without validation texts nothing says which step is the best"
        raise RecipeError(what, where="--validation", fix="hold out a share: 10 %")
    if task.objective not in OBJECTIVES:
        raise RecipeError(f"unknown objective {task.objective!r}", where="--objective", fix=", ".join(OBJECTIVES))
    model = {key: value for key, value in base["model"].items() if value is not None and key != "size"}
    model["dropout"] = 0.1 if task.dropout is None else task.dropout
    given, objective = _learned(task, base, model)
    return {
        "name": task.name,
        "seed": task.seed,
        "sources": task.sources,
        "corpus": {"policy": "none", "dedup": None, "held_out": task.validation},
        "mixture": {"max_repeats": None},
        "input": given,
        "tokenizer": {"kind": "imported", "path": tokenizer},
        "model": model,
        "objective": objective,
        "training": _training(task, model, None if task.random else start, given["kind"] == "tokens"),
        "evaluation": {"validation_limit": "1 GB", "test": task.test},
    }


def _learned(task: Task, base: dict[str, Any], model: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The recipe's ``input`` and ``objective``."""
    context = model["context"]
    match task.objective:
        case "classify":
            return (
                {"kind": "labelled-text", "label": task.label, "length": task.length or context},
                {"kind": "classify"},
            )
        case "text-to-text":
            target = min(TARGET_LENGTH, max(3, context // 2))
            room = context if model["kind"] == "encoder-decoder" else context - target
            given = {"kind": "text-to-text", "target": task.target or task.label, "length": task.length or room}
            named = {} if task.target else {"label": task.label}
            return {**given, **named, "target_length": target}, {"kind": "text-to-text"}
        case "next-token":
            return {"kind": "tokens"}, {"kind": "causal"}
        case _:
            return {"kind": "tokens"}, base["objective"]


def _training(task: Task, model: dict[str, Any], start: str | None, packed: bool) -> dict[str, Any]:
    rate = task.learning_rate or learning_rate(model["width"])
    learnt = max(1, round(task.texts * (1 - task.validation)))
    batch = max(1, min(task.batch, learnt // 2))
    if packed:
        windows = task.tokens * (1 - task.validation) / model["context"]
        batch = task.batch
        length = {"steps": max(1, math.ceil((task.epochs or 1) * windows / batch))}
    else:
        once = learnt / batch
        length = {"steps": math.ceil(once * task.epochs) if task.epochs else max(LEAST_STEPS, math.ceil(EPOCHS * once))}
    every = max(1, math.ceil(length["steps"] / LOOKS))
    return {
        **({"start": start} if start else {}),
        **length,
        "batch_examples": batch,
        "checkpoint_every": every,
        "validate_every": every,
        "keep": LOOKS + 1,
        "optimizer": {"kind": "adamw", "learning_rate": rate, "betas": [0.9, 0.999], "weight_decay": 0.01},
        "schedule": {"kind": "linear", "warmup": 0.06},
        "compile": False,
    }
