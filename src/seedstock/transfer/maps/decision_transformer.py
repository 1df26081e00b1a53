"""DecisionTransformerModel: a decision transformer, its inputs as they are in the world."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seedstock.transfer.maps import gpt2
from seedstock.transfer.tensors import outward

CLASS, LIBRARY = "DecisionTransformerModel", "transformers"
ACTIVATIONS = {"relu": "relu", "gelu": "gelu_new", "gelu_exact": "gelu"}


def fits(c: Any) -> bool:
    """Whether the class can hold such a network."""
    usual = c.norm == "layer" and c.activation in ACTIVATIONS and c.biases and not c.qk_norm
    return usual and c.kv_heads == c.heads and c.heads * c.head_size == c.width


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``. Of discrete actions the class is handed rows with a one, and gives scores."""
    return {
        "model_type": "decision_transformer",
        "state_dim": c.observation,
        "act_dim": c.action,
        "hidden_size": c.width,
        "max_ep_len": c.longest,
        "action_tanh": objective.config.squash and not c.discrete,
        "vocab_size": 1,
        "bos_token_id": None,
        "eos_token_id": None,
        "n_positions": 1,
        "n_layer": c.layers,
        "n_head": c.heads,
        "n_inner": c.mlp_width,
        "activation_function": ACTIVATIONS[c.activation],
        "resid_pdrop": c.dropout,
        "embd_pdrop": c.dropout,
        "attn_pdrop": 0.0,
        "layer_norm_epsilon": c.norm_epsilon,
        "initializer_range": c.init_std or 0.02,
    }


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """Means, deviations and the scale of returns become part of the first layers. What the class predicts beside
    actions nobody trained: zeros; so are its own positions and the table of tokens, which it does not read."""
    network, doing = nets["network"], nets["doing"].out
    c, config = network.config, objective.config
    own = {name: one.detach() for name, one in network.state_dict().items()}
    first = {
        f"embed_{theirs}.{kind}": own.pop(f"embedding.{ours}.{kind}")
        for ours, theirs in (("returns", "return"), ("observations", "state"), ("actions", "action"))
        for kind in ("weight", "bias")
    }
    scale = torch.inf if config.given == "nothing" else config.scale or 1.0
    first["embed_return.weight"] = first["embed_return.weight"] / scale
    spread = torch.tensor(config.deviation or [1.0] * c.observation)
    first["embed_state.weight"] = first["embed_state.weight"] / spread
    mean = torch.tensor(config.mean or [0.0] * c.observation)
    first["embed_state.bias"] = first["embed_state.bias"] - first["embed_state.weight"] @ mean
    first["embed_timestep.weight"] = own.pop("embedding.steps.weight")
    first |= {f"embed_ln.{kind}": own.pop(f"embedding.norm.{kind}") for kind in ("weight", "bias")}
    stack = outward(own, _rules(c))
    beside = {
        "encoder.wte.weight": torch.zeros(1, c.width),
        "encoder.wpe.weight": torch.zeros(1, c.width),
        "predict_state.weight": torch.zeros(c.observation, c.width),
        "predict_state.bias": torch.zeros(c.observation),
        "predict_return.weight": torch.zeros(1, c.width),
        "predict_return.bias": torch.zeros(1),
        "predict_action.0.weight": doing.weight.detach(),
        "predict_action.0.bias": doing.bias.detach(),
    }
    return first | stack | beside


def _rules(c: Any) -> list[Any]:
    from seedstock.transfer.maps import Rule, by_layer

    named = (Rule(rule.ours, rule.theirs.replace("transformer.", "encoder."), rule.form) for rule in gpt2.RULES)
    return list(by_layer(tuple(rule for rule in named if rule.theirs.startswith("encoder.")), c.layers))


def load(library: Any, folder: Any) -> Any:
    """The class."""
    return library.DecisionTransformerModel.from_pretrained(folder, local_files_only=True)


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """Actions, or their scores, at every step of windows that begin somewhere in an episode; theirs and ours."""
    from seedstock.models.keys import generator

    c, config, draw = nets["network"].config, objective.config, generator("parity")
    spread = torch.tensor(config.deviation or [1.0] * c.observation)
    seen = torch.randn(2, c.steps, c.observation, generator=draw) * spread
    seen = seen + torch.tensor(config.mean or [0.0] * c.observation)
    returns = torch.rand(2, c.steps, generator=draw) * (config.scale or 1.0)
    first = torch.tensor([0, max(0, min(3, c.longest - c.steps))])
    actions = torch.randn(2, c.steps, c.action, generator=draw)
    done = actions.argmax(-1) if c.discrete else actions
    batch = {"observations": seen, "returns": returns, "actions": done, "first": first}
    ours = objective.actions(nets, nets["network"].backbone(**objective.inputs(nets, batch)).hidden)
    found = theirs(
        states=seen,
        actions=torch.nn.functional.one_hot(done, c.action).float() if c.discrete else actions,
        returns_to_go=returns[..., None],
        timesteps=(first[:, None] + torch.arange(c.steps)).clamp(max=c.longest - 1),
    )
    return {"actions": (found.action_preds, ours)}
