"""Attention tile by tile is attention to the whole: what is found, and every gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from seedstock.models import tiles


def drawn(seed: int, dtype: torch.dtype = torch.float32) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Queries, keys and values, in groups; who sees whom: everybody something, and in some tile nothing."""
    generator = torch.Generator().manual_seed(seed)
    sizes = ((2, 4, 12, 8), (2, 2, 12, 8), (2, 2, 12, 8), (2, 4, 12, 8))
    inputs = [torch.randn(size, generator=generator).to(dtype) for size in sizes]
    seen = torch.rand(2, 12, 12, generator=generator) < 0.4
    seen[0, 9, :8] = False
    return inputs, seen | torch.eye(12, dtype=torch.bool)


def whole(inputs: list[torch.Tensor], seen: torch.Tensor) -> tuple[torch.Tensor, ...]:
    q, k, v = (x.double().requires_grad_() for x in inputs[:3])
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None], enable_gqa=True)
    return out.detach(), *torch.autograd.grad(out, (q, k, v), inputs[3].double())


KERNELS = {
    "kernel": (tiles.attend, tiles.gradients),
    "written out": (tiles.written_out, tiles.written_out_gradients),
}


@pytest.mark.parametrize("name", KERNELS)
@given(
    seed=st.integers(0, 2**20), cuts=st.sets(st.integers(1, 11), max_size=3), at_once=st.sampled_from([1, 200, 2**24])
)
@settings(max_examples=15, deadline=None)
def test_tiles_put_together_are_the_whole(name: str, seed: int, cuts: set[int], at_once: int) -> None:
    attend, gradients = KERNELS[name]
    inputs, seen = drawn(seed)
    q, k, v, up = inputs
    columns = [slice(low, high) for low, high in zip([0, *sorted(cuts)], [*sorted(cuts), 12], strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "SCORES", at_once)
        out, weight = torch.zeros(q.shape), torch.full(q.shape[:3], -1e4)  # almost nothing, and not -inf
        for keys in columns:
            tiles.merge(out, weight, *attend(q, k[:, :, keys], v[:, :, keys], seen[:, :, keys]))
        parts = [gradients(up, q, k[:, :, s], v[:, :, s], out, weight, seen[:, :, s]) for s in columns]
    d_q, d_k, d_v = sum(part[0] for part in parts), *(torch.cat([part[n] for part in parts], 2) for n in (1, 2))
    for ours, theirs in zip((out, d_q, d_k, d_v), whole(inputs, seen), strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=3e-6)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(("dtype", "band"), [(torch.float32, 3e-6), (torch.bfloat16, 0.05)])
def test_a_tile_that_looks_back_needs_no_mask(name: str, dtype: torch.dtype, band: float) -> None:
    attend, gradients = KERNELS[name]
    inputs, _ = drawn(7, dtype)
    q, k, v, up = inputs
    out, weight = attend(q, k, v, causal=True)
    found: tuple[Any, ...] = (out, *gradients(up, q, k, v, out, weight, causal=True))
    assert all(one.dtype == dtype for one in found) and weight.dtype == torch.float32
    theirs = whole(inputs, torch.ones(1, 12, 12, dtype=torch.bool).tril())
    for ours, one in zip(found, theirs, strict=True):
        torch.testing.assert_close(ours.double(), one, rtol=0, atol=band)


@pytest.mark.parametrize("name", KERNELS)
def test_who_sees_nothing_finds_nothing_without_weight(name: str) -> None:
    (q, k, v, up), seen = drawn(1)
    out, weight = KERNELS[name][0](q, k[:, :, :8], v[:, :, :8], seen[:, :, :8])
    assert (out[0, :, 9] == 0).all() and (weight[0, :, 9] == -torch.inf).all()
    found = KERNELS[name][1](up, q, k[:, :, :8], v[:, :, :8], out, weight.clamp(min=-1e4), seen[:, :, :8])
    assert (found[0][0, :, 9] == 0).all() and all(one.isfinite().all() for one in found)
