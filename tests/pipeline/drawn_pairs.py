"""Drawn shapes with captions in two languages, and the recipe of a run over them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np

RECIPE = """\
name: drawn
seed: 3
sources: [{{name: drawn, kind: image-text, path: {path}, fields: {{text: captions}}, licence: CC0-1.0}}]
corpus: {{policy: none, dedup: null, held_out: 20 %}}
mixture: {{max_repeats: null}}
input: {{kind: images, size: 16, caption: 24}}
tokenizer: {{kind: bytes}}
model:
  kind: towers
  shape: {shape}
  picture: {{kind: vision, shape: {shape}, image: 16, patch: 4, width: 32, layers: 1, heads: 2}}
  text: {{kind: decoder, shape: gpt2, context: 24, width: 32, layers: 1, heads: 2}}
objective: {objective}
training:
  {{steps: 6, batch_examples: 16, checkpoint_every: 3, precision: fp32, threads: 1, micro_batch: 8, compile: false,
   validate_every: 3}}
"""
NAMES = {"bar": "Balken", "disc": "Scheibe", "frame": "Rahmen"}


def write(path: Path, count: int = 60) -> Path:
    """A tar of pictures, each with a JSON file of its captions beside it; the last picture has none."""
    from PIL import Image

    rng = np.random.default_rng(5)
    with tarfile.open(path, "w") as tar:
        for number in range(count):
            shape = [*NAMES][number % 3]
            pixels = np.full((16, 16, 3), rng.integers(128, 256), np.uint8)
            top, left = rng.integers(1, 5, 2)
            if shape == "bar":
                pixels[top : top + 4, left:] = (number * 4, 30, 60)
            elif shape == "disc":
                y, x = np.mgrid[:16, :16] - 7
                pixels[y**2 + x**2 < 25] = (30, number * 4, 60)
            else:
                pixels[top : top + 9, left : left + 9] = (30, 60, number * 4)
                pixels[top + 2 : top + 7, left + 2 : left + 7] = 255
            stream = io.BytesIO()
            Image.fromarray(pixels).save(stream, "PNG")
            about = {"captions": {"en": f"{shape} number {number}", "de": f"{NAMES[shape]} Nummer {number}"}}
            files = {"png": stream.getvalue(), "json": json.dumps(about).encode()}
            for ending, data in files.items() if number + 1 < count else [("png", stream.getvalue())]:
                member = tarfile.TarInfo(f"{number:03}.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return path
