"""What frozen features know of classes: nearest neighbours, and a linear classifier; the raw input beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

NEIGHBOURS = 20
TEMPERATURE = 0.07
TRAINING, TESTING = 10_000, 5_000
"""Items at most that probes are fitted on, and judged by."""
GLANCE = 2_000, 1_000
"""The same during a run."""
PENALTIES = (1e-4, 1e-2, 1.0)
FEWEST = 2
"""Items that a probe is fitted on: one has no spread, and none to choose a penalty on."""


def probe(nets: Any, objective: Any, train: Any, held_out: Any, *, batch: int = 256) -> dict[str, Any] | None:
    """Accuracies on held-out items (an ``inputs.items.loader.HeldOutItems``) of probes fitted on training ones.

    ``features`` are the objective's, ``raw`` the first field of the items as it is; ``knn`` votes of the 20 nearest
    by cosine, weighed by exp(similarity / 0.07) (Wu et al. 2018), ``linear`` a logistic regression whose penalty is
    chosen on a fifth of the training items. In the place of the first field, ``raw`` is what the objective knows of
    items without learning (``Objective.plain``), where it says so. Where items have a ``group``, ``left_out`` has the
    linear probe on each group's items in turn, fitted on those of all others in both splits, its penalty chosen on one
    of them.
    None where items have no label or fewer than ``FEWEST`` of training have one, or the objective gives no features.
    """
    if "label" not in train.shards.fields or not len(train.numbers) or not len(held_out.numbers):
        return None
    (x, raw_x, y, of_x), (t, raw_t, truth, of_t) = (
        _features(nets, objective, items, batch) for items in (train, held_out)
    )
    if x is None or t is None or len(x) < FEWEST:
        return None
    found: dict[str, Any] = {"training": len(y), "testing": len(truth), "classes": len(train.shards.labels)}
    for name, (own, other) in {"features": (x, t), "raw": (raw_x, raw_t)}.items():
        found[name] = {
            "knn": _with_error(knn(own, y, other, truth)),
            "linear": _with_error(linear(own, y, other, truth)),
        }
    if of_x is not None:
        labels, groups = torch.cat([y, truth]), torch.cat([of_x, of_t])
        both = {"features": torch.cat([x, t]), "raw": torch.cat([raw_x, raw_t])}
        found["left_out"] = {name: left_out(rows, labels, groups) for name, rows in both.items()}
    return found


def glance(nets: Any, objective: Any, train: Any, held_out: Any, *, batch: int = 256) -> dict[str, float] | None:
    """Shares of held-out items whose class the features' neighbours (``knn``) and a ``linear`` probe find, to look at
    during a run; None where ``probe`` gives it."""
    if not classified(objective, train.shards) or not len(train.numbers) or not len(held_out.numbers):
        return None
    (x, _, y, _), (t, _, truth, _) = (_features(nets, objective, items, batch) for items in (train, held_out))
    if x is None or t is None or len(x) < FEWEST:
        return None
    return {"knn": float(knn(x, y, t, truth).float().mean()), "linear": float(linear(x, y, t, truth).float().mean())}


def classified(objective: Any, shards: Any) -> bool:
    """Whether there are classes to find, and features to find them by."""
    from seedstock.objectives.base import Objective

    return type(objective).features is not Objective.features and "label" in shards.fields


def left_out(x: Tensor, y: Tensor, groups: Tensor) -> dict[str, Any]:
    """The linear probe on every group's items, fitted on the others': ``accuracy`` over all items, and ``each`` by
    group, in the order of their numbers. With fewer than three groups there is nothing to choose a penalty on."""
    names = groups.unique().tolist()
    if len(names) < 3:
        return {"groups": len(names)}
    right = torch.zeros(len(y), dtype=torch.bool)
    for number, name in enumerate(names):
        out, chosen = groups == name, groups == names[(number + 1) % len(names)]
        right[out] = linear(x[~out], y[~out], x[out], y[out], chosen[~out])
    each = [float(right[groups == name].float().mean()) for name in names]
    return {"groups": len(names), **_with_error(right), "each": each}


def _features(nets: Any, objective: Any, items: Any, batch: int) -> tuple[Any, Any, Any, Any]:
    """Features, raw values, labels and groups of all items that have a label; the first is None where there are no
    features, the last where there are no groups."""
    rows = list(_rows(nets, objective, items, batch))
    if not rows or rows[0][0] is None:
        return None, None, None, None
    found, raw, labels = (torch.cat([row[at] for row in rows]) for at in range(3))
    return found, raw, labels, None if rows[0][3] is None else torch.cat([row[3] for row in rows])


@torch.inference_mode()
def _rows(nets: Any, objective: Any, items: Any, batch: int) -> Iterator[tuple[Any, Tensor, Tensor, Any]]:
    device = next(nets["network"].parameters()).device
    first = next(iter(items.shards.fields))
    training = nets.training
    nets.eval()
    try:
        for arrays in items.batches(batch, prepare=lambda made, keys: made):
            keep = np.flatnonzero((arrays["label"] >= 0) & arrays["present"])
            if not len(keep):
                continue
            given = {k: torch.from_numpy(v[keep]).to(device) for k, v in arrays.items() if k != "digests"}
            found = objective.features(nets, given)
            found = None if found is None else found.float().cpu()
            raw = objective.plain(given)
            raw = torch.from_numpy(arrays[first][keep]) if raw is None else raw.cpu()
            groups = torch.from_numpy(arrays["group"][keep].astype(np.int64)) if "group" in arrays else None
            yield found, raw.flatten(1).float(), torch.from_numpy(arrays["label"][keep].astype(np.int64)), groups
    finally:
        nets.train(training)


def knn(x: Tensor, y: Tensor, t: Tensor, truth: Tensor, k: int = NEIGHBOURS) -> Tensor:
    """Which of ``t`` ``[N, D]`` the votes of their neighbours in ``x`` ``[M, D]`` get right: bool ``[N]``."""
    mean = x.mean(dim=0)
    x, t = (torch.nn.functional.normalize(one - mean, dim=1) for one in (x, t))
    classes = int(y.max()) + 1
    right = []
    for part, own in zip(t.split(512), truth.split(512), strict=True):
        near, which = (part @ x.T).topk(min(k, len(x)), dim=1)
        votes = torch.zeros(len(part), classes).scatter_add_(1, y[which], ((near - 1) / TEMPERATURE).exp())
        right.append(votes.argmax(dim=1) == own)
    return torch.cat(right)


def linear(x: Tensor, y: Tensor, t: Tensor, truth: Tensor, chosen: Tensor | None = None) -> Tensor:
    """Which of ``t`` a logistic regression over standardised ``x`` gets right: bool ``[N]``. ``chosen`` are the rows of
    ``x`` that its penalty is chosen on; a fifth by default."""
    mean, scale = x.mean(dim=0), x.std(dim=0).clamp_min(1e-6)
    x, t = (x - mean) / scale, (t - mean) / scale
    chosen = torch.arange(len(x)) % 5 == 0 if chosen is None else chosen
    classes = int(y.max()) + 1

    def right_of(penalty: float, rows: Tensor, other: Tensor, wanted: Tensor) -> Tensor:
        weights = _logistic(x[rows], y[rows], classes, penalty)
        return (other @ weights[:-1] + weights[-1]).argmax(dim=1) == wanted

    scores = {one: float(right_of(one, ~chosen, x[chosen], y[chosen]).float().mean()) for one in PENALTIES}
    return right_of(max(scores, key=lambda one: scores[one]), torch.ones(len(x), dtype=torch.bool), t, truth)


def _logistic(x: Tensor, y: Tensor, classes: int, penalty: float) -> Tensor:
    """Weights ``[D + 1, classes]`` of least cross-entropy and penalty · |weights|² / 2, by L-BFGS from zero."""
    weights = torch.zeros(x.shape[1] + 1, classes, requires_grad=True)
    solver = torch.optim.LBFGS([weights], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        nats = torch.nn.functional.cross_entropy(x @ weights[:-1] + weights[-1], y)
        loss = nats + penalty * weights[:-1].square().sum() / 2
        loss.backward()
        return loss

    with torch.enable_grad():
        solver.step(closure)
    return weights.detach()


def _with_error(right: Tensor) -> dict[str, float]:
    share = float(right.float().mean())
    return {"accuracy": share, "standard_error": (share * (1 - share) / len(right)) ** 0.5}
