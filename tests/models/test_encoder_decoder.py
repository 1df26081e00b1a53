"""Encoder-decoders: packed documents stay apart on both sides, caches change nothing, text is written for a source."""

from __future__ import annotations

import math

import pytest
import torch

from seedstock.errors import RecipeError, SeedstockError
from seedstock.models.backbone import Source
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.encoder_decoder import EncoderDecoderConfig
from seedstock.models.generate import generate
from seedstock.models.keys import generator
from seedstock.models.mask import Mask

VOCABULARY = 96
SHAPES = {"t5": {}, "t5 1.0": {"activation": "relu", "tied_embeddings": True}, "bart": {}}
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def small(shape, **changes):
    sizes = {"width": 32, "layers": 2, "decoder_layers": 3, "heads": 2, "context": 24, "mlp_width": 64}
    return EncoderDecoderConfig(shape=shape.split()[0], **{**sizes, **SHAPES[shape], **changes})


def lively(shape, **changes):
    """A network in which every part matters to the logits."""
    network = small(shape, **changes).build(VOCABULARY).eval()
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=generator("lively", str(number))) * 0.15)
    return network


def tokens(*shape, seed=1):
    return torch.randint(0, VOCABULARY, shape, generator=generator("tokens", seed))


def two_documents(*lengths):
    """Which document, and positions that restart, of documents laid end to end; 2 positions of padding after them."""
    numbers = torch.cat(
        [torch.full((length,), number) for number, length in enumerate(lengths)] + [torch.full((2,), -1)]
    )
    positions = torch.cat([torch.arange(length) for length in (*lengths, 2)])
    return numbers[None], positions[None]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_documents_read_and_write_as_they_would_alone(shape, dtype):
    network = lively(shape).use(dtype)
    source, target = tokens(1, 17), tokens(1, 12, seed=2)
    source_documents, source_positions = two_documents(6, 9)
    documents, positions = two_documents(7, 3)
    packed = network(target, positions, documents, source=network.read(source, source_documents, source_positions))
    for own, read in ((slice(0, 7), slice(0, 6)), (slice(7, 10), slice(6, 15))):
        alone = network(target[:, own], source=network.read(source[:, read]))
        close = CLOSE if dtype == torch.float32 else {"rtol": 0.1, "atol": 0.15}
        torch.testing.assert_close(packed[:, own], alone, **close)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_target_without_a_source_is_no_danger(dtype):
    network = lively("bart").use(dtype)
    source, target = tokens(1, 5), tokens(1, 12, seed=2)
    documents, positions = two_documents(7, 3)  # the source has no part of document 1, and no padding
    logits = network(target, positions, documents, source=network.read(source, torch.zeros(1, 5).long()))
    logits.square().sum().backward()
    assert logits.isfinite().all() and all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
    other = network(target, positions, documents, source=network.read(tokens(1, 5, seed=9), torch.zeros(1, 5).long()))
    assert torch.equal(logits[:, 7:], other[:, 7:]) and not torch.allclose(logits[:, :7], other[:, :7])


@pytest.mark.parametrize("shape", SHAPES)
def test_the_target_sees_the_whole_source_and_its_own_past(shape):
    network = lively(shape)
    source, target = tokens(1, 10), tokens(1, 8, seed=2)
    before = network(target, source=network.read(source))
    later, last = target.clone(), source.clone()
    later[0, 5] = (later[0, 5] + 1) % VOCABULARY
    last[0, -1] = (last[0, -1] + 1) % VOCABULARY
    changed = network(later, source=network.read(source))
    torch.testing.assert_close(changed[:, :5], before[:, :5], **CLOSE)
    assert not torch.allclose(changed[:, 5:], before[:, 5:])
    assert not torch.allclose(network(target, source=network.read(last))[:, 0], before[:, 0])


@pytest.mark.parametrize("shape", SHAPES)
@torch.inference_mode()
def test_a_cache_changes_nothing(shape):
    network = lively(shape)
    source, target = network.read(tokens(1, 10)), tokens(1, 12, seed=2)
    cache, parts = network.new_cache(1, 12), []
    for number, piece in enumerate(target.split([5, 1, 1, 5], 1)):
        parts.append(network(piece, cache=cache, source=source if number == 0 else None))
    torch.testing.assert_close(torch.cat(parts, 1), network(target, source=source), **CLOSE)


@pytest.mark.parametrize("shape", SHAPES)
def test_greedy_text_equals_the_likeliest_token_of_a_full_pass(shape):
    network, source, written = lively(shape), list(range(9)), [1]
    for token in generate(network, [1], 10, source=source, temperature=0):
        with torch.inference_mode():
            logits = network(torch.tensor([written]), source=network.read(torch.tensor([source])))
        assert token == int(logits[0, -1].argmax())
        written.append(token)
    assert len(generate(network, [1], 30, source=source, seed=2)) == 30  # past the context
    assert generate(network, [1], 9, source=source, seed=2) == generate(network, [1], 9, source=source, seed=2)


@pytest.mark.parametrize(
    "source, words", [(None, "none was given"), ([], "source is empty"), ([1] * 25, "context is 24")]
)
def test_what_cannot_be_read_is_refused(source, words):
    with pytest.raises(SeedstockError, match=words):
        generate(lively("t5"), [1], 3, source=source)


def test_a_decoder_reads_no_source():
    network = DecoderConfig(width=32, layers=1, heads=2, context=8).build(VOCABULARY)
    with pytest.raises(SeedstockError, match="reads no source"):
        generate(network, [1], 3, source=[1])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_split_of_the_batch_drops_the_same_and_both_sides_drop_their_own(shape):
    network = lively(shape, dropout=0.3).train()
    source, target, examples = tokens(4, 10), tokens(4, 10, seed=2), torch.arange(40, 44)

    def hidden(rows):
        at = torch.arange(10)[None]
        reads = network.embed_source(source[rows], at, examples[rows])
        cross = Source(reads, at, Mask("full"))
        x = network.embed(target[rows], at, examples[rows])
        return network.backbone(x, at, Mask("causal"), cross, examples=examples[rows]).hidden

    torch.testing.assert_close(hidden(slice(None)), torch.cat([hidden(slice(0, 1)), hidden(slice(1, 4))]), **CLOSE)
    keys = [int(module.key) for module in network.modules() if type(module).__name__ == "Dropout"]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_starts_where_every_token_is_as_likely(shape):
    network = small(shape, width=128, head_size=16, mlp_width=256).build(512)
    logits = network(tokens(4, 16), source=network.read(tokens(4, 20, seed=2)))
    nats = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens(64, seed=3))
    assert nats.item() == pytest.approx(math.log(512), rel=0.03)
    assert network.roles().keys() == dict(network.named_parameters()).keys()


def test_every_parameter_learns():
    for shape in SHAPES:
        network = lively(shape)
        network(tokens(2, 8), source=network.read(tokens(2, 20, seed=2))).square().sum().backward()
        still = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert not still


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"shape": "bart", "buckets": 32}, "no meaning with learned"),
        ({"buckets": 30}, "multiple of 4"),
        ({"rope_base": 10_000.0}, "rope_base"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, words):
    with pytest.raises((ValueError, RecipeError), match=words):
        EncoderDecoderConfig(**{"width": 32, "layers": 1, "heads": 2, **changes})
