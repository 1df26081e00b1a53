"""Pictures without captions: folders and tar archives, with a label from the folder, and IDX files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from seedstock.corpus.sources.base import Item, Partition, Unreadable, share
from seedstock.corpus.sources.files import find, problem, stem, stream
from seedstock.corpus.sources.idx import header, pictures, png
from seedstock.corpus.sources.media_files import MediaFiles
from seedstock.errors import DataError

MOST = 2**26  # labels in one file


class Pictures(MediaFiles):
    """What sources of pictures share; the class of each kind follows."""

    version: ClassVar[int] = 2
    suffixes: ClassVar[tuple[str, ...]] = (
        ".jpg",
        ".jpeg",
        ".png",
        ".webp",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
    )
    family: ClassVar[str] = "image"
    types: ClassVar[tuple[str, ...]] = ("image/",)
    thing: ClassVar[str] = "picture"

    def described(self, data: bytes) -> dict[str, Any]:
        from seedstock.corpus.media import pictures as decoder

        found = decoder.describe(data)
        decoder.picture(data)
        return found


class Images(Pictures):
    """A picture is a document; its label, where there is one, is its text.

    Each is decoded once, so that a damaged, cut-off or huge one goes to quarantine. The meta holds format, width,
    height, mode and frames. IDX files (``…-idx3-ubyte``, plain or compressed) take their labels from ``labels``, or
    from the file beside them whose name has ``labels-idx1`` for ``images-idx3``; their pictures are stored as PNG.
    """

    kind: Literal["images"] = "images"
    domain: str | None = "images"
    label: Literal["folder"] | None = "folder"
    labels: str | None = None

    def partitions(self) -> list[Partition]:
        where = f"source {self.name!r}"
        files = find(self.path, (*self.suffixes, "-ubyte", ".idx", ".tar", ".txt", ".json"), where)
        arrays = [file for file in files if _is_array(file.name) and "labels" not in file.name]
        if not arrays:
            return super().partitions()
        if any(not _is_array(file.name) for file in files if not file.name.endswith((".txt", ".json"))):
            raise DataError(
                "IDX files and other pictures lie together", where=where, fix="give each kind a source of its own"
            )
        listed = []
        for file in arrays:
            beside = self.labels or file.path.replace("images-idx3", "labels-idx1")
            marks = [one.fingerprint for one in find(beside, ("",), where)] if beside != file.path else []
            mark = "+".join([file.fingerprint, *marks])
            listed.append(Partition(file.name, mark, file.bytes, ("idx", file.path, beside if marks else None)))
        return share(listed, self.limit)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        if partition.payload[0] != "idx":
            yield from super().read(partition)
            return
        _, path, beside = partition.payload
        number = 0
        try:
            labels = self._labels(beside)
            with stream(path) as file:
                shape = header(file)
                if len(shape) not in (3, 4):
                    raise ValueError(f"{len(shape)} dimensions are not those of pictures")
                if labels is not None and len(labels) != shape[0]:
                    raise ValueError(f"{shape[0]} pictures and {len(labels)} labels")
                for number, pixels in enumerate(pictures(file, shape)):
                    record = {} if labels is None else {self.fields.text: str(labels[number]), "label": labels[number]}
                    yield from self.items(f"{partition.name}#{number}", png(pixels), record)
        except (OSError, ValueError, EOFError) as error:
            yield Unreadable(f"{partition.name}#{number}", f"the file breaks off: {problem(error) or 'it ends early'}")

    def _labels(self, path: str | None) -> list[int] | None:
        if path is None:
            return None
        with stream(path) as file:
            (count, *more) = header(file)
            data = file.read(min(count + 1, MOST))
        if more or len(data) != count:
            raise ValueError(f"{len(data)} labels where {count} are announced")
        return list(data)


def _is_array(name: str) -> bool:
    return stem(name).endswith(("-ubyte", ".idx"))
