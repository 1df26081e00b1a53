"""A class of transformers in a plain loop learns what we learn: same weights, batches and optimizer, same losses."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent.parent / "objectives"))
import real_windows

from seedstock.inputs.keys import Keys
from seedstock.models.configs.encoder import EncoderConfig
from seedstock.models.configs.encoder_decoder import EncoderDecoderConfig
from seedstock.objectives.base import assemble
from seedstock.objectives.configs.denoising import DenoisingConfig
from seedstock.objectives.configs.masked import MaskedConfig
from seedstock.objectives.configs.span_corruption import SpanCorruptionConfig, Ul2Config
from seedstock.training import batches
from seedstock.training.gradients import accumulate
from seedstock.transfer.export import export

SIZES = {"width": 32, "layers": 2, "heads": 2, "context": 48, "init_std": 0.1}
CASES = {
    "bert": (MaskedConfig(next_sentence=True), EncoderConfig(shape="bert", **SIZES)),
    "modernbert": (
        MaskedConfig(rate=0.3, masked=1.0, random=0.0),
        EncoderConfig(shape="modernbert", window=8, global_every=2, **SIZES),
    ),
    "t5": (SpanCorruptionConfig(), EncoderDecoderConfig(shape="t5", **SIZES)),
    "t5-tied": (
        SpanCorruptionConfig(),
        EncoderDecoderConfig(shape="t5", activation="relu", tied_embeddings=True, **SIZES),
    ),
    "ul2": (Ul2Config(), EncoderDecoderConfig(shape="t5", **SIZES)),
    "bart": (DenoisingConfig(), EncoderDecoderConfig(shape="bart", **SIZES)),
}
STEPS, BATCH = 20, 8


def given(batch):
    """What ``forward`` of the class of transformers is called with."""
    labels = batch["targets"].masked_fill(batch["targets"] < 0, -100)
    if "source" in batch:
        seen = (batch["source_documents"] >= 0).long()
        return {
            "input_ids": batch["source"],
            "attention_mask": seen,
            "decoder_input_ids": batch["tokens"],
            "labels": labels,
        }
    found = {"input_ids": batch["given"], "attention_mask": (batch["documents"] >= 0).long(), "labels": labels}
    if "types" in batch:
        pairs = batch["random_next"].masked_fill(batch["random_next"] < 0, -100)
        found |= {"token_type_ids": batch["types"], "next_sentence_label": pairs}
    return found


def whole(items):
    """Every window as one document: the classes know no others."""
    places = np.broadcast_to(np.arange(items["tokens"].shape[1]), items["tokens"].shape)
    return {**items, "documents": items["documents"].clip(max=0), "positions": places.copy()}


@pytest.mark.parametrize("name", CASES)
def test_losses_are_those_of_transformers_step_by_step(name, tmp_path):
    import transformers

    torch.set_num_threads(1)
    config, model = CASES[name]
    tokenizer, shards = real_windows.trained("bytes", config.specials())
    spec = real_windows.spec(tokenizer, 48, model.resolved())
    objective = config.build(spec)
    nets = assemble(model.build(tokenizer.vocab_size), objective)
    assert export(nets["network"], None, tmp_path / "out", nets=dict(nets.items()))["passed"]
    kind = getattr(transformers, transformers.AutoConfig.from_pretrained(tmp_path / "out").architectures[0])
    theirs = kind.from_pretrained(tmp_path / "out", attn_implementation="eager").eval()  # no dropout
    optimizers = [torch.optim.AdamW(one.parameters(), lr=2e-3, weight_decay=0.0) for one in (nets, theirs)]
    length, course = objective.raw_length(objective.window(48)), []
    for step in range(STEPS):
        items, _ = real_windows.batch(shards, length, BATCH, seed=step)
        if objective.partners:
            other, _ = real_windows.batch(shards, length, BATCH, seed=1000 + step)
            items |= {f"partner_{key}": other[key][:, None] for key in ("tokens", "documents")}
        keys = Keys(1, items["examples"] + step * BATCH)
        made = {**objective.prepare(whole(items), keys), "examples": items["examples"] + step * BATCH}
        made = batches.tensors(made, torch.device("cpu"))
        ours = accumulate(nets, objective, made, made["examples"].numpy(), size=BATCH, seed=1)
        loss = theirs(**given(objective.corrupt(made, keys))).loss
        loss.backward()
        course.append((float(ours.loss), float(loss.detach())))
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    mine, other = torch.tensor(course).T
    torch.testing.assert_close(mine, other, rtol=1e-3, atol=0)
    assert mine[-1] < mine[0] - 0.2, "nothing was learnt, so that nothing was compared"
