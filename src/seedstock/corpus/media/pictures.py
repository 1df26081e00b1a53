"""Pictures: what their header says, and their pixels as an RGB array."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np

from seedstock.corpus.media.types import LONGEST, Undecodable, needs

PIXELS = 2**26  # of one picture: 192 MiB as RGB; a file of a few bytes can claim any number
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # what else Pillow opens may run other programs


def describe(data: bytes) -> dict[str, Any]:
    """What the header says: format, width, height, mode (as Pillow names it), frames. Raises Undecodable."""
    image = _open(data)
    try:
        frames = int(getattr(image, "n_frames", 1))
    except Exception as error:  # counting frames walks through the file, which may be damaged
        raise Undecodable(_why(error)) from error
    return {
        "format": str(image.format).lower(),
        "width": image.width,
        "height": image.height,
        "mode": image.mode,
        "frames": frames,
    }


def picture(data: bytes) -> np.ndarray:
    """The pixels, uint8 ``[height, width, 3]``, turned upright as the EXIF orientation says.

    Of an animation it is the first frame; 16 bits are cut to 8; transparent places are white; CMYK is converted
    without a colour profile. Raises Undecodable for what is damaged, cut off or larger than ``PIXELS``.
    """
    ops = needs("PIL.ImageOps", "Pillow")
    image = _open(data)
    try:
        image.load()
        return _rgb(ops.exif_transpose(image))
    except Undecodable:
        raise
    except Exception as error:  # decoders of damaged files raise whatever they stumble over
        raise Undecodable(_why(error)) from error


def thumbnail(data: bytes, side: int = 160) -> bytes:
    """A small JPEG of a picture, ``side`` pixels at most, and nothing that was written beside its pixels."""
    small = needs("PIL.Image", "Pillow").fromarray(picture(data))
    small.thumbnail((side, side))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80)
    return out.getvalue()


def _open(data: bytes) -> Any:
    pillow = needs("PIL.Image", "Pillow")
    if not data:
        raise Undecodable("the picture is empty")
    if len(data) > LONGEST:
        raise Undecodable(f"the picture is longer than {LONGEST} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own warning of large pictures; the limit below is stricter
            image = pillow.open(io.BytesIO(data), formats=FORMATS)
    except pillow.UnidentifiedImageError as error:
        raise Undecodable(f"not a picture of a known format ({', '.join(FORMATS)})") from error
    except pillow.DecompressionBombError as error:
        raise Undecodable(f"it claims more pixels than the limit of {PIXELS}") from error
    except Exception as error:
        raise Undecodable(_why(error)) from error
    if image.width * image.height > PIXELS:
        raise Undecodable(f"it claims {image.width} x {image.height} pixels, more than the limit of {PIXELS}")
    return image


def _rgb(image: Any) -> np.ndarray:
    if image.mode == "F":
        raise Undecodable("floating-point pixels have no fixed range")
    if image.mode == "I" or image.mode.startswith("I;16"):
        grey = (np.clip(np.asarray(image).astype(np.int64), 0, 65535) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        pixels = np.asarray(image.convert("RGBA"))
        alpha = pixels[..., 3:].astype(np.uint16)
        over_white = pixels[..., :3] * alpha + 255 * (255 - alpha)
        return ((over_white + 127) // 255).astype(np.uint8)
    return np.asarray(image.convert("RGB"), np.uint8)


def _why(error: Exception) -> str:
    text = str(error).splitlines()
    return f"damaged picture: {text[0][:200] if text else type(error).__name__}"
