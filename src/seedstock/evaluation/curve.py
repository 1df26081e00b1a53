"""The picture of a run: loss against tokens, with the floors that count models reach."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seedstock.evaluation import events
from seedstock.evaluation.tally import LN2
from seedstock.ledger.files import atomic

TRAINING, VALIDATION, FLOOR = "#7aa6c2", "#b3261e", "#8a8a8a"


def curve(
    events_path: Path,
    target: Path,
    *,
    floors: dict[str, Any] | None = None,
    bytes_per_token: float | None = None,
    name: str = "",
) -> Path:
    """Draws ``target`` (a PNG) from ``events.jsonl`` and ``floors.json``; returns ``target``.

    In bits per byte where ``bytes_per_token`` of the training text is given (training losses, nats a token, are
    converted with it) or validation recorded bits per byte; else in nats a token or the objective's loss, with the
    floors of token counts where ``floors`` has them.
    """
    course = _course(events_path, bytes_per_token)
    lines = _floor_lines(floors) if course.in_bits and floors else []
    if floors and "tokens" in floors:
        lines = [(f"counts, order {n}", one["nats_per_token"]) for n, one in floors["tokens"]["orders"].items()]

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.2), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    labels = _draw(axes, course, lines)
    low, high = _range(course.training, course.validation, [value for _, value in lines])
    axes.set_ylim(low, high)
    axes.set_xlim(left=0)
    axes.set_ylabel(
        "bits per byte" if course.in_bits else "loss" if floors and "tokens" in floors else "nats per token"
    )
    if name:
        axes.set_title(name, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    _label(axes, labels, low, high)
    with atomic(target) as file:
        figure.savefig(file, format="png", metadata={"Software": None})  # no version in it: equal runs, equal bytes
    return Path(target)


@dataclass(frozen=True)
class _Course:
    """Tokens and losses of training steps and of validations, all in bits per byte or all in nats a token."""

    tokens: np.ndarray
    training: np.ndarray
    validation_tokens: np.ndarray
    validation: np.ndarray
    in_bits: bool


def _course(path: Path, bytes_per_token: float | None) -> _Course:
    found = events.read(path, "step", "validation")
    steps, checks = events.by_step(found["step"]), events.by_step(found["validation"])
    in_bits = bytes_per_token is not None or any("bits_per_byte" in check for check in checks)
    name = "bits_per_byte" if in_bits else "nats_per_token"
    if not in_bits and not any(name in check for check in checks):
        name = "loss"  # of an objective that does not predict the next token
    tokens, training = events.column(steps, "tokens"), events.column(steps, "loss")
    # A validation's own ``tokens`` may be those that it scored: where it stands in training, its step says.
    numbers, at = events.column(steps, "step"), events.column(checks, "step")
    places = np.interp(at, numbers, tokens) if len(numbers) else at
    if in_bits:
        training = training / (LN2 * bytes_per_token) if bytes_per_token else np.full(len(tokens), np.nan)
    validation = events.column(checks, name)
    return _Course(tokens, training, places, validation, in_bits)


def _draw(axes: Any, course: _Course, lines: list[tuple[str, float]]) -> list[tuple[float, str, str]]:
    """Draws the lines; returns the labels: where, what, in which colour."""
    scale, unit = _unit(float(np.nanmax([*course.tokens, *course.validation_tokens, 1.0])))
    axes.set_xlabel(f"{unit}tokens trained on")
    labels = []
    for text, value in lines:
        axes.axhline(value, color=FLOOR, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        labels.append((value, f"{text}  {value:.2f}", FLOOR))
    if np.isfinite(course.training).any():
        smooth = smoothed(course.training)
        axes.plot(course.tokens / scale, course.training, color=TRAINING, linewidth=0.6, alpha=0.45, zorder=2)
        axes.plot(course.tokens / scale, smooth, color=TRAINING, linewidth=1.6, zorder=3)
        labels.append((float(smooth[-1]), f"training  {smooth[-1]:.2f}", "#3f7394"))
    if np.isfinite(course.validation).any():
        style = {"color": VALIDATION, "linewidth": 1.8, "marker": "o", "markersize": 3.5, "zorder": 4}
        axes.plot(course.validation_tokens / scale, course.validation, **style)
        labels.append((float(course.validation[-1]), f"held out  {course.validation[-1]:.2f}", VALIDATION))
    return labels


def smoothed(values: np.ndarray, share: float = 0.03) -> np.ndarray:
    """A running mean over what came last: ``share`` of all values, less near the start, where the loss falls fast.

    Values that are not finite are passed over; where there is no other, the mean is NaN.
    """
    finite = np.isfinite(values)
    sums = np.insert(np.cumsum(np.where(finite, values, 0.0)), 0, 0.0)
    counts = np.insert(np.cumsum(finite), 0, 0)
    last = np.arange(1, len(values) + 1)
    first = last - np.clip(last // 8, 1, max(1, round(len(values) * share)))
    with np.errstate(invalid="ignore"):
        return (sums[last] - sums[first]) / (counts[last] - counts[first])


def _floor_lines(floors: dict[str, Any]) -> list[tuple[str, float]]:
    lines = [(f"counts, order {order}", entry["bits_per_byte"]) for order, entry in floors["bytes"]["orders"].items()]
    xz = floors.get("xz", {})
    name, key = ("xz, after training", "after_training") if "after_training" in xz else ("xz", "alone")
    return [*lines, (name, xz[key])] if key in xz else lines


def _unit(largest: float) -> tuple[float, str]:
    for scale, name in ((1e9, "billion "), (1e6, "million "), (1e3, "thousand ")):
        if largest >= scale:
            return scale, name
    return 1.0, ""


def _range(training: np.ndarray, validation: np.ndarray, floors: list[float]) -> tuple[float, float]:
    """From a little below the lowest to where the run left its first steep fall."""
    seen = np.concatenate([training, validation, floors])
    seen = seen[np.isfinite(seen)]
    if not len(seen):
        return 0.0, 1.0
    low = float(seen.min())
    settled = training[len(training) // 20 :]
    tops = [*floors, *validation[1:], *(np.nanquantile(settled, [0.98]) if np.isfinite(settled).any() else [])]
    high = float(np.nanmax(tops)) if len(tops) else float(seen.max())
    room = 0.06 * max(high - low, 0.1)
    return low - room, high + room


def _label(axes: Any, labels: list[tuple[float, str, str]], low: float, high: float) -> None:
    """Names each line at the right edge."""
    labels = sorted(label for label in labels if np.isfinite(label[0]))
    places = apart([value for value, *_ in labels], (high - low) * 0.042)
    for (value, text, color), place in zip(labels, places, strict=True):
        axes.annotate(
            text,
            xy=(1.0, value),
            xycoords=("axes fraction", "data"),
            xytext=(1.015, place),
            textcoords=("axes fraction", "data"),
            color=color,
            fontsize=8.5,
            va="center",
            annotation_clip=False,
        )


def apart(values: list[float], gap: float) -> list[float]:
    """Places for sorted values, at least ``gap`` apart and as near to them as that allows, in least squares."""
    groups: list[list[float]] = []  # [sum of (value - offset in group), members]; each group is placed at its mean
    for number, value in enumerate(values):
        groups.append([value - number * gap, 1])
        while len(groups) > 1 and groups[-2][0] / groups[-2][1] > groups[-1][0] / groups[-1][1]:
            total, members = groups.pop()
            groups[-1][0] += total
            groups[-1][1] += members
    means = [total / members for total, members in groups for _ in range(int(members))]
    return [mean + number * gap for number, mean in enumerate(means)]
