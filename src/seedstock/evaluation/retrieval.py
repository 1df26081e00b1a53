"""Does a model use what stands far back? Pass keys in text, and copies of random tokens, by length and depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from seedstock.corpus.sources.pass_keys import NEEDLE, QUESTION, UNSEEN
from seedstock.errors import SeedstockError
from seedstock.inputs.keys import derive

DEPTHS = (0.0, 0.25, 0.5, 0.75)


def passkey(network: Any, tokenizer: Any, filler: Sequence[int], lengths: Sequence[int], **options: Any) -> list[Any]:
    """A number of five digits, told once within ``filler`` (tokens of any text) and asked for at the end (Mohtashami
    and Jaggi 2023, section 4.2). Small models know no questions unless they were trained on some, which the source
    ``pass-keys`` makes: the numbers here are those that it leaves out. See also ``copies``."""

    def make(random: np.random.Generator) -> tuple[list[int], list[int], list[int]]:
        key = str(UNSEEN * random.integers(-(-10_000 // UNSEEN), 100_000 // UNSEEN))
        needle, question = (tokenizer.encode(text.format(key, key)).tolist() for text in (NEEDLE, QUESTION))
        whole = tokenizer.encode(QUESTION + " " + key).tolist()
        return needle, question, whole[len(question) :]

    return _table(network, filler, lengths, make, **options)


def copies(
    network: Any, filler: Sequence[int], lengths: Sequence[int], *, cue: int = 4, key: int = 4, **options: Any
) -> list[Any]:
    """``cue`` and then ``key`` random tokens stand within ``filler``; the cue comes again at the end, and the key is to
    follow: induction over a distance (Olsson et al. 2022, section 3), which needs no knowledge of language."""
    known = np.unique(np.asarray(filler))

    def make(random: np.random.Generator) -> tuple[list[int], list[int], list[int]]:
        needle = random.choice(known, cue + key, replace=False).tolist()
        return needle, needle[:cue], needle[cue:]

    return _table(network, filler, lengths, make, **options)


def _table(
    network: Any,
    filler: Sequence[int],
    lengths: Sequence[int],
    make: Callable[[np.random.Generator], tuple[list[int], list[int], list[int]]],
    *,
    depths: Sequence[float] = DEPTHS,
    trials: int = 32,
    seed: int = 1,
) -> list[dict[str, Any]]:
    """For each length and depth: ``accuracy`` (every token of the answer is the likeliest), ``tokens`` (the share of
    the answer's that are) and ``distance`` from the needle's end to the answer. Draws are keyed by seed and trial.

    Raises SeedstockError where the filler is too short, and where a length does not fit the network's context.
    """
    found = []
    for length in lengths:
        if length > network.config.context:
            what = f"{length} tokens do not fit the context of {network.config.context}"
            raise SeedstockError(what, fix="ask for lengths up to the context")
        for depth in depths:
            right, tokens, distance = [], [], 0
            for trial in range(trials):
                random = np.random.default_rng(int(derive(seed, "retrieval", trial)[0]))
                needle, question, answer = make(random)
                room = length - len(needle) - len(question) - len(answer)
                if room < 1 or len(filler) < room:
                    what = f"a filler of {len(filler)} tokens, and {length} to fill"
                    raise SeedstockError(what, fix="give a longer filler, and lengths with room for the key")
                start = int(random.integers(0, len(filler) - room + 1))
                text, at = list(filler[start : start + room]), int(depth * room)
                row = text[:at] + needle + text[at:] + question + answer
                good = _likeliest(network, row)[-len(answer) :] == np.asarray(answer)
                right.append(bool(good.all()))
                tokens.append(float(good.mean()))
                distance = room - at + len(question)
            result = {"length": length, "depth": depth, "distance": distance, "trials": trials}
            found.append({**result, "accuracy": float(np.mean(right)), "tokens": float(np.mean(tokens))})
    return found


@torch.inference_mode()
def _likeliest(network: Any, row: list[int]) -> np.ndarray:
    """What the network finds likeliest at each place, from what comes before it: ``[len(row) - 1]``."""
    training = network.training
    network.eval()
    logits = network(torch.tensor([row[:-1]], device=network.head.matrix.device))
    network.train(training)
    return logits[0].argmax(-1).cpu().numpy()
