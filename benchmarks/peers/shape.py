"""The architecture, batch and data that every trainer of the comparison is given: a Llama of 5.0 M parameters."""

VOCABULARY, WIDTH, LAYERS, HEADS, KV_HEADS, MLP, CONTEXT = 8192, 256, 4, 4, 2, 704, 256
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
    return parser.parse_args()


def report(name, options, seconds, parameters):
    """Prints one JSON line: tokens a second over the timed steps."""
    import json

    print(
        json.dumps(
            {
                "trainer": name,
                "tokens_per_second": options.steps * options.batch * CONTEXT / seconds,
                "parameters": parameters,
                "precision": options.precision,
                "compile": options.compile,
                "batch": options.batch,
            }
        )
    )
