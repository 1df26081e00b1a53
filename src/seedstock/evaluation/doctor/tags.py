"""Is there something to tell apart: how much of the training was shown as good, and as bad?"""

from __future__ import annotations

import numpy as np

from seedstock.evaluation.doctor.finding import Finding

FEWEST = 0.02  # of the predicted tokens


def balance(good: np.ndarray, bad: np.ndarray) -> Finding | None:
    """``good`` and ``bad`` are the shares of predicted tokens under each tag, step by step."""
    known = np.isfinite(good) & np.isfinite(bad)
    if not known.any():
        return None
    shares = np.array([good[known].mean(), bad[known].mean()])
    every = np.clip(np.append(shares, 1 - shares.sum()), 1e-12, 1)
    entropy = float(-(every * np.log2(every)).sum())
    evidence = f"{shares[0]:.1%} of the tokens good, {shares[1]:.1%} bad, the rest without a tag: {entropy:.2f} bits"
    if shares.min() >= FEWEST:
        return Finding("good", "both tags are seen", evidence)
    name = "good" if shares.argmin() == 0 else "bad"
    advice = "move objective.threshold or quantile, or give its documents more weight in the mixture"
    return Finding("warning", f"the tag {name} is hardly seen: it will say little", evidence, advice)
