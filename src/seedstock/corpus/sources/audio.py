"""Sounds: folders and tar archives of WAV, FLAC, Ogg, MP3 and AIFF files."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from seedstock.corpus.sources.media_files import MediaFiles


class Audio(MediaFiles):
    """A sound is a document; its transcript, where there is one, is its text.

    Each is decoded as a whole, so that one that breaks off goes to quarantine. The meta holds format, subtype,
    sample_rate, channels, frames and seconds.
    """

    kind: Literal["audio"] = "audio"
    domain: str | None = "audio"

    suffixes: ClassVar[tuple[str, ...]] = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au")
    family: ClassVar[str] = "audio"
    types: ClassVar[tuple[str, ...]] = ("audio/",)
    thing: ClassVar[str] = "sound"

    def described(self, data: bytes) -> dict[str, Any]:
        from seedstock.corpus.media import sounds

        return sounds.describe(data)
