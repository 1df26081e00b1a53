"""Tokens a second of Seedstock's ``fit`` on the shape of the comparison; ``--without`` undoes one optimization."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import shape
import torch

from seedstock.ledger.chain import Chain
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.training.callbacks.base import Callback
from seedstock.training.configs.optimizers import AdamWConfig
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.fit import fit


class Tokens:
    """A loader of random tokens, made before the clock starts."""

    def __init__(self, count, batch):
        self.ids = shape.tokens(count * batch * (shape.CONTEXT + 1)).reshape(count, batch, shape.CONTEXT + 1)

    def batch(self, step):
        tokens = self.ids[step]
        rows = len(tokens)
        return {
            "tokens": tokens,
            "documents": np.zeros_like(tokens),
            "positions": np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape).copy(),
            "examples": np.arange(step * rows, (step + 1) * rows),
        }


class Clock(Callback):
    name = "clock"

    def __init__(self, first, last):
        self.first, self.last, self.began, self.seconds = first, last, 0.0, 0.0

    def after_step(self, run):
        if run.step == self.first:
            self.began = time.perf_counter()
        if run.step == self.last:
            self.seconds = time.perf_counter() - self.began


def undo(part):
    """Puts what torch offers in the place of one of our optimizations."""
    if part == "attention":
        from seedstock.models import products

        products.LONGEST = 0
    elif part == "cross-entropy":
        from seedstock.objectives import causal

        def plain(hidden, weight, targets, z_loss=0.0):
            logits = torch.nn.functional.linear(hidden, weight.to(hidden.dtype)).float()
            nats = torch.nn.functional.cross_entropy(logits, targets, ignore_index=-1, reduction="none")
            return nats.sum(), nats.detach()

        causal.linear_cross_entropy = plain
    elif part == "norms":
        from seedstock.models import norms

        def plain_norm(self, x):
            wide = torch.nn.functional.rms_norm(x.float(), x.shape[-1:], self.weight, self.epsilon)
            return wide.to(x.dtype)

        norms.RMSNorm.forward = plain_norm
    elif part == "projections":
        from seedstock.models import attention, mlp

        def apart(x, *layers):
            return torch.cat([layer(x) for layer in layers], -1)

        attention.together = mlp.together = apart
    elif part == "memory":
        import contextlib

        from seedstock.training import environment, memory

        environment.kept = memory.kept = contextlib.nullcontext


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--without", choices=["attention", "cross-entropy", "norms", "projections", "memory"])
    own, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    options = shape.arguments()
    undo(own.without)
    steps = options.warmup + options.steps
    model = DecoderConfig(
        shape="llama",
        context=shape.CONTEXT,
        width=shape.WIDTH,
        layers=shape.LAYERS,
        heads=shape.HEADS,
        kv_heads=shape.KV_HEADS,
        mlp_width=shape.MLP,
        tied_embeddings=True,
    )
    network = model.build(shape.VOCABULARY, device="cuda" if torch.cuda.is_available() else "cpu")
    config = TrainingConfig(
        steps=steps,
        batch_examples=options.batch,
        micro_batch=options.batch,
        checkpoint_every=10**9,
        optimizer=AdamWConfig(learning_rate=shape.LEARNING_RATE),
        precision=options.precision,
        compile=options.compile,
        threads=options.threads,
    )
    clock = Clock(options.warmup, steps - 1)  # the last step is followed by a checkpoint
    options.steps -= 1
    with tempfile.TemporaryDirectory() as folder:
        fit(
            network=network,
            objective=CausalConfig().build(),
            loader=Tokens(steps, options.batch),
            config=config,
            run_folder=Path(folder),
            chain=Chain(Path(folder) / "chain.jsonl"),
            callbacks=[clock],
        )
    shape.report("seedstock", options, clock.seconds, sum(p.numel() for p in network.parameters()))


if __name__ == "__main__":
    main()
