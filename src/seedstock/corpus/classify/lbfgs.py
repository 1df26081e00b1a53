"""L-BFGS with a backtracking line search (Nocedal and Wright 2006, algorithms 7.4, 7.5 and 3.1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


def minimise(objective: Objective, start: np.ndarray, *, steps: int = 100, tolerance: float = 1e-5) -> np.ndarray:
    """The minimum of a smooth convex function that returns its value and gradient; the same result on every run.

    Stops when a step gains less than ``tolerance`` of the value, or after ``steps`` steps.
    """
    at = start
    value, gradient = objective(at)
    history: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=8)
    for _ in range(steps):
        direction = -_inverse(history, gradient)
        slope = float(direction @ gradient)
        if slope >= 0:
            return at
        size = 1.0 if history else min(1.0, 1.0 / float(np.abs(gradient).sum()))
        while True:
            new_value, new_gradient = objective(at + size * direction)
            if new_value <= value + 1e-4 * size * slope:
                break
            size /= 2
            if size < 1e-10:
                return at
        moved, change = size * direction, new_gradient - gradient
        if moved @ change > 1e-12 * (change @ change):
            history.append((moved, change))
        gained = value - new_value
        at, value, gradient = at + moved, new_value, new_gradient
        if gained <= tolerance * abs(value):
            break
    return at


def _inverse(history: deque[tuple[np.ndarray, np.ndarray]], gradient: np.ndarray) -> np.ndarray:
    """The two-loop recursion: about the inverse Hessian times the gradient."""
    found = gradient.copy()
    weights = []
    for moved, change in reversed(history):
        weight = (moved @ found) / (moved @ change)
        found -= weight * change
        weights.append(weight)
    if history:
        moved, change = history[-1]
        found *= (moved @ change) / (change @ change)
    for (moved, change), weight in zip(history, reversed(weights), strict=True):
        found += moved * (weight - (change @ found) / (moved @ change))
    return found
