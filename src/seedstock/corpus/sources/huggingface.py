"""Data sets of the Hugging Face hub, streamed at one commit; or a local folder in the same layout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from seedstock.corpus.sources.base import LONGEST, Item, Partition, Source, Unreadable, needs, share
from seedstock.corpus.sources.files import expand, find, problem
from seedstock.corpus.sources.jsonl import Fields, as_item
from seedstock.corpus.sources.markup import describe
from seedstock.errors import DataError
from seedstock.ledger.ids import digest

_GUESS = 64 * 2**20  # bytes of a shard whose size nobody states
_CARD = 1 << 20


class HuggingFace(Source):
    """A data set of the hub, or a local folder (a path with a slash before it, or a variable), read as a stream.

    ``revision`` is a commit of 40 hexadecimal digits, without which a data set of the hub is refused: a branch means
    something else tomorrow. ``subset`` and ``split`` choose in it, ``fields`` names the columns. Each of its files is
    read by itself. The licence is that of each record, or else that of the card. No code of the data set is run.
    """

    kind: Literal["huggingface"] = "huggingface"
    dataset: Annotated[str, Field(min_length=1)]
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    subset: str | None = None
    split: str = "train"
    fields: Fields = Fields()

    def partitions(self) -> list[Partition]:
        where = f"source {self.name!r}"
        place = self._place(where)
        try:
            stream = self._stream(place)
        except DataError:
            raise
        except Exception as error:  # the library and its stores raise errors of their own
            raise DataError(
                f"cannot be listed: {type(error).__name__}: {problem(error)}",
                where=f"{where}: {self.dataset}",
                fix="see its name, revision, subset and split, and the network",
            ) from None
        about = {"licence": self._licence(place), "shards": stream.num_shards}
        mark, size = self._mark(place, where), self._size(place, stream, where)
        return share(
            [
                Partition(f"{self.split}:{number}", digest([mark, about]), size // stream.num_shards, (number, about))
                for number in range(stream.num_shards)
            ],
            self.limit,
        )

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        number, about = partition.payload
        place = self._place(f"source {self.name!r}")
        name = f"{place.name if place else self.dataset}/{self.subset + '/' if self.subset else ''}{self.split}"
        row = 0
        try:
            stream = self._stream(place)
            if stream.num_shards != about["shards"]:
                yield Unreadable(f"{name}:{number}", "the data set changed after it was listed")
                return
            for row, record in enumerate(stream.shard(num_shards=stream.num_shards, index=number)):
                where = f"{name}:{number}:{row}"
                item = as_item(
                    {key: value for key, value in record.items() if _plain(value)}, self.fields, name, where, row
                )
                if isinstance(item, Item):
                    item.meta |= {"shard": number} | ({"revision": self.revision} if self.revision else {})
                    if item.licence is None and about["licence"] and self.licence is None:
                        item.licence, item.licence_evidence = about["licence"], "the card of the data set"
                    if item.text is not None and len(item.text) > LONGEST:
                        item = Unreadable(where, f"longer than {LONGEST} characters")
                yield item
        except Exception as error:
            yield Unreadable(f"{name}:{number}:{row}", f"the stream breaks off: {type(error).__name__}: {_said(error)}")

    def _place(self, where: str) -> Path | None:
        """The local folder that is meant, or None for one of the hub."""
        if self.dataset.startswith(("/", "./", "../", "~", "$")):
            folder = expand(self.dataset, where)
            if not folder.is_dir():
                raise DataError(
                    "there is no such folder", where=f"{where}: {folder}", fix="mend the path in the recipe"
                )
            return folder
        if self.revision is None:
            raise DataError(
                f"{self.dataset} is not pinned to a commit",
                where=where,
                fix=f"give revision: the 40 digits of one of https://huggingface.co/datasets/{self.dataset}/commits/main",
            )
        return None

    def _stream(self, place: Path | None) -> Any:
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        library = needs("datasets", "datasets, which reads data sets of Hugging Face,", "hub")
        library.disable_progress_bars()
        found = library.load_dataset(
            str(place) if place else self.dataset, self.subset, split=self.split, revision=self.revision, streaming=True
        )
        return found.decode(False)  # pictures and sounds stay as they are stored

    def _mark(self, place: Path | None, where: str) -> str:
        asked = [self.subset, self.split]
        if place is None:
            return digest([self.dataset, self.revision, *asked])
        return digest([*asked, *([file.name, file.fingerprint] for file in find(str(place), ("",), where))])

    def _size(self, place: Path | None, stream: Any, where: str) -> int:
        if place is not None:
            return sum(file.bytes for file in find(str(place), ("",), where))
        splits = stream.info.splits or {}
        return (splits[self.split].num_bytes if self.split in splits else 0) or _GUESS * stream.num_shards

    def _licence(self, place: Path | None) -> str | None:
        """What the card states at its head, where it is a name of the SPDX list."""
        try:
            if place is None:
                from huggingface_hub import hf_hub_download

                path = Path(hf_hub_download(self.dataset, "README.md", repo_type="dataset", revision=self.revision))
            else:
                path = place / "README.md"
            with path.open("rb") as file:
                return describe("README.md", file.read(_CARD).decode("utf-8", "replace")).licence
        except Exception:  # no card, or no network, which is told by what follows
            return None


def _plain(value: Any) -> bool:
    """Whether a value belongs into the meta: bytes of pictures and sounds do not."""
    return not isinstance(value, bytes) and not (isinstance(value, dict) and isinstance(value.get("bytes"), bytes))


def _said(error: Exception) -> str:
    """An error's first line without the folders of this machine."""
    return " ".join(word.rpartition("/")[2] if "/" in word else word for word in problem(error).split())[:500]
