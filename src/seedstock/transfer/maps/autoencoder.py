"""What the autoencoders of diffusers share: names, sizes and the input that both are shown."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

LIBRARY, WEIGHTS = "diffusers", "diffusion_pytorch_model.safetensors"

_NAMES = (
    (r"^backbone\.project\.", "quant_conv."),
    (r"^decoder\.project\.", "post_quant_conv."),
    (r"^codebook\.weight$", "quantize.embedding.weight"),
    (r"^backbone\.layers\.stages\.(\d+)\.", r"encoder.down_blocks.\1."),
    (r"^decoder\.layers\.stages\.(\d+)\.", r"decoder.up_blocks.\1."),
    (r"^backbone\.layers\.", "encoder."),
    (r"^decoder\.layers\.", "decoder."),
    (r"^(encoder|decoder)\.first\.", r"\1.conv_in."),
    (r"^(encoder|decoder)\.last\.", r"\1.conv_out."),
    (r"^(encoder|decoder)\.norm\.", r"\1.conv_norm_out."),
    (r"\.middle\.first\.", ".mid_block.resnets.0."),
    (r"\.middle\.second\.", ".mid_block.resnets.1."),
    (r"\.middle\.attention\.norm\.", ".mid_block.attentions.0.group_norm."),
    (r"\.middle\.attention\.output\.", ".mid_block.attentions.0.to_out.0."),
    (r"\.middle\.attention\.(query|key|value)\.", lambda found: f".mid_block.attentions.0.to_{found[1][0]}."),
    (r"(_blocks\.\d+\.attentions\.\d+\.)norm\.", r"\1group_norm."),
    (r"(_blocks\.\d+\.attentions\.\d+\.)output\.", r"\1to_out.0."),
    (r"(_blocks\.\d+\.attentions\.\d+\.)(query|key|value)\.", lambda found: f"{found[1]}to_{found[2][0]}."),
    (r"(down_blocks\.\d+)\.resize\.kernel\.", r"\1.downsamplers.0.conv."),
    (r"(up_blocks\.\d+)\.resize\.kernel\.", r"\1.upsamplers.0.conv."),
    (r"_blocks\.(\d+)\.blocks\.", r"_blocks.\1.resnets."),
    (r"\.first_norm\.", ".norm1."),
    (r"\.second_norm\.", ".norm2."),
    (r"(resnets\.\d+)\.first\.", r"\1.conv1."),
    (r"(resnets\.\d+)\.second\.", r"\1.conv2."),
    (r"\.around\.", ".conv_shortcut."),
)
"""Pattern → theirs, one after another."""


def theirs(name: str) -> str:
    """Their name of one of our parameters."""
    for pattern, other in _NAMES:
        name = re.sub(pattern, other, name)
    return name


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """Every parameter, by their name; what a codebook remembers of its uses is not theirs."""
    return {theirs(name): one.detach() for name, one in nets["network"].named_parameters()}


def config(c: Any, name: str) -> dict[str, Any]:
    """``config.json``, but for what only one of them has."""
    count = len(c.widths)
    return {
        "_class_name": name,
        "in_channels": c.channels,
        "out_channels": c.channels,
        "down_block_types": [f"{'Attn' * c.attends(n, encoder=True)}DownEncoderBlock2D" for n in range(count)],
        "up_block_types": [f"{'Attn' * c.attends(n, encoder=False)}UpDecoderBlock2D" for n in range(count)],
        "block_out_channels": [*c.widths],
        "layers_per_block": c.blocks,
        "act_fn": "silu",
        "latent_channels": c.latent,
        "sample_size": c.image,
        "norm_num_groups": c.groups,
        "mid_block_add_attention": c.attention,
    }


def images(c: Any) -> Tensor:
    """Three pictures of noise, fp32 ``[3, H, W, C]``."""
    shape = (3, c.image, c.image, c.channels)
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


def square(latents_BTE: Tensor) -> Tensor:
    """Latents as they have them: ``[B, E, side, side]``."""
    side = round(latents_BTE.shape[1] ** 0.5)
    return latents_BTE.transpose(1, 2).unflatten(2, (side, side))
