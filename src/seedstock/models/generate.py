"""Text, or any symbols, from a causal network: one token at a time, with its keys and values kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from seedstock.errors import SeedstockError
from seedstock.models.keys import generator
from seedstock.models.network import Network


def choose(
    logits_V: Tensor, draw: float, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> int:
    """One token by inverting the cumulative distribution at ``draw``, a number from 0 to 1.

    ``temperature`` 0 takes the likeliest; ``top_k`` keeps that many, ``top_p`` the fewest whose shares reach it
    (nucleus sampling, Holtzman et al. 2019).
    """
    if temperature == 0:
        return int(logits_V.argmax())
    shares, tokens = torch.softmax(logits_V.double().cpu() / temperature, -1).sort(descending=True, stable=True)
    if top_k is not None:
        shares = shares[:top_k]
    sums = shares.cumsum(-1)
    if top_p is not None:
        kept = int((sums < top_p * sums[-1]).sum()) + 1
        sums = sums[:kept]
    return int(tokens[min(int((sums < draw * sums[-1]).sum()), len(sums) - 1)])


def stream(
    network: Network,
    prompt: Sequence[int],
    new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    stop: Collection[int] = (),
    forbidden: Collection[int] = (),
) -> Iterator[int]:
    """Yields tokens that follow ``prompt``, at most ``new_tokens``, up to and without the first of ``stop``.

    Draws are keyed by (seed, place). Where the context is full, its older half is forgotten and the rest read again.
    Raises SeedstockError where the prompt is empty, not of the vocabulary, or as long as the context.
    """
    _check(network, prompt, temperature, top_k, top_p)
    device, context = network.head.matrix.device, network.config.context
    training = network.training
    seen, cache, unread = list(prompt), network.new_cache(1, context), list(prompt)
    try:
        for place in range(new_tokens):
            if len(unread) > cache.room:
                unread = seen[-(context // 2) :]
                cache = network.new_cache(1, context)
            network.eval()
            with torch.inference_mode():
                logits_V = network(torch.tensor([unread], device=device), cache=cache)[0, -1]
                if forbidden:
                    logits_V[list(forbidden)] = -torch.inf
                draw = float(torch.rand((), dtype=torch.float64, generator=generator("token", seed, place)))
                token = choose(logits_V, draw, temperature, top_k, top_p)
            network.train(training)
            if token in stop:
                return
            seen.append(token)
            unread = [token]
            yield token
    finally:
        network.train(training)


def generate(
    network: Network,
    prompt: Sequence[int],
    new_tokens: int,
    *,
    on_token: Callable[[int], None] | None = None,
    **options: Any,
) -> list[int]:
    """The tokens of ``stream``, whose options it takes, as a list; each is first handed to ``on_token``."""
    tokens = []
    for token in stream(network, prompt, new_tokens, **options):
        if on_token:
            on_token(token)
        tokens.append(token)
    return tokens


def _check(network: Network, prompt: Sequence[int], temperature: float, top_k: int | None, top_p: float | None) -> None:
    if not len(prompt):
        raise SeedstockError("the prompt is empty", fix="begin with the tokenizer's bos token")
    if len(prompt) > network.config.context:
        what = f"the prompt has {len(prompt)} tokens and the model's context is {network.config.context}"
        raise SeedstockError(what, fix="shorten the prompt")
    if min(prompt) < 0 or max(prompt) >= network.vocab_size:
        what = f"the prompt has a token outside of the vocabulary of {network.vocab_size}"
        raise SeedstockError(what, fix="encode it with the run's own tokenizer")
    if temperature < 0 or (top_k is not None and top_k < 1) or (top_p is not None and not 0 < top_p <= 1):
        raise SeedstockError(
            f"temperature {temperature}, top_k {top_k}, top_p {top_p} make no sense together",
            fix="temperature is 0 or more, top_k at least 1, top_p above 0 and at most 1",
        )
