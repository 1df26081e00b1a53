"""Playing worlds with what was learned from episodes, and the returns that come of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seedstock.corpus.sources.worlds import make
from seedstock.errors import DataError


@torch.inference_mode()
def play(
    nets: Any,
    objective: Any,
    world: str,
    *,
    target: float = 0.0,
    episodes: int = 50,
    seed: int = 1,
    greedy: bool = False,
) -> np.ndarray:
    """The returns ``[episodes]`` of playing ``world`` when ``target`` is asked for (Chen et al. 2021, section 3).

    What is asked for shrinks by every reward. Discrete actions are drawn by their scores, keyed by ``seed``, or with
    ``greedy`` the likeliest; continuous ones are held inside the world's bounds. Episodes begin from the same states
    for the same seed, whoever plays. Raises DataError where its library is not installed.
    """
    with opened(world, episodes, nets) as worlds:
        return _play(nets, objective, worlds, target, seed, greedy)


@contextmanager
def opened(world: str, episodes: int, player: nn.Module) -> Iterator[list[Any]]:
    """As many worlds as episodes, played without dropout. Raises DataError where the world's library is missing."""
    worlds = [make(world) for _ in range(episodes)]
    training = player.training
    player.eval()
    try:
        yield worlds
    finally:
        player.train(training)
        for one in worlds:
            one.close()


def begun(worlds: list[Any], rng: np.random.Generator, sizes: Any) -> np.ndarray:
    """What is seen of each world first, ``[worlds, observation]``: the same for the same numbers.

    ``sizes`` has ``observation``, ``action`` and ``discrete``. Raises DataError where the world has others.
    """
    starts = rng.integers(2**31, size=len(worlds)).tolist()
    seen = np.stack([flat(one.reset(seed=start)[0]) for one, start in zip(worlds, starts, strict=True)])
    space = worlds[0].action_space
    chosen = hasattr(space, "n")
    world = _said(seen.shape[1], int(space.n) if chosen else int(np.prod(space.shape)), chosen)
    if world != (learned := _said(sizes.observation, sizes.action, sizes.discrete)):
        fix = "play the world that the episodes are from"
        raise DataError(f"the world has {world}, the network learned from {learned}", where="world", fix=fix)
    return seen


def _said(observation: int, action: int, discrete: bool) -> str:
    return f"{observation} numbers to see and {f'a choice of {action}' if discrete else f'{action} numbers to do'}"


def _play(nets: Any, objective: Any, worlds: list[Any], target: float, seed: int, greedy: bool) -> np.ndarray:
    model, count, space = objective.spec.model, len(worlds), worlds[0].action_space
    rng = np.random.default_rng(seed)
    now = begun(worlds, rng, model)
    seen, done = list[np.ndarray](), list[np.ndarray]()
    asked, totals = [np.full(count, float(target))], np.zeros(count)
    alive = np.ones(count, bool)
    while alive.any():
        seen.append(now)
        blank = np.zeros((count,) if model.discrete else (count, model.action), np.int64 if model.discrete else "<f4")
        steps = slice(max(0, len(seen) - model.steps), None)
        rows = np.flatnonzero(alive)
        batch = {
            "observations": _window(seen[steps], rows).float(),
            "returns": _window(asked[steps], rows).float(),
            "actions": _window([*done, blank][steps], rows),
            "first": torch.full((len(rows),), steps.start),
        }
        device = next(nets["network"].parameters()).device
        given = objective.inputs(nets, {name: one.to(device) for name, one in batch.items()})
        found = objective.actions(nets, nets["network"].backbone(**given).hidden)[:, -1].float().cpu()
        chosen, rewards, after = blank.copy(), np.zeros(count), now.copy()
        chosen[rows] = _chosen(found, rng, space, model.discrete, greedy)
        for row in rows.tolist():
            action = int(chosen[row]) if model.discrete else chosen[row].reshape(space.shape)
            what, reward, terminated, truncated, _ = worlds[row].step(action)
            after[row], rewards[row] = flat(what), float(reward)
            alive[row] = not (terminated or truncated)
        totals += rewards
        done.append(chosen)
        asked.append(asked[-1] - rewards)
        now = after
    return totals


def _chosen(found: Tensor, rng: np.random.Generator, space: Any, discrete: bool, greedy: bool) -> np.ndarray:
    if not discrete:
        return np.clip(found.numpy(), space.low.reshape(-1), space.high.reshape(-1))
    if greedy:
        return found.argmax(-1).numpy()
    return drawn(found.softmax(-1).numpy(), rng)


def drawn(shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One number a row, each as likely as its share of the row."""
    sums = shares.cumsum(-1)
    return (rng.uniform(size=(len(sums), 1)) * sums[:, -1:] > sums).sum(-1).clip(max=shares.shape[1] - 1)


def flat(seen: Any) -> np.ndarray:
    """What is seen as the input has it: parts side by side by their names; words are left out."""
    if isinstance(seen, dict):
        return np.concatenate([flat(seen[name]) for name in sorted(seen) if not isinstance(seen[name], str)])
    return np.asarray(seen, "<f4").reshape(-1)


def _window(rows: list[np.ndarray], alive: np.ndarray) -> Tensor:
    """``[alive, T, …]`` of arrays by step."""
    return torch.from_numpy(np.stack([one[alive] for one in rows], axis=1))
