"""The network: same weights wherever and in whatever order, no leak between documents, a cache that changes nothing."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import SHAPES, VOCABULARY, lively, packed, small
from torch.nn.attention import SDPBackend, sdpa_kernel

from seedstock.models import attention, products
from seedstock.models.initialise import initialise
from seedstock.models.mask import Mask
from seedstock.models.norms import RMSNorm


@pytest.mark.parametrize("shape", SHAPES)
def test_packed_logits_equal_unpacked_logits(shape):
    network, batch = lively(shape), packed(batch=3, length=40, documents=4)
    with torch.inference_mode():
        whole = network(batch["tokens"], batch["positions"], batch["documents"])
        for row in range(3):
            for number in batch["documents"][row].unique():
                inside = batch["documents"][row] == number
                alone = network(batch["tokens"][row, inside][None])
                torch.testing.assert_close(whole[row, inside], alone[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_past_does_not_see_the_future(shape):
    network, tokens = lively(shape), packed(batch=1)["tokens"]
    changed = tokens.clone()
    changed[:, 20:] = (changed[:, 20:] + 1) % VOCABULARY
    with torch.inference_mode():
        before, after = network(tokens), network(changed)
    torch.testing.assert_close(before[:, :20], after[:, :20], rtol=0, atol=1e-6)
    assert not torch.allclose(before[:, 20:], after[:, 20:], atol=1e-3)


def test_masks_let_see_what_their_pattern_says():
    documents = torch.tensor([[0, 0, 0, 1, 1]])
    prefix = torch.tensor([[True, True, False, True, False]])
    same = documents[:, :, None] == documents[:, None, :]
    before = torch.ones(5, 5, dtype=torch.bool).tril()
    cpu = torch.device("cpu")
    assert torch.equal(Mask("causal", documents).visible(5, 5, cpu), same & before)
    assert torch.equal(Mask("full", documents).visible(5, 5, cpu), same)
    assert torch.equal(Mask("prefix", documents, prefix).visible(5, 5, cpu), same & (before | prefix[:, None, :]))
    assert torch.equal(Mask("causal", documents).visible(2, 5, cpu), (same & before)[:, 3:])
    assert Mask.over(torch.zeros(2, 5)).documents is None
    with pytest.raises(ValueError, match="prefix"):
        Mask("prefix")


@pytest.mark.parametrize("mask", ["causal", "documents", "full", "prefix"])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_attention_back_ends_agree_with_the_formula(mask, groups):
    batch = packed(batch=2, length=24)
    masks = {
        "causal": Mask(),
        "documents": Mask("causal", batch["documents"]),
        "full": Mask("full", batch["documents"]),
        "prefix": Mask("prefix", batch["documents"], torch.rand(2, 24) < 0.5),
    }
    q, k, v = (torch.randn(2, heads, 24, 8, dtype=torch.float64) for heads in (4, groups, groups))
    seen = masks[mask].visible(24, 24, q.device)[:, None]
    scores = q @ k.repeat_interleave(4 // groups, 1).transpose(2, 3) / 8**0.5
    expected = torch.softmax(scores.masked_fill(~seen, -torch.inf), -1) @ v.repeat_interleave(4 // groups, 1)
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.bfloat16, 0.03)):
        sight = attention.prepare(masks[mask], torch.empty(2, 24, 4, dtype=dtype), 24)
        assert sight.backend == ("products" if dtype == torch.bfloat16 else "sdpa")
        found = attention.attend(*(x.to(dtype) for x in (q, k, v)), sight)
        torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_the_layout_of_the_packed_back_end_is_right(groups, monkeypatch):
    """The kernel itself runs on CUDA alone; here each sequence that it is given is computed by the reference."""
    from torch.nn.attention import varlen

    def reference(q, k, v, starts, _starts, longest, _longest, *, window_size, enable_gqa):
        assert window_size == (-1, 0)
        assert starts.dtype == torch.int32 and starts[-1] == len(q) and not len(starts) % 64
        out = torch.full_like(q, torch.nan)
        for low, high in pairwise(starts.tolist()):
            assert high - low <= longest
            part = [x[low:high].transpose(0, 1)[None] for x in (q, k, v)]
            done = F.scaled_dot_product_attention(*part, is_causal=True, enable_gqa=enable_gqa)
            out[low:high] = done[0].transpose(0, 1)
        return out

    monkeypatch.setattr(varlen, "varlen_attn", reference)
    documents = packed(batch=3, length=24)["documents"]
    q, k, v = (torch.randn(3, heads, 24, 8) for heads in (4, groups, groups))
    found = attention.attend(q, k, v, attention.Sight("varlen", starts=attention._starts(documents)))
    sight = attention.prepare(Mask("causal", documents), torch.empty(3, 24, 4), 24)
    torch.testing.assert_close(found, attention.attend(q, k, v, sight))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("packing", [False, True])
def test_half_precision_gradients_of_attention_equal_the_reference(groups, packing, monkeypatch):
    monkeypatch.setattr(products, "_SCORES", 2 * 4 * 24 * 24)  # two examples at a time
    mask = Mask("causal", packed(batch=5, length=24)["documents"] if packing else None)
    shapes = [(5, 24, heads, 8) for heads in (4, groups, groups)]
    q, k, v = (torch.randn(shape, dtype=torch.bfloat16).transpose(1, 2).requires_grad_() for shape in shapes)
    up = torch.randn(5, 4, 24, 8, dtype=torch.bfloat16)
    sight = attention.prepare(mask, torch.empty(5, 24, 4, dtype=torch.bfloat16), 24)
    found = torch.autograd.grad(attention.attend(q, k, v, sight), (q, k, v), up)
    with sdpa_kernel(SDPBackend.MATH):
        wide = [x.detach().double().requires_grad_() for x in (q, k, v)]
        reference = attention.prepare(mask, torch.empty(5, 24, 4, dtype=torch.float64), 24)
        expected = torch.autograd.grad(attention.attend(*wide, reference), wide, up.double())
    for mine, true in zip(found, expected, strict=True):
        assert (mine.double() - true).norm() <= 0.02 * true.norm()


@pytest.mark.parametrize("shape", SHAPES)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=6))
@settings(max_examples=10, deadline=None)
def test_a_cache_changes_nothing(shape, pieces):
    network = lively(shape)
    tokens = packed(batch=2, length=sum(pieces))["tokens"]
    with torch.inference_mode():
        whole = network(tokens)
        cache = network.new_cache(2, sum(pieces))
        parts = [network(part, cache=cache) for part in tokens.split(pieces, 1)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="room"):
        network(tokens[:, :1], cache=cache)


def test_initial_weights_depend_on_seed_and_name_alone():
    network = small().build(VOCABULARY, 7)
    again = small().build(VOCABULARY, 7)
    deeper = small(layers=5).build(VOCABULARY, 7).state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
        if not name.endswith(("output.weight", "down.weight")):  # those are scaled by depth
            assert torch.equal(tensor, deeper[name])
    other = small().build(VOCABULARY, 8).state_dict()
    matrices = [name for name, tensor in network.state_dict().items() if tensor.ndim == 2]
    assert all(not torch.equal(network.state_dict()[name], other[name]) for name in matrices)
    assert len({network.state_dict()[name].flatten()[:4].sum().item() for name in matrices}) == len(matrices)


def test_the_order_of_filling_does_not_matter():
    network = small().build(VOCABULARY, 7)
    turned = torch.nn.Module()
    turned.named_parameters = lambda: reversed(list(network.named_parameters()))  # type: ignore[method-assign]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for parameter in network.parameters():
        parameter.data.zero_()
    initialise(turned, network.roles(), network.config, 7)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_initialisations_are_what_they_say():
    wide = {"width": 128, "mlp_width": 256, "layers": 2}
    scaled = small("gpt2", **wide).build(VOCABULARY).state_dict()
    name = "backbone.blocks.0.attention.output.weight"
    assert scaled[name].std() == pytest.approx(0.02 / 4**0.5, rel=0.05)
    assert scaled["backbone.blocks.0.mlp.up.weight"].std() == pytest.approx(0.02, rel=0.05)
    zero = small("plain", **wide).build(VOCABULARY).state_dict()
    assert not zero[name].any()
    assert not zero["head.weight"].any()
    assert zero["backbone.blocks.0.mlp.up.weight"].std() == pytest.approx(0.5 / 128**0.5, rel=0.05)


def test_names_and_roles_of_parameters_are_stable():
    """Checkpoints, exports and optimizers go by these names."""
    roles = small(layers=1).build(VOCABULARY).roles()
    assert roles == {
        "embedding.tokens.weight": "embedding",
        "backbone.blocks.0.attention_norm.weight": "vector",
        "backbone.blocks.0.attention.query.weight": "column",
        "backbone.blocks.0.attention.key.weight": "column",
        "backbone.blocks.0.attention.value.weight": "column",
        "backbone.blocks.0.attention.output.weight": "row",
        "backbone.blocks.0.attention.query_norm.weight": "vector",
        "backbone.blocks.0.attention.key_norm.weight": "vector",
        "backbone.blocks.0.mlp_norm.weight": "vector",
        "backbone.blocks.0.mlp.gate.weight": "column",
        "backbone.blocks.0.mlp.up.weight": "column",
        "backbone.blocks.0.mlp.down.weight": "row",
        "backbone.norm.weight": "vector",
    }
    gpt2 = small("gpt2", layers=1, tied_embeddings=False).build(VOCABULARY).roles()
    assert gpt2["embedding.positions.weight"] == "embedding"
    assert gpt2["head.weight"] == "head"
    assert gpt2["backbone.blocks.0.mlp.up.bias"] == "vector"


def test_a_network_on_the_meta_device_has_the_same_shapes_and_no_memory():
    real, meta = small().build(VOCABULARY), small().build(VOCABULARY, device="meta")
    assert {n: p.shape for n, p in real.named_parameters()} == {n: p.shape for n, p in meta.named_parameters()}
    assert all(p.is_meta for p in meta.parameters())


@pytest.mark.parametrize("shape", SHAPES)
def test_bf16_stays_near_fp32_and_keeps_fp32_weights(shape):
    network, batch = lively(shape), packed()
    with torch.inference_mode():
        exact = network(batch["tokens"], batch["positions"], batch["documents"])
        near = network.use(torch.bfloat16)(batch["tokens"], batch["positions"], batch["documents"])
    assert near.dtype == torch.float32
    assert (near - exact).norm() <= 0.03 * exact.norm()
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())


def test_layers_are_kept_for_who_asks_and_unknown_inputs_are_refused():
    network, tokens = lively(), packed()["tokens"]
    positions = torch.arange(tokens.shape[1])[None]
    x = network.embed(tokens, positions)
    output = network.backbone(x, positions, Mask(), keep_layers=True)
    assert len(output.layers) == 3
    assert torch.equal(network.backbone.norm(output.layers[-1]), output.hidden)
    with pytest.raises(NotImplementedError, match="cross"):
        network.backbone(x, positions, Mask(), cross=x)


@given(st.sampled_from([(3, 8), (2, 3, 64), (1, 1, 5)]), st.booleans(), st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_the_eager_rms_norm_equals_the_formula(shape, transposed, seed):
    random = torch.Generator().manual_seed(seed)
    layer = RMSNorm(shape[-1], 1e-6)
    x, up = (torch.randn(shape, generator=random) * 3 for _ in range(2))
    if transposed:
        x, up = (value.transpose(0, -2).contiguous().transpose(0, -2) for value in (x, up))
    with torch.no_grad():
        layer.weight.copy_(torch.randn(shape[-1], generator=random))
    x.requires_grad_()
    wide, weight = x.detach().double().requires_grad_(), layer.weight.detach().double().requires_grad_()
    expected = wide / (wide.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight
    torch.testing.assert_close(layer(x).double(), expected, rtol=1e-5, atol=1e-5)
    found = torch.autograd.grad(layer(x), (x, layer.weight), up)
    for mine, true in zip(found, torch.autograd.grad(expected, (wide, weight), up.double()), strict=True):
        assert (mine.double() - true).norm() <= 1e-5 * true.norm() + 1e-5
