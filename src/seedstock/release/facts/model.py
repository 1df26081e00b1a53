"""The tokenizer and the network: what they are, from the recipe and the tokenizer's own report."""

from __future__ import annotations

from typing import Any

from seedstock import kinds
from seedstock.ledger.files import read_json
from seedstock.ledger.ids import sha256_file
from seedstock.release.records import Records

SIZES = ("width", "layers", "heads", "kv_heads", "head_size", "mlp_width", "context")
CHOICES = ("shape", "norm", "position", "rope_base", "activation", "qk_norm", "biases", "tied_embeddings", "dropout")


def tokenizer(records: Records) -> dict[str, Any]:
    """The tokenizer's report, and the digest of ``tokenizer.json``."""
    folder = records.stage("tokenizer")
    return {**read_json(folder / "report.json"), "sha256": sha256_file(folder / "tokenizer.json")}


def architecture(records: Records) -> dict[str, Any]:
    """Sizes, choices, parameters by part and FLOPs a token; the digest of the weights."""
    from seedstock.planning import flops, parameters
    from seedstock.planning.size import resolve

    recipe = records.recipe
    vocab_size = read_json(records.stage("shards") / "index.json")["vocab_size"]
    config = kinds.load("models", recipe["model"].get("kind", "decoder"))(**recipe["model"])
    horizon = _training(recipe["training"])
    config = resolve(config, horizon, vocab_size)[0].resolved()
    shape = parameters.Shape.of(config)
    parts = parameters.parameters(shape, vocab_size)
    weights = records.checkpoint["path"] / "model.safetensors"
    return {
        "kind": recipe["model"].get("kind", "decoder"),
        "vocab_size": vocab_size,
        **{name: getattr(config, name) for name in (*SIZES, *CHOICES)},
        "parameters": sum(parts.values()),
        "parts": parts,
        "flops_a_token": {"training": flops.training(shape, vocab_size), "forward": flops.forward(shape, vocab_size)},
        "weights_sha256": sha256_file(weights) if weights.is_file() else None,
    }


def objective(records: Records) -> dict[str, Any]:
    """The objective's settings, and what it is in a sentence."""
    settings = records.recipe.get("objective") or {}
    kind = settings.get("kind", "causal")
    about = (kinds.load("objectives", kind).__doc__ or "").strip().splitlines()
    return {"kind": kind, "about": about[0] if about else "", "settings": settings}


def _training(values: dict[str, Any]) -> Any:
    """The training part of a recipe, checked; free of torch."""
    from seedstock.training.configs.training import TrainingConfig

    return TrainingConfig(**values)
