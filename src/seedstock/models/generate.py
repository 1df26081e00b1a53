"""Text, or any symbols, from a causal network or for a source: one token at a time, its keys and values kept."""

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
    source: Sequence[int] | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    stop: Collection[int] = (),
    forbidden: Collection[int] = (),
) -> Iterator[int]:
    """Yields tokens that follow ``prompt``, at most ``new_tokens``, up to and without the first of ``stop``.

    Draws are keyed by (seed, place). Where the context is full, its older half is forgotten and the rest read again.
    ``source`` is what an encoder-decoder reads; ``prompt`` is then how the target begins, first of all with the special
    token that ``config.start`` names. Raises SeedstockError where prompt or source is empty, not of the vocabulary, or
    longer than the context, and where a source is given to a network that reads none, or not given to one that does.
    """
    _check(network, prompt, source, temperature, top_k, top_p)
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
                reads = {}
                if source is not None and cache.source is None:
                    reads = {"source": network.read(torch.tensor([list(source)], device=device))}  # type: ignore[operator]
                logits_V = network(torch.tensor([unread], device=device), cache=cache, **reads)[0, -1]
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


def _check(
    network: Network,
    prompt: Sequence[int],
    source: Sequence[int] | None,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
) -> None:
    if network.config.cross != (source is not None):
        if source is None:
            what, fix = "an encoder-decoder writes for a source, and none was given", "pass source"
        else:
            what, fix = "this network reads no source beside the prompt", "put the source into the prompt"
        raise SeedstockError(what, fix=fix)
    for name, tokens in (("prompt", prompt), *([("source", source)] if source is not None else [])):
        if not len(tokens):
            raise SeedstockError(f"the {name} is empty", fix="begin with the tokenizer's bos token")
        if len(tokens) > network.config.context:
            what = f"the {name} has {len(tokens)} tokens and the model's context is {network.config.context}"
            raise SeedstockError(what, fix=f"shorten the {name}")
        if min(tokens) < 0 or max(tokens) >= network.vocab_size:
            what = f"the {name} has a token outside of the vocabulary of {network.vocab_size}"
            raise SeedstockError(what, fix="encode it with the run's own tokenizer")
    if temperature < 0 or (top_k is not None and top_k < 1) or (top_p is not None and not 0 < top_p <= 1):
        raise SeedstockError(
            f"temperature {temperature}, top_k {top_k}, top_p {top_p} make no sense together",
            fix="temperature is 0 or more, top_k at least 1, top_p above 0 and at most 1",
        )
