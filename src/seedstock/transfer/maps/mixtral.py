"""MixtralForCausalLM: Llama's names, and experts one by one, as its files have them."""

from __future__ import annotations

from typing import Any

from seedstock.models.configs.decoder import DecoderConfig
from seedstock.transfer.maps import llama, pairs, refuse_unless, rotary

CLASS = "MixtralForCausalLM"

_MLP, _THEIRS = "backbone.blocks.{n}.mlp.", "model.layers.{n}.block_sparse_moe."
RULES = (
    *(rule for rule in llama.RULES if ".mlp." not in rule.ours[0]),
    *pairs(
        (_MLP + "router.weight", _THEIRS + "gate.weight"),
        (_MLP + "gate", _THEIRS + "experts.{e}.w1.weight"),
        (_MLP + "up", _THEIRS + "experts.{e}.w3.weight"),
        (_MLP + "down", _THEIRS + "experts.{e}.w2.weight"),
    ),
)


def to_config(c: Any, vocab_size: int) -> dict[str, Any]:
    """``config.json`` of a filled DecoderConfig."""
    config = {**llama.to_config(c, vocab_size), "model_type": "mixtral", "intermediate_size": c.expert_width}
    config |= {
        "num_local_experts": c.experts,
        "num_experts_per_tok": c.experts_per_token,
        "output_router_logits": False,
    }
    config |= {"router_aux_loss_coef": c.balance, "router_jitter_noise": 0.0, "sliding_window": rotary.sliding(c)}
    return {key: value for key, value in config.items() if key not in ("mlp_bias", "attention_bias")}


def from_config(config: dict[str, Any], where: object) -> DecoderConfig:
    """The inverse. Raises SeedstockError that names what we could not honour."""
    refuse_unless(config, where, router_jitter_noise=(0.0,))
    return llama.from_config(
        config,
        where,
        "mixtral",
        experts=config["num_local_experts"],
        experts_per_token=config["num_experts_per_tok"],
        expert_width=config["intermediate_size"],
        balance=config.get("router_aux_loss_coef", 0.001),
        window=rotary.window(config),
    )
