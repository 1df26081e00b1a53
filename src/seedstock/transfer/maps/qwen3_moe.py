"""Qwen3MoeForCausalLM: Qwen3's names, and experts one by one, as its files have them."""

from __future__ import annotations

from typing import Any

from seedstock.models.configs.decoder import DecoderConfig
from seedstock.transfer.maps import llama, pairs, qwen3, refuse_unless, rotary

CLASS = "Qwen3MoeForCausalLM"

_MLP, _THEIRS = "backbone.blocks.{n}.mlp.", "model.layers.{n}.mlp."
RULES = (
    *(rule for rule in qwen3.RULES if ".mlp." not in rule.ours[0]),
    *pairs(
        (_MLP + "router.weight", _THEIRS + "gate.weight"),
        (_MLP + "gate", _THEIRS + "experts.{e}.gate_proj.weight"),
        (_MLP + "up", _THEIRS + "experts.{e}.up_proj.weight"),
        (_MLP + "down", _THEIRS + "experts.{e}.down_proj.weight"),
    ),
)


def to_config(c: Any, vocab_size: int) -> dict[str, Any]:
    """``config.json`` of a filled DecoderConfig."""
    config = {**llama.to_config(c, vocab_size), "model_type": "qwen3_moe", "moe_intermediate_size": c.expert_width}
    config |= {"num_experts": c.experts, "num_experts_per_tok": c.experts_per_token, "output_router_logits": False}
    config |= {"norm_topk_prob": c.normalise_router, "router_aux_loss_coef": c.balance, "decoder_sparse_step": 1}
    config |= {"mlp_only_layers": [], "use_sliding_window": c.window is not None, "sliding_window": rotary.sliding(c)}
    return {key: value for key, value in config.items() if key != "mlp_bias"}


def from_config(config: dict[str, Any], where: object) -> DecoderConfig:
    """The inverse. Raises SeedstockError that names what we could not honour."""
    refuse_unless(config, where, decoder_sparse_step=(1,), mlp_only_layers=([], None), attention_bias=(False,))
    return llama.from_config(
        config,
        where,
        "qwen3-moe",
        experts=config.get("num_experts") or config["num_local_experts"],  # version 5 writes the second
        experts_per_token=config["num_experts_per_tok"],
        expert_width=config["moe_intermediate_size"],
        normalise_router=config.get("norm_topk_prob", False),
        balance=config.get("router_aux_loss_coef", 0.001),
        window=rotary.window(config) if config.get("use_sliding_window") else None,
    )
