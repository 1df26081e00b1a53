"""Clips of handwritten digits that move in eight directions, made from MNIST (the idea is Srivastava et al. 2015).

``python benchmarks/moving_digits.py --folder FOLDER`` reads the pictures below SEEDSTOCK_DATA and writes lossless clips
(FFV1 in Matroska) into FOLDER/DIRECTION. In each a digit, half its size, goes straight on over black at 1.5 to 2.5
pixels a frame, and comes back in at the other side; where it starts, how fast and which digit are drawn from
``--seed``. The same pictures and settings give the same frames. Needs ``seedstock[media]``.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np
from datapack import data_pack

DIRECTIONS = ("east", "north-east", "north", "north-west", "west", "south-west", "south", "south-east")
SIZE, FRAMES, RATE = 32, 8, 8
SPEEDS = (1.5, 2.5)  # pixels a frame


def pictures() -> np.ndarray:
    """The training digits, uint8 ``[60000, 28, 28]``."""
    path = data_pack() / "images/mnist/train-images-idx3-ubyte.gz"
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=16).reshape(-1, 28, 28)


def moving(digit: np.ndarray, direction: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 ``[FRAMES, SIZE, SIZE]`` of a digit, uint8 ``[28, 28]``."""
    from PIL import Image

    canvas = np.zeros((SIZE, SIZE), np.uint8)
    canvas[:14, :14] = Image.fromarray(digit).resize((14, 14), Image.Resampling.BOX)
    angle, speed, (top, left) = direction * np.pi / 4, rng.uniform(*SPEEDS), rng.uniform(0, SIZE, 2)
    along = speed * np.arange(FRAMES)
    downs, rights = np.rint(top - np.sin(angle) * along), np.rint(left + np.cos(angle) * along)
    return np.stack([np.roll(canvas, (int(d), int(r)), (0, 1)) for d, r in zip(downs, rights, strict=True)])


def write(path: Path, clip: np.ndarray) -> None:
    """A lossless grey clip."""
    import av

    with av.open(str(path), "w", format="matroska") as out:
        track = out.add_stream("ffv1", rate=RATE)
        track.height, track.width, track.pix_fmt = *clip.shape[1:], "gray"
        for pixels in clip:
            out.mux(track.encode(av.VideoFrame.from_ndarray(pixels, format="gray")))
        out.mux(track.encode())


def make(folder: Path, count: int, seed: int) -> None:
    """``count`` clips."""
    digits, rng = pictures(), np.random.default_rng(seed)
    for number, which in enumerate(rng.integers(len(digits), size=count).tolist()):
        direction = number % len(DIRECTIONS)
        place = folder / DIRECTIONS[direction]
        place.mkdir(parents=True, exist_ok=True)
        write(place / f"{number:05d}.mkv", moving(digits[which], direction, rng))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    make(given.folder, given.clips, given.seed)
