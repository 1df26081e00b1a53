"""Playing worlds with a decoder that learned episodes as tokens, and the returns that come of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from seedstock.evaluation.play import begun, drawn, flat, opened


@torch.inference_mode()
def play(
    network: Any,
    writer: Any,
    world: str,
    *,
    target: float = 0.0,
    episodes: int = 50,
    seed: int = 1,
    greedy: bool = False,
) -> np.ndarray:
    """The returns ``[episodes]`` of playing ``world``; ``target`` is what is asked for where tokens have returns.

    ``writer`` is the ``inputs.episode_tokens.Episodes`` of the run. As many steps as the context holds are read.
    Actions are drawn by their scores among the tokens of actions, keyed by ``seed``, or with ``greedy`` the likeliest.
    Episodes begin from the same states for the same seed, whoever plays. Raises DataError without the world's library.
    """
    with opened(world, episodes, network) as worlds:
        return _play(network, writer, worlds, target, seed, greedy)


def _play(network: Any, writer: Any, worlds: list[Any], target: float, seed: int, greedy: bool) -> np.ndarray:
    c, count, space = writer.config, len(worlds), worlds[0].action_space
    rng = np.random.default_rng(seed)
    now = begun(worlds, rng, c)
    size, first = (c.action, 1) if c.discrete else (c.bins, c.action)
    kept = max(1, (network.config.context - first) // c.step) * c.step
    past = np.full((count, int(writer.bos is not None)), writer.bos or 0, np.int64)
    asked, totals, alive = np.full(count, float(target)), np.zeros(count), np.ones(count, bool)
    device = next(network.parameters()).device
    while alive.any():
        rows = np.flatnonzero(alive)
        before = past[:, max(0, past.shape[1] - kept + c.step) :]
        past = np.concatenate([before, writer.seen(now, asked if c.returns else None)], axis=1)
        for _ in range(first):
            tokens = torch.from_numpy(past[rows]).to(device)
            scores = network(tokens)[:, -1, writer.first["act"] : writer.first["act"] + size].float().cpu()
            chosen = np.full(count, writer.first["act"])
            chosen[rows] += scores.argmax(-1).numpy() if greedy else drawn(scores.softmax(-1).numpy(), rng)
            past = np.concatenate([past, chosen[:, None]], axis=1)
        numbers = past[:, -first:] - writer.first["act"]
        after = now.copy()
        for row in rows.tolist():
            action: Any = int(numbers[row, 0])
            if not c.discrete:
                action = np.clip(c.middles(numbers[row]), space.low.reshape(-1), space.high.reshape(-1))
                action = action.reshape(space.shape).astype(space.dtype)
            what, reward, terminated, truncated, _ = worlds[row].step(action)
            after[row] = flat(what)
            totals[row] += float(reward)
            asked[row] -= float(reward)
            alive[row] = not (terminated or truncated)
        now = after
    return totals
