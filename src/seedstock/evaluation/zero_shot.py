"""Classes by words: a picture is of the class whose prompt is nearest (Radford et al. 2021, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedstock.inputs.items.captions import caption


@torch.inference_mode()
def zero_shot(
    nets: Any,
    objective: Any,
    images: np.ndarray,
    prompts: Mapping[str, Sequence[str]],
    tokenizer: Any,
    *,
    batch: int = 128,
) -> list[str]:
    """The class of each picture uint8 ``[N, H, W, C]``, by name. ``prompts`` are texts that stand for a class, their
    vectors averaged. The model is one that ``objective.described`` gives vectors of texts for."""
    device, training = next(nets["network"].parameters()).device, nets.training
    length, names = nets["network"].config.text.context, [*prompts]
    nets.eval()
    try:
        vectors = []
        for texts in prompts.values():
            tokens = np.stack([caption(text, tokenizer, length) for text in texts]).astype(np.int64)
            vectors.append(objective.described(nets, torch.from_numpy(tokens).to(device)).mean(0))
        classes = torch.nn.functional.normalize(torch.stack(vectors), dim=-1)
        found: list[Tensor] = []
        for start in range(0, len(images), batch):
            seen = torch.from_numpy(images[start : start + batch]).to(device)
            found.append((objective.features(nets, {"image": seen}) @ classes.T).argmax(1).cpu())
    finally:
        nets.train(training)
    return [names[one] for one in torch.cat(found).tolist()] if found else []
