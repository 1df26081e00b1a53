"""The recommended layout: it fits, it divides, it cuts no more than it must; and what is said where nothing fits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedstock.errors import RecipeError
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.planning.layout import recommend, require, what_would_fit
from seedstock.planning.memory import ROOM, Use
from seedstock.planning.parameters import Shape
from seedstock.training.configs.parallel import ParallelConfig, check

GIB = 2**30
SMALL = DecoderConfig(width=768, layers=12, heads=12, kv_heads=4, context=1024)
LARGE = DecoderConfig(width=8192, layers=80, heads=64, kv_heads=8, mlp_width=28672, context=4096, tied_embeddings=False)


@settings(max_examples=60, deadline=None)
@given(
    model=st.sampled_from([SMALL, LARGE]),
    devices=st.sampled_from([1, 2, 3, 4, 8, 16, 24, 64, 512]),
    room=st.sampled_from([24, 80, 141]),
    examples=st.sampled_from([8, 64, 1000]),
)
def test_what_is_recommended_fits_and_is_a_layout_that_training_takes(model, devices, room, examples):
    found = recommend(Shape.of(model), 50_000, Use(1), devices=devices, memory_bytes=room * GIB, examples=examples)
    if found is None:
        return
    assert found.devices == devices and found.bytes <= ROOM * room * GIB
    assert found.use.micro_batch * found.use.passes * found.data * found.shard >= examples
    check(ParallelConfig(**found.written()), devices, model=model.resolved(), examples=examples)


def test_copies_where_they_fit_and_parts_where_they_do_not():
    few = recommend(Shape.of(SMALL), 50_000, Use(1), devices=8, memory_bytes=80 * GIB, examples=512)
    assert few is not None and few.written() == {"data": 8}
    many = recommend(Shape.of(LARGE), 50_000, Use(1), devices=64, memory_bytes=80 * GIB, examples=1024)
    assert many is not None and many.shard * many.tensor == 64


def test_too_little_memory_says_what_would_fit():
    shape = Shape.of(LARGE)
    told = what_would_fit(shape, 50_000, Use(1), memory_bytes=80 * GIB, examples=512)
    assert "devices of 80 GiB would do" in told
    with pytest.raises(RecipeError, match="too little memory") as caught:
        require(shape, 50_000, Use(1), memory_bytes=80 * GIB, examples=512)
    assert "devices of 80 GiB would do" in caught.value.fix
    with pytest.raises(RecipeError, match="too little memory") as caught:
        require(Shape.of(SMALL), 50_000, Use(512), memory_bytes=24 * GIB, examples=512)
    assert "training.micro_batch=" in caught.value.fix
    require(Shape.of(SMALL), 50_000, Use(4), memory_bytes=24 * GIB, examples=512)


def test_recomputation_is_named_where_it_is_what_makes_it_fit():
    experts = {"experts": 128, "experts_per_token": 8, "expert_width": 768}
    sizes = {"width": 2048, "layers": 48, "heads": 32, "kv_heads": 4, "head_size": 128, "context": 32768}
    told = what_would_fit(
        Shape.of(DecoderConfig(shape="qwen3-moe", **sizes, **experts)),
        151_936,
        Use(1),
        memory_bytes=80 * GIB,
        examples=512,
    )
    assert "training.recompute=full" in told and "would do" in told
