"""Checks of the course of the loss. Losses are per step, in order; NaN stands for a loss that was no number."""

from __future__ import annotations

from typing import Any

import numpy as np

from seedstock.evaluation.curve import smoothed
from seedstock.evaluation.doctor.finding import Finding, Level

ENOUGH = 20  # steps below which a trend says nothing
SPIKE_WINDOW = 128


def first_loss(first: float, expected: float, tolerance: float = 0.05) -> Finding:
    """The loss before the first update against what the objective expects of a fresh network."""
    share = f"{first / expected - 1:+.1%}, " if expected else ""  # a loss of 0 has no share to be off by
    evidence = f"{first:.4g} at step 1, {expected:.4g} expected ({share}{tolerance:.0%} allowed)"
    if abs(first - expected) <= tolerance * abs(expected):
        return Finding("good", "the first loss is that of a fresh network", evidence)
    if first > expected:
        advice = "look at the initialisation (too large a scale at the head) and at the targets"
        return Finding("warning", "the first loss is higher than chance", evidence, advice)
    advice = "look for targets that the network can see, padding that is counted, or weights that were trained before"
    return Finding("problem", "the first loss is lower than chance", evidence, advice)


def stopped(event: dict[str, Any]) -> Finding:
    """An event ``not_finite``: training stopped itself at a step whose loss or gradient was no number."""
    evidence = f"the {event['what']} at step {event['step']:,}, fed {len(event['examples'])} examples"
    advice = f"`seedstock trace RUN --step {event['step']}` shows its documents; lower the learning rate"
    return Finding("problem", "training stopped at a number that was none", evidence, advice)


def not_finite(losses: np.ndarray) -> Finding | None:
    """Losses that are no numbers."""
    bad = np.flatnonzero(~np.isfinite(losses))
    if not len(bad):
        return None
    evidence = f"{len(bad)} of {len(losses)} recorded losses are not finite, the first is number {bad[0] + 1}"
    return Finding("problem", "the loss was not a number", evidence, "lower the learning rate, or train in fp32")


