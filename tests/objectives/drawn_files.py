"""A picture, a sound and a clip, under the names that the code on a model card reads."""

from __future__ import annotations

import io

import numpy as np
from drawn_clips import clip
from drawn_items import shape


def files_of_every_kind(rate: int) -> dict[str, bytes]:
    """Their bytes by name; the sound is half a second at ``rate``."""
    import soundfile
    from PIL import Image

    rng, picture, sound = np.random.default_rng(3), io.BytesIO(), io.BytesIO()
    Image.fromarray(shape("disc", rng)).save(picture, "PNG")
    soundfile.write(sound, rng.normal(0, 0.1, rate // 2).astype("<f4"), rate, format="WAV")
    return {"picture.png": picture.getvalue(), "sound.wav": sound.getvalue(), "clip.mp4": clip("left", rng, frames=16)}
