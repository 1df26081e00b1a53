"""Randomness by name: numbers that depend on (seed, example, purpose, layer) and on nothing else.

Ranks, workers, steps and batch sizes never enter, so that an example is treated the same wherever it is computed.
The generator is SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", figure 14;
finaliser: Stafford's variant 13), with one stream an example.
"""

from __future__ import annotations

import hashlib

import numpy as np

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def mix64(x: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: a bijection on 64-bit words in which every input bit flips half of the output bits."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def derive(seed: int, purpose: str, *numbers: int, count: int = 1) -> np.ndarray:
    """``count`` 64-bit keys (uint64) for one purpose, by BLAKE2b (RFC 7693) of seed, purpose and ``numbers``."""
    text = "/".join([str(seed), purpose, *map(str, numbers)]).encode()
    keys = b"".join(
        hashlib.blake2b(text, digest_size=64, salt=block.to_bytes(8, "little")).digest()
        for block in range(-(-count // 8))
    )
    return np.frombuffer(keys, "<u8")[:count].astype(np.uint64)


class Keys:
    """Keyed random numbers for a batch of examples.

    ``examples`` are example numbers, int64 ``[B]``. Calls with the same purpose and layer give the same numbers:
    a component names each use of randomness once.
    """

    def __init__(self, seed: int, examples: np.ndarray) -> None:
        self.seed = seed
        self.examples = np.asarray(examples, np.int64)

    def bits(self, purpose: str, count: int, layer: int = 0) -> np.ndarray:
        """64 random bits, uint64 ``[B, count]``; a longer row begins with the shorter one."""
        key = derive(self.seed, purpose, layer)
        stream = mix64(mix64(self.examples.view(np.uint64) * GAMMA + key) ^ key)
        return mix64(stream[:, None] + np.arange(1, count + 1, dtype=np.uint64) * GAMMA)

    def uniform(self, purpose: str, count: int, layer: int = 0) -> np.ndarray:
        """Uniform numbers in [0, 1), float64 ``[B, count]``, by the upper 53 bits."""
        return (self.bits(purpose, count, layer) >> np.uint64(11)) * 2.0**-53

    def spread(self, purpose: str) -> np.ndarray:
        """Numbers in [0, 1), float64 ``[B, 1]``, that lie evenly over neighbouring examples: multiples of the golden
        ratio's fraction from a keyed start (Weyl's sequence), so that a batch has each part of the range once.
        """
        words = self.examples.view(np.uint64) * GAMMA + derive(self.seed, purpose)
        return ((words >> np.uint64(11)) * 2.0**-53)[:, None]

    def integers(self, purpose: str, low: int, high: int, count: int, layer: int = 0) -> np.ndarray:
        """Integers in [low, high), int64 ``[B, count]``. Raises ValueError where the range is empty or above 2^32.

        Below 2^32 the bias of scaling 53 bits is under 2^-21 of a probability.
        """
        if not 0 < high - low <= 1 << 32:
            raise ValueError(f"[{low}, {high}) is empty or wider than 2^32")
        return low + (self.uniform(purpose, count, layer) * (high - low)).astype(np.int64)
