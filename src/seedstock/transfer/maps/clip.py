"""CLIPModel: towers for pictures and texts, and the space that they share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seedstock.transfer.maps import by_layer, vit, with_biases
from seedstock.transfer.tensors import outward

CLASS, LIBRARY, MODEL = "CLIPModel", "transformers", "clip"
ACTIVATIONS = {"gelu_exact": "gelu", "gelu": "gelu_pytorch_tanh", "quick_gelu": "quick_gelu"}

_LAYER = (
    ("attention.query", "self_attn.q_proj"),
    ("attention.key", "self_attn.k_proj"),
    ("attention.value", "self_attn.v_proj"),
    ("attention.output", "self_attn.out_proj"),
    ("attention_norm", "layer_norm1"),
    ("mlp_norm", "layer_norm2"),
    ("mlp.up", "mlp.fc1"),
    ("mlp.down", "mlp.fc2"),
)


def fits(c: Any) -> bool:
    """Whether the class can hold such towers."""
    picture, text = c.picture, c.text
    usual = all(one.norm == "layer" and one.biases and one.position == "learned" and not one.qk_norm for one in c.parts)
    usual = usual and all(one.kv_heads == one.heads and one.activation in ACTIVATIONS for one in c.parts)
    return usual and c.shape == "clip" and picture.shape == "clip" and text.norm_epsilon == picture.norm_epsilon


def sizes(c: Any) -> dict[str, Any]:
    """What the configurations of either tower have."""
    return {
        "hidden_size": c.width,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "intermediate_size": c.mlp_width,
        "hidden_act": ACTIVATIONS[c.activation],
        "layer_norm_eps": c.norm_epsilon,
        "attention_dropout": 0.0,
    }


def towers(c: Any, objective: Any) -> dict[str, Any]:
    """The configurations of both towers."""
    own = objective.spec
    ids = {f"{name}_token_id": own.specials[name] for name in ("bos", "eos", "pad")}
    text = {**sizes(c.text), "vocab_size": own.vocab_size, "max_position_embeddings": c.text.context, **ids}
    picture = {**sizes(c.picture), "image_size": c.picture.image, "patch_size": c.picture.patch}
    return {"text_config": text, "vision_config": picture | {"num_channels": c.picture.channels}}


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``."""
    return {"model_type": "clip", "projection_dim": objective.config.embedding, **towers(c, objective)}


def processor(c: Any) -> dict[str, Any]:
    """``preprocessor_config.json``."""
    return vit.processor(c.picture)


def stack(ours: str, theirs: str, layers: int) -> list[Any]:
    """Rules for the blocks of a tower."""
    named = ((f"{ours}.blocks.{{n}}.{one}", f"{theirs}.encoder.layers.{{n}}.{other}") for one, other in _LAYER)
    return list(by_layer(with_biases(*named), layers))


def text_tower(network: Any) -> dict[str, Tensor]:
    """The text tower's tensors by their names."""
    own = {name: one.detach() for name, one in network.text.state_dict().items()}
    at = "text_model.embeddings."
    found = {
        at + "token_embedding.weight": own.pop("embedding.tokens.weight"),
        at + "position_embedding.weight": own.pop("embedding.positions.weight"),
    }
    last = with_biases(("backbone.norm", "text_model.final_layer_norm"))
    return found | outward(own, [*stack("backbone", "text_model", network.text.config.layers), *last])


def picture_tower(network: Any) -> dict[str, Tensor]:
    """The picture tower's tensors by their names."""
    return tower(network.picture)


def tower(network: Any) -> dict[str, Tensor]:
    """The tensors of a VisionNetwork by the names that they have in a picture tower."""
    c, own = network.config, {name: one.detach() for name, one in network.state_dict().items()}
    weight = own.pop("embedding.patches.weight").reshape(c.width, c.patch, c.patch, c.channels).permute(0, 3, 1, 2)
    at = "vision_model.embeddings."
    found = {at + "patch_embedding.weight": weight.contiguous()}
    found[at + "position_embedding.weight"] = own.pop("embedding.positions.weight")
    for name, theirs in (
        ("embedding.class_token", "class_embedding"),
        ("embedding.patches.bias", "patch_embedding.bias"),
    ):
        if name in own:
            found[at + theirs] = own.pop(name)
    ends = (("embedding.norm", "vision_model.pre_layrnorm"), ("backbone.norm", "vision_model.post_layernorm"))
    return found | outward(own, [*stack("backbone", "vision_model", c.layers), *with_biases(*ends)])


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """Both towers, the projections and the scale."""
    joint = nets["joint"]
    shared = {
        "visual_projection.weight": joint.picture.weight.detach(),
        "text_projection.weight": joint.text.weight.detach(),
        "logit_scale": joint.scale.detach()[0],
    }
    return text_tower(nets["network"]) | picture_tower(nets["network"]) | shared


def load(library: Any, folder: Any) -> Any:
    """The class."""
    return library.CLIPModel.from_pretrained(folder, local_files_only=True)


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """Unit vectors of pictures and captions, and the scaled cosines."""
    network, joint, specials = nets["network"], nets["joint"], objective.spec.specials
    images, length = vit.pixels(network.picture.config), network.text.config.context
    tokens = torch.full((3, length), specials["pad"])
    for row, words in enumerate((2, length // 2, length - 2)):
        tokens[row, 0], tokens[row, words + 1] = specials["bos"], specials["eos"]
        tokens[row, 1 : words + 1] = torch.arange(words) * 7 % (objective.spec.vocab_size - 64) + 64
    pictures, texts = objective.features(nets, {"image": images}), objective.described(nets, tokens)
    logits = pictures @ texts.T * joint.scale.exp()
    if joint.bias is not None:
        logits = logits + joint.bias
    found = theirs(input_ids=tokens, pixel_values=images.permute(0, 3, 1, 2), attention_mask=torch.ones_like(tokens))
    return {
        "pictures": (found.image_embeds, pictures),
        "texts": (found.text_embeds, texts),
        "cosines": (found.logits_per_image, logits),
    }
