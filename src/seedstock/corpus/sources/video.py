"""Video clips: folders and tar archives of MP4, WebM, Matroska, AVI and other containers that FFmpeg reads."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from seedstock.corpus.sources.media_files import MediaFiles


class Video(MediaFiles):
    """A clip is a document; its description, where there is one, is its text.

    Every packet is counted and the first frame decoded. The meta holds format, codec, width, height, frames,
    frames_per_second (on average), seconds, variable (whether the rate is) and sound (whether there is any).
    """

    version: ClassVar[int] = 2
    kind: Literal["video"] = "video"
    domain: str | None = "video"

    suffixes: ClassVar[tuple[str, ...]] = (
        ".mp4",
        ".m4v",
        ".mov",
        ".webm",
        ".mkv",
        ".avi",
        ".ogv",
        ".flv",
        ".ts",
        ".mpg",
        ".mpeg",
        ".gif",
    )
    family: ClassVar[str] = "video"
    types: ClassVar[tuple[str, ...]] = ("video/", "image/gif", "audio/ogg")
    thing: ClassVar[str] = "clip"

    def described(self, data: bytes) -> dict[str, Any]:
        from seedstock.corpus.media import clips

        return clips.describe(data)
