"""Pictures to look at: rows of a grid as one PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

GAP = 2  # pixels between pictures


def grid(pictures: np.ndarray, scale: int = 1) -> np.ndarray:
    """uint8 ``[rows, columns, H, W, C]`` as one picture ``[…, …, 3]`` on white, each pixel ``scale`` pixels large."""
    pictures = np.asarray(pictures, np.uint8)
    if pictures.shape[-1] == 1:
        pictures = np.repeat(pictures, 3, axis=-1)
    rows, columns, height, width, _ = pictures.shape
    whole = np.full(((height + GAP) * rows - GAP, (width + GAP) * columns - GAP, 3), 255, np.uint8)
    for r in range(rows):
        for c in range(columns):
            top, left = r * (height + GAP), c * (width + GAP)
            whole[top : top + height, left : left + width] = pictures[r, c]
    return whole.repeat(scale, axis=0).repeat(scale, axis=1)


def write(path: Path, pictures: np.ndarray) -> None:
    """Writes a grid as PNG, enlarged where its pictures are small."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grid(pictures, max(1, 64 // pictures.shape[2]))).save(path)


def shown(nets: Any, objective: Any, windows: Any, count: int = 8) -> np.ndarray | None:
    """What an objective makes of the first held-out items, to look at; None where it draws nothing."""
    import torch

    from seedstock.inputs.keys import Keys

    device = next(nets["network"].parameters()).device
    for arrays in windows.batches(count):
        given = {name: torch.from_numpy(v).to(device) for name, v in arrays.items() if name != "digests"}
        with torch.inference_mode():
            made = objective.pictures(nets, objective.corrupt(given, Keys(windows.seed, arrays["examples"])))
        return None if made is None else np.asarray(made)
    return None
