"""Keyed permutations of {0, …, n - 1} for any n, computed an element at a time, in both directions.

A generalised Feistel network over Z_a × Z_b with a·b >= n, and cycle walking back into the domain: Black and Rogaway
2002, "Ciphers with arbitrary finite domains", sections 4 and 5 (methods 2 and 3). With a = ⌈√n⌉ and b = ⌈n / a⌉ the
walk is rare. The round function is a 64-bit mixer, not a cipher: this shuffles data and hides nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from seedstock.inputs.keys import mix64

ROUNDS = 6


def permute(x: np.ndarray, n: np.ndarray, keys: np.ndarray, tweak: np.ndarray) -> np.ndarray:
    """Where each ``x`` goes.

    ``x``, ``n`` (int64 ``[E]``, 0 <= x < n) and ``tweak`` (int64 ``[E]``) hold an element, its domain's size and the
    number of the permutation; ``keys`` (uint64 ``[ROUNDS, E]`` or ``[ROUNDS, 1]``) are its round keys.
    """
    return _walk(_forward, x, n, keys, tweak)


def invert(y: np.ndarray, n: np.ndarray, keys: np.ndarray, tweak: np.ndarray) -> np.ndarray:
    """The inverse of ``permute``: ``invert(permute(x, …), …) == x``."""
    return _walk(_backward, y, n, keys, tweak)


def _walk(network: Callable[..., np.ndarray], x: np.ndarray, n: np.ndarray, keys: np.ndarray, tweak: np.ndarray):
    x, n, tweak = np.broadcast_arrays(np.asarray(x, np.int64), np.asarray(n, np.int64), np.asarray(tweak, np.int64))
    a = np.ceil(np.sqrt(n)).astype(np.uint64)
    b = (n.astype(np.uint64) + a - np.uint64(1)) // a
    keys = np.broadcast_to(mix64(keys ^ tweak.astype(np.uint64)), (ROUNDS, x.size))
    y = network(x.astype(np.uint64), a, b, keys).astype(np.int64)
    outside = np.flatnonzero(y >= n)
    while outside.size:
        y[outside] = network(y[outside].astype(np.uint64), a[outside], b[outside], keys[:, outside])
        outside = outside[y[outside] >= n[outside]]
    return y


def _forward(x: np.ndarray, a: np.ndarray, b: np.ndarray, keys: np.ndarray) -> np.ndarray:
    left, right = x % a, x // a
    for number in range(ROUNDS):
        if number % 2 == 0:
            left = (left + mix64(right ^ keys[number]) % a) % a
        else:
            right = (right + mix64(left ^ keys[number]) % b) % b
    return left + a * right


def _backward(y: np.ndarray, a: np.ndarray, b: np.ndarray, keys: np.ndarray) -> np.ndarray:
    left, right = y % a, y // a
    for number in reversed(range(ROUNDS)):
        if number % 2 == 0:
            left = (left + a - mix64(right ^ keys[number]) % a) % a
        else:
            right = (right + b - mix64(left ^ keys[number]) % b) % b
    return left + a * right