def falling(losses: np.ndarray) -> Finding | None:
    """Whether the loss fell over the run, by more than it scatters."""
    losses = losses[np.isfinite(losses)]
    if len(losses) < ENOUGH:
        return None
    edge = max(5, len(losses) // 10)
    start, end = losses[:edge], losses[-edge:]
    error = float(np.hypot(start.std(ddof=1), end.std(ddof=1)) / np.sqrt(edge))
    drop = float(start.mean() - end.mean())
    evidence = f"{start.mean():.4g} over the first {edge} steps, {end.mean():.4g} over the last (± {error:.2g})"
    if drop > 3 * error and drop > 0.01 * abs(start.mean()):
        return Finding("good", "the loss fell", evidence)
    advice = "raise the learning rate; see that gradients reach every parameter and that targets match the inputs"
    return Finding("problem", "the loss did not fall", evidence, advice)


def thrown_off(losses: np.ndarray) -> Finding | None:
    """Whether the loss rose by a tenth and more above that of a fresh network, which is right by chance alone.

    For losses that begin at chance: others, as of features that a slow teacher has yet to find, may well rise at first.
    """
    losses = losses[np.isfinite(losses)]
    if len(losses) < ENOUGH or losses[0] <= 0:
        return None
    course = np.median(np.lib.stride_tricks.sliding_window_view(losses, 5), axis=-1)  # one step may be an odd batch
    worst, end = int(np.argmax(course)), float(losses[-max(5, len(losses) // 10) :].mean())
    if course[worst] <= 1.1 * losses[0]:
        return None
    level: Level = "warning" if end < 0.8 * losses[0] else "problem"
    evidence = (
        f"{losses[0]:.4g} at first, about {course[worst]:.4g} near recorded step {worst + 3}, {end:.4g} at the end"
    )
    advice = "lower the learning rate to a tenth, then search upwards; or warm up for longer"
    return Finding(level, "the loss rose above that of a fresh network", evidence, advice)


def diverged(losses: np.ndarray) -> Finding | None:
    """Whether the loss ended well above the lowest it had reached."""
    if np.isfinite(losses).sum() < ENOUGH:
        return None
    smooth = smoothed(losses, 0.05)
    lowest, last = int(np.nanargmin(smooth)), float(smooth[np.isfinite(smooth)][-1])
    rise = last - float(smooth[lowest])
    scatter = float(np.nanstd(losses - smooth))
    if rise <= 0.05 * float(smooth[lowest]) or rise <= 2 * scatter:
        return None
    evidence = f"{smooth[lowest]:.4g} near recorded step {lowest + 1}, {last:.4g} at the end"
    return Finding("problem", "the loss rose again", evidence, "lower the learning rate, or warm up for longer")


def spikes(losses: np.ndarray, sigmas: float = 6.0) -> Finding | None:
    """Losses more than ``sigmas`` deviations above the mean of the 128 before them (after OLMo-core's monitor)."""
    found = []
    for at in range(ENOUGH, len(losses)):
        before = losses[max(0, at - SPIKE_WINDOW) : at]
        before = before[np.isfinite(before)]
        if len(before) >= ENOUGH and losses[at] > before.mean() + sigmas * max(
            float(before.std()), 1e-3 * before.mean()
        ):
            found.append(at)
    if not found:
        return None
    worst = max(found, key=lambda at: losses[at])
    evidence = f"{len(found)} of {len(losses)} steps; the highest {losses[worst]:.4g} at recorded step {worst + 1}"
    advice = "`seedstock trace RUN --step N` shows the documents of such a step; lower the learning rate or clip harder"
    return Finding("warning", "the loss has spikes", evidence, advice)


def rate_too_high(losses: np.ndarray, rates: np.ndarray) -> Finding | None:
    """Whether the loss rose while the learning rate was at its peak, and fell only as the rate fell."""
    if len(losses) < 5 * ENOUGH or not np.isfinite(rates).all() or rates.max() <= 0:
        return None
    high = np.flatnonzero(rates >= 0.99 * rates.max())
    late = high[len(high) // 2 :]
    if len(late) < ENOUGH or high[-1] >= len(losses) - 1:
        return None
    smooth = smoothed(losses, 0.05)
    at_peak = float(smooth[late[0]] - smooth[late[-1]])
    after = float(smooth[late[-1]] - smooth[-1])
    if not (at_peak < -0.01 * smooth[-1] and after > 0.03 * smooth[-1]):
        return None
    evidence = (
        f"over the second half of the steps at the peak rate of {rates.max():.2g} the loss went from "
        f"{smooth[late[0]]:.4g} to {smooth[late[-1]]:.4g}, then to {smooth[-1]:.4g} as the rate fell"
    )
    return Finding("warning", "the learning rate looks too high", evidence, "try half of it")


def rate_too_low(losses: np.ndarray) -> Finding | None:
    """Whether the loss still falls in a straight line: healthy runs make most of their way in the first half."""
    if np.isfinite(losses).sum() < 5 * ENOUGH:
        return None
    smooth = smoothed(losses, 0.05)
    first, middle, last = (float(smooth[at]) for at in (0, len(smooth) // 2, -1))
    if first - last <= 0.02 * abs(first) or (middle - last) / (first - last) <= 0.4:
        return None
    evidence = f"{(middle - last) / (first - last):.0%} of the fall ({first:.4g} to {last:.4g}) came in the second half"
    advice = "try two to four times the learning rate, a shorter warm-up, or a longer run"
    return Finding("warning", "the learning rate looks too low", evidence, advice)


def gradient_norm(norms: np.ndarray) -> Finding | None:
    """Whether gradients grew tenfold over the run, or were not numbers."""
    if len(norms) < ENOUGH or np.isnan(norms).all():
        return None
    bad = int((~np.isfinite(norms)).sum())
    if bad:
        advice = "lower the learning rate, or train in fp32"
        return Finding("problem", "gradients were not numbers", f"at {bad} of {len(norms)} recorded steps", advice)
    edge = max(5, len(norms) // 10)
    middle, end = (float(np.median(part)) for part in (norms[edge : max(2 * edge, len(norms) // 2)], norms[-edge:]))
    if end <= 10 * middle:
        return None
    evidence = f"median {middle:.3g} in the first half, {end:.3g} over the last {edge} steps"
    advice = "lower the learning rate, clip at 1, and consider QK-norm"
    return Finding("warning", "gradients grow without bound", evidence, advice)
