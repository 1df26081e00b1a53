"""Clips cut into frames at a rate: the right ones, whatever the clip's own rate; what is too short is named."""

from __future__ import annotations

import io

import numpy as np
import pytest

from seedstock.corpus.media.types import Undecodable
from seedstock.inputs.items.config import Document
from seedstock.inputs.items.video import VideoConfig

av = pytest.importorskip("av")


def clip(levels, rate=8, size=(16, 24)):
    """A lossless clip whose frames are of one grey each."""
    stream = io.BytesIO()
    with av.open(stream, "w", format="matroska") as out:
        track = out.add_stream("ffv1", rate=rate)
        track.height, track.width, track.pix_fmt = *size, "gray"
        for level in levels:
            out.mux(track.encode(av.VideoFrame.from_ndarray(np.full(size, level, np.uint8), format="gray")))
        out.mux(track.encode())
    return stream.getvalue()


def cut(config, data, label=-1):
    return list(config.items(Document(data, "", "", {}, label)))


def greys(item):
    assert (item["clip"] == item["clip"][:, :1, :1]).all()
    return item["clip"][:, 0, 0, 0].tolist()


def test_stored_frames_in_order_one_item_after_another():
    config = VideoConfig(frames=3, size=8, channels=1, most=4, label="label")
    items = cut(config, clip(range(10, 90, 10)), label=2)
    assert [greys(one) for one in items] == [[10, 20, 30], [40, 50, 60]] and items[0]["label"] == 2
    for name, field in config.fields().items():
        assert (items[0][name].dtype, items[0][name].shape) == (np.dtype(field.dtype), field.shape)


@pytest.mark.parametrize(("rate", "found"), [(4, [10, 30, 50]), (8, [10, 20, 30]), (16, [10, 10, 20])])
def test_a_rate_takes_the_frames_that_are_shown_then(rate, found):
    (item,) = cut(VideoConfig(frames=3, size=8, rate=rate), clip(range(10, 90, 10)))
    assert greys(item) == found


def test_what_is_too_short_or_damaged_is_named():
    with pytest.raises(Undecodable, match="2 frames, and 3 are asked for"):
        cut(VideoConfig(frames=3, size=8), clip([1, 2]))
    with pytest.raises(Undecodable, match="2 frames at 4 a second, and 3 are asked for"):
        cut(VideoConfig(frames=3, size=8, rate=4), clip([1, 2, 3, 4]))
    with pytest.raises(Undecodable):
        cut(VideoConfig(frames=1, size=8), clip([1, 2, 3])[:200])
