"""Decoding is bounded and exact: a whole file gives its content, any other gives one named error."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from made_media import animation, bomb, clip, deep, picture, sound
from PIL import Image

from seedstock.corpus.media import Undecodable, clips, pictures, sniff, sounds


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
def test_a_picture_without_loss_gives_its_pixels(form):
    data = picture(form)
    expected = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    assert np.array_equal(pictures.picture(data), expected)
    assert sniff(data).startswith("image/")
    assert pictures.describe(data)["width"] == 12


@pytest.mark.parametrize(
    ("form", "mode"), [("JPEG", "CMYK"), ("TIFF", "CMYK"), ("JPEG", "L"), ("WEBP", "RGBA"), ("GIF", "L"), ("PNG", "L")]
)
def test_every_mode_becomes_rgb(form, mode):
    found = pictures.picture(picture(form, mode=mode))
    assert found.dtype == np.uint8 and found.shape == (8, 12, 3)


def test_sixteen_bits_keep_their_high_byte():
    values = np.array([[0, 255, 256, 65535]])
    assert pictures.picture(deep(values))[0, :, 0].tolist() == [0, 0, 1, 255]


def test_transparent_places_are_white_and_half_transparent_ones_halfway():
    out = io.BytesIO()
    Image.fromarray(np.array([[[0, 0, 0, 0], [0, 0, 0, 255], [255, 0, 0, 128]]], np.uint8), "RGBA").save(out, "PNG")
    assert pictures.picture(out.getvalue())[0].tolist() == [[255, 255, 255], [0, 0, 0], [255, 127, 127]]


def test_a_palette_with_a_transparent_colour_is_white_there():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    out = io.BytesIO()
    image.save(out, "PNG", transparency=0)
    assert pictures.picture(out.getvalue())[0].tolist() == [[255, 255, 255], [40, 50, 60]]


def test_the_exif_orientation_turns_a_picture_upright():
    image, exif = Image.new("RGB", (12, 8)), Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif)
    assert pictures.picture(out.getvalue()).shape == (12, 8, 3)


def test_an_animation_is_counted_and_gives_its_first_frame():
    data = animation()
    assert pictures.describe(data)["frames"] == 3
    assert pictures.picture(data)[0, 0].tolist() == [255, 0, 0]


def test_a_small_file_that_claims_many_pixels_is_refused_before_they_are_made():
    for side in (9000, 60000):  # the second is beyond the library's own limit
        for decode in (pictures.picture, pictures.describe):
            with pytest.raises(Undecodable, match=r"it claims .*more (pixels )?than the limit"):
                decode(bomb(side))


WHOLE = {
    "png": picture(),
    "jpeg": picture("JPEG"),
    "webp": picture("WEBP"),
    "gif": animation(),
    "tiff": picture("TIFF", compression="tiff_lzw"),
    "wav": sound(),
    "flac": sound("FLAC"),
    "ogg": sound("OGG"),
    "mp4": clip(),
    "mkv": clip(form="matroska"),
}


def decode(data: bytes) -> None:
    pictures.picture(data)
    pictures.describe(data)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_damaged_bytes_decode_or_raise_the_one_error(name, data):
    """Whatever is cut or overwritten, nothing but Undecodable comes out."""
    whole = bytearray(WHOLE[name])
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    for function in (decode, sounds.describe, lambda b: clips.frames(b, 3, size=(8, 8)), clips.describe):
        try:
            function(damaged)
        except Undecodable as error:
            assert str(error)


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
def test_a_cut_off_picture_is_undecodable(name):
    with pytest.raises(Undecodable):
        pictures.picture(WHOLE[name][: len(WHOLE[name]) * 2 // 3])


@pytest.mark.parametrize("data", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_medium_is_named_so(data):
    for function in (pictures.picture, sounds.sound, clips.describe):
        with pytest.raises(Undecodable):
            function(data)


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 12345, 192000])
@pytest.mark.parametrize("form", ["WAV", "FLAC", "AIFF"])
def test_a_sound_is_the_mean_of_its_channels_at_its_own_rate(form, rate):
    data = sound(form, rate, channels=2)
    mono, found = sounds.sound(data)
    wave, _ = soundfile.read(io.BytesIO(data), always_2d=True)
    assert found == rate and mono.dtype == np.float32
    assert np.allclose(mono, wave.mean(axis=1), atol=1e-6)
    about = sounds.describe(data)
    assert (about["sample_rate"], about["channels"], about["frames"]) == (rate, 2, len(wave))


def test_a_sound_longer_than_a_block_is_whole():
    mono, rate = sounds.sound(sound(rate=48000, seconds=12))
    assert len(mono) == 12 * rate
    assert sounds.describe(sound(rate=48000, seconds=12))["seconds"] == 12


@pytest.mark.parametrize("form", ["WAV", "FLAC"])
def test_a_cut_off_sound_is_undecodable(form):
    data = sound(form, seconds=1)
    with pytest.raises(Undecodable):
        sounds.describe(data[: len(data) // 2])


def test_an_empty_sound_and_one_that_is_not_finite_are_undecodable():
    with pytest.raises(Undecodable, match="no samples"):
        sounds.sound(sound(seconds=0))
    out = io.BytesIO()
    soundfile.write(out, np.array([0.0, np.nan]), 8000, format="WAV", subtype="FLOAT")
    with pytest.raises(Undecodable, match="not finite"):
        sounds.sound(out.getvalue())


@pytest.mark.parametrize("rate", [1, 999, 2**31 - 1])
def test_a_rate_that_no_sound_has_is_undecodable(rate):
    data = bytearray(sound(seconds=1))
    data[24:28] = rate.to_bytes(4, "little")
    for function in (sounds.describe, sounds.sound):
        with pytest.raises(Undecodable, match=f"{rate} samples a second"):
            function(bytes(data))


def test_why_a_sound_is_damaged_is_the_same_each_time():
    reasons = set()
    for _ in range(2):
        with pytest.raises(Undecodable) as found:
            sounds.describe(sound()[:30])
        reasons.add(str(found.value))
    assert len(reasons) == 1 and "0x" not in reasons.pop()


def shades(found: np.ndarray) -> list[int]:
    return [round(float(frame.mean()) / 20) for frame in found]


@pytest.mark.parametrize("form", ["mp4", "matroska", "avi"])
def test_a_clip_gives_every_stored_frame_with_its_time(form):
    times = [number / 10 for number in range(10)]
    found, seen = clips.frames(clip(times, form), 20)
    assert found.shape == (10, 16, 32, 3) and shades(found) == list(range(10))
    assert np.allclose(seen, times, atol=0.002)


def test_a_rate_samples_a_clip_of_varying_rate_by_time():
    times = [0.0, 0.1, 0.2, 0.8, 0.9]
    data = clip(times, "matroska")
    found, seen = clips.frames(data, 20, rate=4)
    assert shades(found) == [0, 2, 2, 2] and np.allclose(seen, [0.0, 0.2, 0.2, 0.2], atol=0.002)
    late, _ = clips.frames(data, 2, rate=10, start=0.75)
    assert shades(late) == [2, 3]
    assert clips.describe(data)["variable"] and not clips.describe(clip(form="matroska"))["variable"]


def test_frames_are_scaled_and_bounded():
    data = clip()
    assert clips.frames(data, 2, size=(8, 8))[0].shape == (2, 8, 8, 3)
    with pytest.raises(Undecodable, match="more than the limit"):
        clips.frames(data, 10**6, size=(1000, 1000))
    with pytest.raises(Undecodable, match="no frame from second 50"):
        clips.frames(data, 2, start=50)


def test_a_clip_is_described():
    about = clips.describe(clip())
    assert (about["width"], about["height"], about["frames"], about["sound"]) == (32, 16, 10, False)
    assert about["frames_per_second"] == pytest.approx(10, rel=0.02)


@pytest.mark.parametrize("form", ["mp4", "matroska"])
def test_a_title_that_is_no_text_does_no_harm(form):
    data = clip(form=form, title="a fine title").replace(b"fine", b"f\xff\xfee")
    assert b"f\xff\xfee" in data and clips.describe(data)["frames"] == 10


def test_a_cut_off_clip_and_one_without_frames_are_undecodable():
    data = clip()
    with pytest.raises(Undecodable):
        clips.describe(data[: len(data) // 2])
    with pytest.raises(Undecodable):
        clips.describe(clip([]))


def test_a_playlist_never_opens_other_files(tmp_path):
    (tmp_path / "x.mp4").write_bytes(clip())
    for text in (f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/x.mp4\n", f"ffconcat version 1.0\nfile {tmp_path}/x.mp4\n"):
        with pytest.raises(Undecodable, match="not a clip of a known container"):
            clips.describe(text.encode())
