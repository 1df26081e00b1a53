"""Counts, work and memory of every kind and shape of model: against the real networks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from seedstock import kinds
from seedstock.planning import flops
from seedstock.planning.hardware import DEVICES
from seedstock.planning.memory import Use, memory
from seedstock.planning.parameters import Shape, active, parameters, total
from seedstock.planning.plan import plan
from seedstock.planning.size import resolve
from seedstock.training.configs.training import TrainingConfig

OTHERS = ("vision", "towers", "audio", "speech", "autoencoder", "trajectory", "codec")
KINDS = {kind: kinds.load("models", kind) for kind in kinds.TABLE["models"] if kind not in OTHERS}
"""Networks over tokens; those over pictures are in test_vision."""
SHAPES = [(kind, shape) for kind, config in KINDS.items() for shape in config.PRESETS]
SIZES = {"width": 64, "layers": 3, "heads": 4, "context": 32}
EXTRA = {"modernbert": {"window": 4}}


def small(kind, shape, **changes):
    return KINDS[kind](shape=shape, **{**SIZES, **EXTRA.get(shape, {}), **changes})


def passed(network, tokens):
    """Logits of a pass in which a source, where there is one, is as long as the target."""
    return network(tokens, **({"source": network.read(tokens)} if network.config.cross else {}))


@st.composite
def configurations(draw):
    """Any kind and shape with any sizes and choices that fit together."""
    kind, shape = draw(st.sampled_from(SHAPES))
    heads = draw(st.sampled_from([2, 4]))
    values = {"width": 32 * draw(st.integers(1, 3)), "heads": heads, "layers": draw(st.integers(1, 4))}
    values |= {"context": draw(st.sampled_from([16, 48])), "mlp_width": 64 * draw(st.integers(1, 3))}
    choices = {"tied_embeddings": st.booleans(), "biases": st.booleans(), "head_size": st.sampled_from([8, 32])}
    if kind == "decoder":
        choices |= {"kv_heads": st.sampled_from([1, heads]), "experts": st.sampled_from([2, 4])}
        choices |= {"shared_expert": st.sampled_from([0, 32]), "convolution": st.sampled_from([0, 2])}
    if kind == "encoder":
        choices |= {"token_types": st.sampled_from([0, 2]), "embedding_norm": st.booleans(), "post_norm": st.booleans()}
        choices |= {"norm": st.sampled_from(["layer", "layer_no_bias", "rms"]), "qk_norm": st.booleans()}
    if kind == "encoder-decoder":
        choices |= {"decoder_layers": st.integers(1, 5), "qk_norm": st.booleans(), "embedding_norm": st.booleans()}
        choices |= {"activation": st.sampled_from(["relu", "geglu"])}
    for name in draw(st.sets(st.sampled_from(sorted(choices)))):
        values[name] = draw(choices[name])
    try:
        return KINDS[kind](shape=shape, **values)
    except ValueError:
        return small(kind, shape)


@given(configurations())
@settings(max_examples=80, deadline=None)
def test_counts_equal_the_real_network(config):
    network, shape = config.build(320, device="meta"), Shape.of(config)
    roles, found = network.roles(), parameters(shape, 320)
    by_role: dict[str, int] = {}
    for name, parameter in network.named_parameters():
        by_role[roles[name]] = by_role.get(roles[name], 0) + parameter.numel()
    assert sum(found.values()) == total(shape, 320) == sum(by_role.values())
    assert found["embedding"] + found["positions"] == by_role["embedding"]
    assert found["vectors"] == by_role["vector"]
    matrices = sum(by_role.get(role, 0) for role in ("column", "row", "router", "head"))
    assert found["attention"] + found["mlp"] + found["head"] == matrices
    assert sum(active(shape, 320).values()) <= total(shape, 320)


@pytest.mark.parametrize("kind, shape", SHAPES)
def test_flops_equal_what_torch_counts(kind, shape):
    config = small(kind, shape, **({"window": 32} if shape == "modernbert" else {}))
    network, tokens = config.build(320).use(torch.bfloat16), torch.zeros(2, 32, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        passed(network, tokens).sum().backward()
    expected = flops.training(Shape.of(config), 320) * tokens.numel()
    assert counter.get_total_flops() == pytest.approx(expected, rel=1e-6)


def test_what_the_conventions_leave_open_is_counted_when_given():
    shape = Shape.of(small("encoder-decoder", "t5"))
    whole = flops.forward(shape, 320, 32)
    head = 2.0 * 64 * 320
    assert flops.forward(shape, 320, 32, targets=0.25) == pytest.approx(whole - 0.75 * head)
    assert flops.forward(shape, 320, 32, source=16) < whole < flops.forward(shape, 320, 32, source=64)
    encoder = Shape.of(small("encoder", "esm2"))
    assert flops.forward(encoder, 320, targets=0) == pytest.approx(flops.forward(encoder, 320) - head - 2 * 64 * 64)
    near, far = (Shape.of(small("encoder", "modernbert", window=window)) for window in (2, 31))
    assert flops.forward(near, 320) < flops.forward(far, 320)


@pytest.mark.parametrize("kind, shape", [(kind, shape) for kind, shape in SHAPES if kind != "decoder"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_activations_are_about_what_autograd_keeps(kind, shape, dtype):
    config = small(kind, shape, width=128, layers=4, context=64)
    network, tokens, kept = config.build(512).use(dtype), torch.zeros(8, 64, dtype=torch.long), {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = passed(network, tokens)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())
    found = sum(size for place, size in kept.items() if place not in weights)
    use = Use(8, precision="fp32" if dtype == torch.float32 else "bf16", device="cpu")
    parts, logits = memory(Shape.of(config), 512, use), tokens.numel() * 512 * (4 + use.number)
    expected = parts["activations"] + logits + parts["copies"]
    assert loss.requires_grad and 0.7 < expected / found < 1.5


@pytest.mark.parametrize("kind, shape", SHAPES)
@pytest.mark.parametrize("size, vocabulary", [("2M", 1024), ("110M", 30_528), ("770M", 32_128)])
def test_the_dial_reaches_any_kind_within_five_per_cent(kind, shape, size, vocabulary):
    model = KINDS[kind](shape=shape, size=size, context=512)
    found, _, derived = resolve(model, TrainingConfig(steps=10), vocabulary)
    count = sum(parameter.numel() for parameter in found.build(vocabulary, device="meta").parameters())
    assert abs(count / model.size - 1) <= 0.05
    assert found.export_class == model.export_class and derived
    assert resolve(found, TrainingConfig(steps=10), vocabulary)[0] == found


@pytest.mark.parametrize("kind, shape", SHAPES)
def test_every_kind_is_planned(kind, shape):
    tokenizer = SimpleNamespace(kind="bpe", vocab_size=8192)
    recipe = SimpleNamespace(
        model=KINDS[kind](shape=shape, size="8M", context=256),
        training=TrainingConfig(steps=40),
        tokenizer=tokenizer,
        input=SimpleNamespace(tokenized=True),
    )
    found = plan(recipe, hardware=DEVICES["h100"])
    assert abs(sum(found.parameters.values()) / 8e6 - 1) < 0.05
    assert found.flops_a_token > 6 * (found.parameters["attention"] + found.parameters["mlp"]) * 0.3
    assert dict(found.rows())["parameters"].startswith(f"{sum(found.parameters.values()):,} (embedding")


def test_work_is_measured_with_the_source_that_was_read():

    import numpy as np

    from seedstock.models.backbone import Source
    from seedstock.models.mask import Mask
    from seedstock.training import measure
    from seedstock.training.gradients import accumulate

    network = small("encoder-decoder", "t5").build(320)
    nets = torch.nn.ModuleDict({"network": network})
    places, rows = torch.arange(24)[None], torch.zeros(2, 24, dtype=torch.long)

    def inputs(nets, batch):
        source = Source(network.embed_source(rows, places), places, Mask("full"))
        x = network.embed(rows[:, :8], places[:, :8])
        return {"x": x, "positions": places[:, :8], "attention": Mask(), "cross": source}

    objective = SimpleNamespace(
        coupling="none",
        corrupt=lambda batch, keys: batch,
        counts=lambda batch: {"loss": torch.tensor(16)},
        inputs=inputs,
        loss=lambda nets, output, batch: ({"loss": output.hidden.sum()}, {}),
    )
    step = accumulate(nets, objective, {"examples": torch.arange(2)}, np.arange(2), size=2, seed=1)
    assert step.positions == 16 and step.passes == ((2, 8, 24),)
    found = measure.flops_a_token(network, 8, 24)
    assert found == flops.training(Shape.of(network.config), 320, 8, source=24) > measure.flops_a_token(network, 8)
