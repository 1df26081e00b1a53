"""The architecture, batch and data that every trainer of the comparison is given: a Llama, tied, of the size that the
environment variable ``SHAPE`` names."""

import os

SHAPES = {
    "5m": (8192, 256, 4, 4, 2, 704, 256),
    "124m": (50_304, 768, 12, 12, 12, 2048, 1024),
    "1b": (50_304, 2048, 16, 32, 8, 8192, 2048),
}
"""Vocabulary, width, layers, heads, heads of keys and values, hidden units, positions."""
VOCABULARY, WIDTH, LAYERS, HEADS, KV_HEADS, MLP, CONTEXT = SHAPES[os.environ.get("SHAPE", "5m")]
LEARNING_RATE = 1e-3


def tokens(count, seed=0):
    """Random token ids ``[count]``, the same for every trainer."""
    import numpy as np

    return np.random.default_rng(seed).integers(0, VOCABULARY, count, dtype=np.int64)


def arguments():
    """The command line that each peer's script takes."""
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=8, help="sequences a step")
    parser.add_argument("--steps", type=int, default=40, help="timed steps, after the warm-up")
    parser.add_argument("--warmup", type=int, default=10)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peak", type=float, default=0.0, help="FLOP/s of the device, for MFU")
    return parser.parse_args()


def flops_a_token():
    """6 N + 12 L W T, N without the embedding's look-up (Chowdhery et al. 2022, arXiv 2204.02311, appendix B)."""
    head = WIDTH // HEADS
    block = 2 * WIDTH * WIDTH + 2 * WIDTH * KV_HEADS * head + 3 * WIDTH * MLP
    return 6 * (LAYERS * block + VOCABULARY * WIDTH) + 12 * LAYERS * WIDTH * CONTEXT


def report(name, options, seconds, parameters):
    """Prints one JSON line: tokens a second over the timed steps."""
    import json

    rate = options.steps * options.batch * CONTEXT / seconds
    print(
        json.dumps(
            {
                "trainer": name,
                "tokens_per_second": rate,
                "parameters": parameters,
                "precision": options.precision,
                "compile": options.compile,
                "batch": options.batch,
                "mfu": rate * flops_a_token() / options.peak if options.peak else None,
            }
        )
    )
