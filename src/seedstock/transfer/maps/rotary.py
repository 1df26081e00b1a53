"""Rotary positions and sliding windows, as the configurations of Llama's kin have them."""

from __future__ import annotations

from typing import Any

from seedstock.errors import SeedstockError
from seedstock.models.configs.rope_scaling import RopeScaling


def to_config(c: Any) -> dict[str, Any]:
    """``rope_theta``, which was read before version 5 of transformers, and ``rope_parameters``, which is read now."""
    scaling, base = c.rope_scaling, c.rope_base
    found: dict[str, Any] = {"rope_type": "default"}
    if scaling is not None and scaling.kind == "ntk":  # a higher base is all that it is
        base = base * scaling.factor ** (c.head_size / (c.head_size - 2))
    elif scaling is not None:
        found = {"rope_type": scaling.kind, "factor": scaling.factor}
    if scaling is not None and scaling.kind in ("yarn", "llama3"):
        found["original_max_position_embeddings"] = scaling.original
    if scaling is not None and scaling.kind == "yarn":
        found |= {"beta_fast": scaling.turns, "beta_slow": scaling.slow, "attention_factor": scaling.scale}
    if scaling is not None and scaling.kind == "llama3":
        found |= {"high_freq_factor": scaling.turns, "low_freq_factor": scaling.slow}
    return {"rope_theta": base, "rope_parameters": found | {"rope_theta": base}}


def from_config(config: dict[str, Any], where: object) -> tuple[float, RopeScaling | None]:
    """The base, and the scaling if there is one. Raises SeedstockError for kinds that we do not have."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    base = rope.get("rope_theta") or config.get("rope_theta") or 10_000.0
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "default":
        return base, None
    original = rope.get("original_max_position_embeddings")
    if kind == "linear":
        return base, RopeScaling(kind="linear", factor=rope["factor"], original=original)
    if kind == "llama3":
        fast, slow = rope["high_freq_factor"], rope["low_freq_factor"]
        return base, RopeScaling(kind="llama3", factor=rope["factor"], original=original, fast=fast, slow=slow)
    plain = rope.get("truncate", True) and not rope.get("mscale_all_dim") and rope.get("partial_rotary_factor", 1) == 1
    if kind != "yarn" or not plain:
        raise SeedstockError(f"scaled rotary positions ({rope}) are not supported", where=where)
    return base, RopeScaling(
        kind="yarn",
        factor=rope["factor"],
        original=original or config["max_position_embeddings"],
        fast=rope.get("beta_fast") or 32.0,
        slow=rope.get("beta_slow") or 1.0,
        sharpness=rope.get("attention_factor"),
    )


def sliding(c: Any) -> int | None:
    """Their window counts the position itself."""
    return None if c.window is None else c.window + 1


def window(config: dict[str, Any]) -> int | None:
    """The inverse; a window of one position sees itself alone, which we do not have."""
    size = config.get("sliding_window")
    if size is not None and size < 2:
        raise ValueError(f"sliding_window is {size}")
    return None if size is None else size - 1
