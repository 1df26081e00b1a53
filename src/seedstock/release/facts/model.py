"""The tokenizer and the network: what they are, from the recipe and the tokenizer's own report."""

from __future__ import annotations

from typing import Any

from seedstock import kinds
from seedstock.ledger.files import read_json
from seedstock.ledger.ids import sha256_file
from seedstock.release.records import Records

SIZES = ("width", "layers", "decoder_layers", "heads", "kv_heads", "head_size", "mlp_width", "context")
CHOICES = (
    *("shape", "norm", "post_norm", "embedding_norm", "position", "rope_base", "rope_scaling", "buckets", "longest"),
    *("window", "global_every", "activation", "experts", "experts_per_token", "expert_width", "shared_expert"),
    *("convolution", "qk_norm", "biases", "token_types", "tied_embeddings", "start", "dropout"),
)
"""Those of them that a kind of model has are on record."""


def input_of(records: Records) -> dict[str, Any]:
    """What examples are made of: kind, modality, and what its items are called."""
    settings = records.recipe.get("input") or {"kind": "tokens"}
    config = kinds.load("inputs", settings["kind"])(**settings)
    return {"kind": config.kind, "modality": config.modality, "unit": config.unit, "tokenized": config.tokenized}


def tokenizer(records: Records) -> dict[str, Any] | None:
    """The tokenizer's report, and the digest of ``tokenizer.json``; None where there is none."""
    if not input_of(records)["tokenized"]:
        return None
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
        **(_choices(config, shape) if not getattr(config, "parts", ()) else _towers(config)),
        "class": _class(records, config),
        "parameters": sum(parts.values()),
        "parts": parts,
        "active": sum(parameters.active(shape, vocab_size).values()),
        "flops_a_token": {"training": flops.training(shape, vocab_size), "forward": flops.forward(shape, vocab_size)},
        "weights_sha256": sha256_file(weights) if weights.is_file() else None,
    }


def _choices(config: Any, shape: Any) -> dict[str, Any]:
    values = config.model_dump(mode="json")
    if shape is not None and shape.cross:
        values["decoder_layers"] = shape.depth
    return {name: values[name] for name in (*SIZES, *CHOICES) if name in values}


def _towers(config: Any) -> dict[str, Any]:
    """Of networks side by side, sizes and choices of each."""
    named = {name: getattr(config, name) for name in ("picture", "text")}
    towers = {name: _choices(one, None) for name, one in named.items()}
    return {"shape": config.shape, "context": config.context, "towers": towers}


def _class(records: Records, config: Any) -> str | None:
    """The class of ``transformers`` that the network is exported to, with what it was trained for."""
    settings = records.recipe.get("objective") or {}
    return kinds.load("objectives", settings.get("kind", "causal"))(**settings).export_class(config)


def objective(records: Records) -> dict[str, Any]:
    """The objective's settings, and what it is in a sentence."""
    settings = records.recipe.get("objective") or {}
    kind = settings.get("kind", "causal")
    config = kinds.load("objectives", kind)
    about = (config.__doc__ or "").strip().splitlines()
    found = {"kind": kind, "about": about[0] if about else "", "settings": settings}
    return {**found, "second_stage": bool(getattr(config, "second_stage", False))}


def _training(values: dict[str, Any]) -> Any:
    """The training part of a recipe, checked; free of torch."""
    from seedstock.training.configs.training import TrainingConfig

    return TrainingConfig(**values)
