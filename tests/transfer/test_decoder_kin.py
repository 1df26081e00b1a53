"""Experts, windows and scaled positions: what transformers loads computes what we do, at published sizes as well."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent.parent / "models"))
from small_networks import VOCABULARY, lively, small

from seedstock.errors import SeedstockError
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.planning.parameters import Shape, active, total
from seedstock.transfer.export import export
from seedstock.transfer.importing import import_model
from seedstock.transfer.maps import by_layer, find, rotary
from seedstock.transfer.tensors import outward


def _scaled(kind, **more):
    return {"rope_scaling": {"kind": kind, "factor": 4, "original": 12, **more}}


CASES = [
    ("mixtral", {}),
    ("mixtral", {"window": 5, "experts": 4, "experts_per_token": 1}),
    ("qwen3-moe", {}),
    ("qwen3-moe", {"experts_per_token": 3, "expert_width": 24, "normalise_router": False, "window": 5}),
    ("llama", {"window": 7}),
    ("qwen3", {"window": 7}),
    ("qwen3", {"window": 7, "global_every": 2}),
    ("llama", _scaled("linear")),
    ("llama", _scaled("llama3")),
    ("llama", _scaled("yarn")),
    ("llama", _scaled("ntk")),
    ("qwen3", _scaled("yarn", fast=4.0, slow=0.5, sharpness=1.2)),
]


@pytest.mark.parametrize(("shape", "changes"), CASES, ids=[f"{shape}-{'-'.join(c)}" for shape, c in CASES])
def test_export_and_import_keep_the_function(shape, changes, tmp_path):
    network = lively(shape, **changes)
    report = export(network, None, tmp_path / "out")
    assert report["passed"] and report["class"] == network.config.export_class
    assert max(found["largest_difference"] for found in report["logits"].values()) < 1e-5
    back = import_model(tmp_path / "out")
    assert back.report["passed"]
    ours, theirs = network.state_dict(), back.network.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert rotary.to_config(back.config.filled()) == rotary.to_config(network.config)


@pytest.mark.parametrize("shape", ["mixtral", "qwen3-moe"])
def test_what_transformers_wrote_is_read(shape, tmp_path):
    import transformers

    config = find(small(shape).export_class).to_config(small(shape).filled(), VOCABULARY)
    theirs = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(**config))
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(0, 0.2)
    theirs.save_pretrained(tmp_path)
    assert import_model(tmp_path).report["passed"]


def test_layers_in_an_order_that_we_do_not_have_are_refused():
    config = find("Qwen3ForCausalLM").to_config(small("qwen3", window=4, global_every=3).filled(), VOCABULARY)
    config["layer_types"] = ["full_attention", "sliding_attention", "sliding_attention"]
    with pytest.raises(SeedstockError, match="even distances"):
        find("Qwen3ForCausalLM").from_config(config, "here")


@pytest.mark.parametrize(
    "changes",
    [{"shared_expert": 32}, {"balance_rate": 1e-3}, {"normalise_router": False}, {"global_every": 2, "window": 4}],
)
def test_mixtures_that_no_class_computes_say_so(changes):
    assert small("mixtral", **changes).export_class is None


PUBLISHED = {
    "mixtral 8x7b": (
        {"shape": "mixtral", "width": 4096, "layers": 32, "heads": 32, "kv_heads": 8, "mlp_width": 14336}
        | {"context": 32768, "rope_base": 1e6},
        32000,
        46_702_792_704,
        12_879_925_248,
    ),
    "qwen3 30b-a3b": (
        {"shape": "qwen3-moe", "width": 2048, "layers": 48, "heads": 32, "kv_heads": 4, "head_size": 128}
        | {"mlp_width": 6144, "experts": 128, "experts_per_token": 8, "expert_width": 768, "context": 40960}
        | {"rope_base": 1e6},
        151936,
        30_532_122_624,
        3_353_032_704,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_have_the_names_and_shapes_of_their_class(name):
    import transformers

    sizes, vocab_size, count, a_token = PUBLISHED[name]
    config = DecoderConfig(**sizes)
    network = config.build(vocab_size, device="meta")
    shape = Shape.of(config)
    assert sum(p.numel() for p in network.parameters()) == total(shape, vocab_size) == count
    assert sum(active(shape, vocab_size).values()) == a_token
    target = find(config.export_class)
    given = transformers.AutoConfig.for_model(**target.to_config(network.config, vocab_size))
    with torch.device("meta"):
        theirs = getattr(transformers, target.CLASS)(given)
    assert sum(p.numel() for p in theirs.parameters()) == count
    exported = outward(dict(network.state_dict()), by_layer(target.RULES, config.layers))
    assert _fused(exported) == {key: tuple(value.shape) for key, value in theirs.state_dict().items()}


def _fused(tensors):
    """Shapes by name, experts put together as the class holds them once it has loaded such a file."""
    found, experts = {}, {}
    for name, tensor in tensors.items():
        name = name.replace(".block_sparse_moe.", ".mlp.")
        before, parted, after = name.partition(".experts.")
        if not parted:
            found[name] = tuple(tensor.shape)
            continue
        kind = "down_proj" if after.split(".", 1)[1] in ("w2.weight", "down_proj.weight") else "gate_up_proj"
        experts.setdefault(f"{before}.experts.{kind}", []).append(tuple(tensor.shape))
    for name, shapes in experts.items():
        (rows, columns), many = shapes[0], len(shapes)
        assert set(shapes) == {(rows, columns)}
        found[name] = (many, rows, columns) if name.endswith("down_proj") else (many // 2, 2 * rows, columns)
    return found
