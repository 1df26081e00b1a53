"""A source and signals from a package of somebody else's, as a worker process imports them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from seedstock.corpus.signals.base import Signal
from seedstock.corpus.sources.base import Item, Partition, Source


class Deadly(str):
    """A text that kills the process that looks at its bytes."""

    def encode(self, *args: Any, **kwargs: Any) -> bytes:
        os._exit(5)


class Poems(Source):
    """``count`` numbered poems, ``shelf`` to a partition; ``deadly`` names a partition that kills its reader.

    ``torn`` is a poem before which the reader dies, ``cursed`` one that kills whoever makes a row of it.
    """

    kind: Literal["poems"] = "poems"
    count: int = 10
    shelf: int = 100
    deadly: int | None = None
    torn: int | None = None
    cursed: int | None = None
    poison: tuple[int, ...] = ()

    def partitions(self) -> list[Partition]:
        starts = range(0, self.count, self.shelf)
        return [Partition(f"shelf-{start}", f"v1-{self.count}", 100 * self.shelf, start) for start in starts]

    def read(self, partition: Partition) -> Iterator[Item]:
        if partition.payload == self.deadly:
            os.kill(os.getpid(), signal.SIGSEGV)
        for number in range(partition.payload, min(partition.payload + self.shelf, self.count)):
            if number == self.torn:
                os._exit(6)
            if number == self.cursed:
                yield Item(f"poem/{number}", text=Deadly("thorns"), licence="CC0-1.0")
                continue
            word = "POISON" if number in self.poison else "rose"
            text = f"Poem {number}: a {word} is a rose that is poem number {number}.\n" * (1 + number % 3)
            yield Item(f"poem/{number}", raw=text.encode(), licence="CC0-1.0", domain="poetry", language="en")


class Pictures(Source):
    """Poems with pictures in turn, all of one caption."""

    kind: Literal["pictures"] = "pictures"
    count: int = 10
    pictures: bool = True

    def partitions(self) -> list[Partition]:
        return [Partition(f"shelf-{start}", f"v1-{self.count}", 10**5, start) for start in range(0, self.count, 10)]

    def read(self, partition: Partition) -> Iterator[Item]:
        for number in range(partition.payload, min(partition.payload + 10, self.count)):
            if number % 2 and self.pictures:
                data = b"\x89PNG%d" % number
                yield Item(f"picture/{number}", text="a rose", media=data, media_type="image/png", licence="CC0-1.0")
            else:
                yield Item(f"poem/{number}", text=f"A rose, number {number}.\n", licence="CC0-1.0")


class Roses(Signal):
    """Counts roses; ``how`` says what a poisoned text does, and ``touched`` names a file that notes each batch."""

    kind: Literal["roses"] = "roses"
    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {"roses": "int32"}
    how: Literal["raise", "exit", "kill", "hang", "flaky", "eat"] = "raise"
    touched: str | None = None
    slow: float = 0.0

    def compute(self, batch: Any) -> Any:
        if self.touched:
            with Path(self.touched).open("a") as file:
                file.write(f"{batch.num_rows}\n")
        time.sleep(self.slow)
        texts = batch.column("text").to_pylist()
        if any("POISON" in text for text in texts):
            self._die()
        return self.batch(roses=[text.count("rose") for text in texts])

    def _die(self) -> None:
        if self.how == "raise":
            raise ValueError("a thorn")
        if self.how == "exit":
            os._exit(7)
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "eat":
            eaten = []
            while True:
                eaten.append(b"x" * 10**7)
                time.sleep(0.005)
        if self.how == "hang":
            time.sleep(60)
        if self.how == "flaky" and not Path(f"{self.touched}.once").exists():
            Path(f"{self.touched}.once").touch()
            os._exit(9)


class Liar(Signal):
    """Breaks its contract: a row too few."""

    kind: Literal["liar"] = "liar"
    columns: ClassVar[dict[str, str]] = {"roses": "int32"}

    def compute(self, batch: Any) -> Any:
        return self.batch(roses=[1] * (batch.num_rows - 1))
