"""ViTMAEForPreTraining: a masked autoencoder with its decoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seedstock.models.keys import generator
from seedstock.transfer.maps import Rule, vit, with_biases
from seedstock.transfer.tensors import outward

CLASS, LIBRARY = "ViTMAEForPreTraining", "transformers"
fits, processor = vit.fits, vit.processor


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``."""
    own = objective.config
    hidden = round(c.patches * own.mask)
    return {
        "model_type": "vit_mae",
        **vit.sizes(c),
        "decoder_num_attention_heads": own.decoder_heads,
        "decoder_hidden_size": own.decoder_width,
        "decoder_num_hidden_layers": own.decoder_layers,
        "decoder_intermediate_size": 4 * own.decoder_width,
        # They show the whole part of (1 - ratio) of the patches.
        "mask_ratio": hidden / c.patches - 1e-6,
        "norm_pix_loss": own.normalise,
    }


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """Encoder and decoder."""
    c, decoder = nets["network"].config, nets["decoder"]
    own = {name: tensor.detach() for name, tensor in decoder.state_dict().items()}
    found = {
        "decoder.mask_token": own.pop("hidden")[None, None],
        "decoder.decoder_pos_embed": vit.fixed(c, decoder.width),
    }
    ends = (
        ("embed", "decoder.decoder_embed"),
        ("backbone.norm", "decoder.decoder_norm"),
        ("draw", "decoder.decoder_pred"),
    )
    rules: list[Rule] = [
        *vit.stack("backbone", "decoder.decoder_layers", len(decoder.backbone.blocks)),
        *with_biases(*ends),
    ]
    return vit.encoder(nets["network"], "vit.") | found | outward(own, rules)


def load(library: Any, folder: Any) -> Any:
    """The class."""
    return library.ViTMAEForPreTraining.from_pretrained(folder, local_files_only=True)


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """What is drawn in hidden patches, and the loss, theirs and ours, with the same patches hidden."""
    c = nets["network"].config
    images = vit.pixels(c)
    noise = torch.rand(len(images), c.patches, generator=generator("parity noise"))
    order, hidden = noise.argsort(dim=1), round(c.patches * objective.config.mask)
    seen, hidden_BT = order[:, : c.patches - hidden].sort(1).values, order[:, c.patches - hidden :].sort(1).values
    present, examples = torch.ones(len(images), dtype=torch.bool), torch.arange(len(images))
    batch = {"image": images, "seen": seen, "hidden": hidden_BT, "present": present, "examples": examples}
    output = nets["network"].backbone(**objective.inputs(nets, batch))
    drawn = nets["decoder"](output.hidden, seen, hidden_BT, examples)
    sums, _ = objective.loss(nets, output, batch)
    found = theirs(images.permute(0, 3, 1, 2), noise=noise)
    where = hidden_BT[..., None].expand(-1, -1, drawn.shape[-1])
    mean = sums["patches"] / objective.counts(batch)["patches"]
    return {"hidden patches": (found.logits.gather(1, where), drawn), "loss": (found.loss[None], mean[None])}
