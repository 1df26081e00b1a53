"""Encoder-decoders small enough for tests, and batches of real text for their objectives."""

from __future__ import annotations

import torch
from real_windows import batch, spec, trained

from seedstock.models.configs.encoder_decoder import EncoderDecoderConfig

CONTEXT = 48


def small(shape="t5", **changes):
    sizes = {"width": 48, "layers": 2, "heads": 3, "context": CONTEXT, "mlp_width": 96}
    return EncoderDecoderConfig(shape=shape, **{**sizes, **changes})


def made(config, shape="t5", rows=16, context=CONTEXT, kind="bpe", seed=0):
    """(tokenizer, model, objective, stored windows, the batch that the objective makes of them)."""
    tokenizer, shards = trained(kind, tuple(name for name in config.specials() if name != "mask"))
    model = small(shape, context=context).filled()
    objective = config.build(spec(tokenizer, context, model))
    window = objective.window(context)
    items, keys = batch(shards, objective.raw_length(window), rows, seed)
    return tokenizer, model, objective, items, objective.prepare(items, keys) | {"examples": items["examples"]}


def tensors(prepared):
    return {name: torch.from_numpy(array) for name, array in prepared.items()}


def run(network, objective, given):
    """Loss a term, metrics, and the last hidden states."""
    from seedstock.objectives.base import assemble

    nets = assemble(network, objective)
    output = network.backbone(**objective.inputs(nets, given))
    sums, metrics = objective.loss(nets, output, given)
    return sums[objective.name] / objective.counts(given)[objective.name], metrics, output.hidden
