"""VideoMAEForPreTraining: a masked autoencoder over clips with its decoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seedstock.models.keys import generator
from seedstock.transfer.maps import Rule, by_layer, vit, with_biases
from seedstock.transfer.tensors import outward

CLASS, LIBRARY = "VideoMAEForPreTraining", "transformers"

_LAYER = (
    ("attention.query", "attention.attention.query"),
    ("attention.key", "attention.attention.key"),
    ("attention.value", "attention.attention.value"),
    ("attention.output", "attention.output.dense"),
    ("attention_norm", "layernorm_before"),
    ("mlp_norm", "layernorm_after"),
    ("mlp.up", "intermediate.dense"),
    ("mlp.down", "output.dense"),
)


def fits(c: Any) -> bool:
    """Whether the class can hold such a network: the norm after its decoder has the epsilon 1e-5."""
    return vit.plain(c) and not c.class_token and c.shape == "videomae" and c.head_size * c.heads == c.width


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``."""
    own, sizes = objective.config, vit.sizes(c)
    del sizes["qkv_bias"]
    return {
        "model_type": "videomae",
        **sizes,
        "qv_bias": True,
        "num_frames": c.frames,
        "tubelet_size": c.tubelet,
        "use_mean_pooling": False,
        "decoder_num_attention_heads": own.decoder_heads,
        "decoder_hidden_size": own.decoder_width,
        "decoder_num_hidden_layers": own.decoder_layers,
        "decoder_intermediate_size": 4 * own.decoder_width,
        "norm_pix_loss": own.normalise,
    }


def processor(c: Any) -> dict[str, Any]:
    """``preprocessor_config.json``: frames as pictures are, whole."""
    return vit.processor(c) | {"image_processor_type": "VideoMAEImageProcessor", "do_center_crop": False}


def _stack(ours: str, theirs: str, layers: int) -> list[Rule]:
    named = ((f"{ours}.blocks.{{n}}.{one}", f"{theirs}.{{n}}.{other}") for one, other in _LAYER)
    return list(by_layer(with_biases(*named), layers))


def _without_keys(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Biases of keys move all scores of a query alike, and so change nothing; the class has none."""
    return {name: one.detach() for name, one in tensors.items() if not name.endswith("attention.key.bias")}


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """Encoder and decoder."""
    network, decoder = nets["network"], nets["decoder"]
    c, own, drawn = network.config, _without_keys(network.state_dict()), _without_keys(decoder.state_dict())
    weight = own.pop("embedding.patches.weight").reshape(c.width, c.tubelet, c.patch, c.patch, c.channels)
    at = "videomae.embeddings.patch_embeddings.projection."
    found = {
        at + "weight": weight.permute(0, 4, 1, 2, 3).contiguous(),
        at + "bias": own.pop("embedding.patches.bias"),
        "mask_token": drawn.pop("hidden")[None, None],
        "encoder_to_decoder.weight": drawn.pop("embed.weight"),
    }
    ends = with_biases(("backbone.norm", "videomae.layernorm"))
    found |= outward(own, [*_stack("backbone", "videomae.encoder.layer", c.layers), *ends])
    ends = with_biases(("backbone.norm", "decoder.norm"), ("draw", "decoder.head"))
    return found | outward(drawn, [*_stack("backbone", "decoder.decoder_layers", len(decoder.backbone.blocks)), *ends])


def load(library: Any, folder: Any) -> Any:
    """The class."""
    return library.VideoMAEForPreTraining.from_pretrained(folder, local_files_only=True)


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """What is drawn in hidden tubelets, theirs and ours, with the same tubes hidden; and the encoder's hidden states of
    whole clips."""
    from seedstock.inputs.keys import Keys

    c = nets["network"].config
    clips = torch.rand(2, c.frames, c.image, c.image, c.channels, generator=generator("parity")) * 2 - 1
    examples = torch.arange(2)
    batch = objective.corrupt({"clip": clips, "examples": examples}, Keys(1, examples.numpy()))
    output = nets["network"].backbone(**objective.inputs(nets, batch))
    drawn = nets["decoder"](output.hidden, batch["seen"], batch["hidden"], examples)
    masked = torch.zeros(2, c.patches, dtype=torch.bool).scatter_(1, batch["hidden"], True)
    given = clips.permute(0, 1, 4, 2, 3)
    whole = theirs.videomae(given).last_hidden_state
    # Their loss cannot be computed of grey clips that are not normalised; what is drawn can.
    theirs.config.norm_pix_loss = True
    return {
        "hidden tubelets": (theirs(given, bool_masked_pos=masked).logits, drawn),
        "hidden states": (whole, nets["network"](clips)),
    }
