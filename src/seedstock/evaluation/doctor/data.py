"""Checks of the data behind a run: what was seen, how often, how fast, and whether the held-out split is clean."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from seedstock.evaluation.doctor.finding import Finding


def repeats(seen: float, available: float) -> Finding | None:
    """How often the corpus was read: up to four times is nearly as good as new (Muennighoff et al. 2023)."""
    if available <= 0:
        return None
    epochs = seen / available
    evidence = f"{seen:,.0f} tokens seen of {available:,.0f} in the training shards: {epochs:.2g} times"
    if epochs > 4:
        advice = "add data, or train for less: beyond four passes repeated tokens soon teach nothing"
        return Finding("warning", "the corpus is repeated often", evidence, advice)
    return Finding("note", f"the corpus was read {epochs:.2g} times", evidence)


def undertrained(seen: float, parameters: int) -> Finding | None:
    """Tokens for each parameter against the compute-optimal 20 (Hoffmann et al. 2022)."""
    if parameters <= 0:
        return None
    ratio = seen / parameters
    evidence = f"{seen:,.0f} tokens for {parameters:,} parameters: {ratio:.2g} a parameter, 20 are compute-optimal"
    if ratio >= 10:
        return Finding("good", "the model has seen enough tokens for its size", evidence)
    advice = "train for longer, or spend the same time on a smaller model"
    return Finding("note", "the model is undertrained for its size", evidence, advice)


def data_wait(waited: np.ndarray, seconds: np.ndarray) -> Finding | None:
    """The share of a step that training waited for its batch."""
    known = np.isfinite(waited) & np.isfinite(seconds)
    total = float(seconds[known].sum())
    if total <= 0:
        return None
    share = float(waited[known].sum()) / total
    evidence = f"{share:.1%} of {total:.0f} s"
    if share <= 0.1:
        return Finding("good", "data kept up with training", evidence)
    return Finding("warning", "training waited for data", evidence, "move the shards to a faster disk, or free a core")


def gap(validation: np.ndarray) -> Finding | None:
    """Whether the held-out loss rose after its lowest point while training went on: overfitting."""
    validation = validation[np.isfinite(validation)]
    if len(validation) < 3:
        return None
    lowest = int(validation.argmin())
    rise = float(validation[-1] / validation[lowest] - 1)
    evidence = (
        f"lowest {validation[lowest]:.4g} at check {lowest + 1} of {len(validation)}, {validation[-1]:.4g} at the end"
    )
    if rise <= 0.01:
        return Finding("good", "the held-out loss fell to the end", evidence)
    advice = "stop there, add data, or raise dropout and weight decay"
    return Finding("warning", "the model overfits: its held-out loss rises", evidence, advice)


def train_gap(training: float, held_out: float) -> Finding | None:
    """Training loss at the end against held-out loss, both in nats a token."""
    if not (np.isfinite(training) and np.isfinite(held_out) and training > 0):
        return None
    excess = held_out / training - 1
    evidence = f"{training:.4g} nats a token in training, {held_out:.4g} held out ({excess:+.1%})"
    if excess <= 0.15:
        return Finding("good", "held-out text is hardly harder than training text", evidence)
    advice = "more and more varied data, fewer passes over it, or dropout"
    return Finding("warning", "held-out text is much harder than training text", evidence, advice)


def floor_reached(bits_per_byte: float, floors: dict[int, float]) -> Finding | None:
    """Which count models the network beats on the same bytes: ``floors`` is bits per byte by order."""
    if not floors:
        return None
    best = min(floors, key=lambda order: floors[order])
    beaten = max((order for order in floors if all(bits_per_byte < floors[n] for n in range(order + 1))), default=None)
    known = ", ".join(f"{order}: {value:.3f}" for order, value in sorted(floors.items()))
    evidence = f"{bits_per_byte:.3f} bits per byte; count models by order {known}"
    if bits_per_byte < floors[best]:
        return Finding(
            "good", f"the network beats every count model, order {best} by {floors[best] - bits_per_byte:.3f}", evidence
        )
    if beaten is None or beaten < 2:
        what = "not even single bytes (order 0)" if beaten is None else f"no more than order {beaten}"
        advice = "the network has learned next to nothing from context: see the other findings, then train for longer"
        return Finding("problem", f"the network beats {what}", evidence, advice)
    what = f"the network beats counts of order {beaten} but not of order {best}"
    return Finding("warning", what, evidence, "train for longer, or on more data; a table of counts does better")


def shared_clusters(clusters: np.ndarray, splits: Iterable[str]) -> Finding:
    """Whether a dedup cluster lies in both splits: ``clusters`` ``[D]`` (-1 alone) and the split of each document."""
    named = np.asarray(list(splits), dtype=object)
    inside = clusters >= 0
    train, held_out = (set(clusters[inside & (named == name)].tolist()) for name in ("train", "held_out"))
    common = sorted(train & held_out)
    if not common:
        evidence = f"{int((named == 'held_out').sum()):,} documents held out, no dedup cluster of theirs in training"
        return Finding("good", "the held-out split shares no cluster with training", evidence)
    evidence = f"{len(common)} clusters lie in both, such as {', '.join(map(str, common[:3]))}"
    advice = "scores on it are too good; build the corpus again, and report this"
    return Finding("problem", "held-out text is near training text", evidence, advice)
