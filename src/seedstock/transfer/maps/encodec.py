"""EncodecModel of transformers: a codec with residual codebooks."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

LIBRARY, CLASS = "transformers", "EncodecModel"


def fits(c: Any) -> bool:
    """Those whose codes are a whole number of bits, with an LSTM, as the class insists."""
    return c.codes & (c.codes - 1) == 0 and c.recurrent > 0


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``; a bandwidth for each power of two of books, and for all of them."""
    return {
        "model_type": "encodec",
        "target_bandwidths": [bandwidth(c, books) for books in _choices(c.books)],
        "sampling_rate": c.rate,
        "audio_channels": 1,
        "normalize": False,
        "hidden_size": c.latent,
        "num_filters": c.filters,
        "num_residual_layers": c.blocks,
        "upsampling_ratios": [*c.ratios],
        "norm_type": "weight_norm",
        "kernel_size": c.taps,
        "last_kernel_size": c.taps,
        "residual_kernel_size": 3,
        "dilation_growth_rate": 2,
        "use_causal_conv": True,
        "pad_mode": "reflect",
        "compress": 2,
        "num_lstm_layers": c.recurrent,
        "trim_right_ratio": 1.0,
        "codebook_size": c.codes,
        "codebook_dim": c.latent,
        "use_conv_shortcut": True,
    }


def _choices(books: int) -> list[int]:
    return [2**power for power in range(books.bit_length()) if 2**power < books] + [books]


def bandwidth(c: Any, books: int) -> float:
    """Kilobits a second of so many books, as the class counts them: whole frames a second."""
    each = math.ceil(c.rate / c.hop) * round(math.log2(c.codes))
    found = books * each / 1000
    while int(1000 * found // each) < books:
        found = math.nextafter(found, math.inf)
    return found


def processor(c: Any) -> dict[str, Any]:
    """``preprocessor_config.json``."""
    return {
        "feature_extractor_type": "EncodecFeatureExtractor",
        "feature_size": 1,
        "sampling_rate": c.rate,
        "padding_value": 0.0,
        "padding_side": "right",
        "return_attention_mask": True,
        "chunk_length_s": None,
        "overlap": None,
    }


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """Every parameter by their name; the codebooks, with what they remember of their uses, are buffers there."""
    network = nets["network"]
    found: dict[str, Tensor] = {}
    for half, own in (("encoder", network.backbone), ("decoder", network.decoder)):
        for number, layer in enumerate(own.layers):
            found |= _layer(f"{half}.layers.{number}.", layer)
    for number, book in enumerate(network.books):
        name = f"quantizer.layers.{number}.codebook."
        found |= {
            f"{name}embed": book.weight.detach(),
            f"{name}embed_avg": book.total,
            f"{name}cluster_size": book.usage,
            f"{name}inited": torch.ones(1, device=book.weight.device),
        }
    return found


def _layer(name: str, layer: Any) -> dict[str, Tensor]:
    if hasattr(layer, "direction"):
        inner = f"{name}conv."
        return {
            f"{inner}parametrizations.weight.original0": layer.length.detach()[:, None, None],
            f"{inner}parametrizations.weight.original1": layer.direction.detach(),
            f"{inner}bias": layer.bias.detach(),
        }
    if hasattr(layer, "lstm"):
        return {f"{name}lstm.{key}": one.detach() for key, one in layer.lstm.named_parameters()}
    if hasattr(layer, "around"):
        first, second = _layer(f"{name}block.1.", layer.first), _layer(f"{name}block.3.", layer.second)
        return first | second | _layer(f"{name}shortcut.", layer.around)
    return {}


def load(library: Any, folder: Any) -> Any:
    """The class."""
    return library.EncodecModel.from_pretrained(folder, local_files_only=True)


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """Latents, codes, and what is played again from all books, and from the first; and of a shorter sound than the
    model was trained on."""
    network, found = nets["network"], {}
    c = network.config
    for name, samples in (("", c.samples), (" of a shorter sound", c.hop * max(1, c.context // 2))):
        clips = torch.rand((3, samples), generator=torch.Generator().manual_seed(1)) * 2 - 1
        found[f"latents{name}"] = (theirs.encoder(clips[:, None]).transpose(1, 2), network.latents(clips))
        for books in {1, c.books}:
            out = theirs(clips[:, None], bandwidth=bandwidth(c, books))
            codes = network.codes(clips, books)
            found[f"codes, {books}{name}"] = (out.audio_codes[0].transpose(1, 2).float(), codes.float())
            found[f"played, {books}{name}"] = (out.audio_values[:, 0], network.play(codes))
    return found
