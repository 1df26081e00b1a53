"""The machine's own Python installation: the standard library and every installed distribution.

Modules (``.py``), texts (``.md``, ``.rst``, ``.txt``) and the long description in a distribution's metadata become
documents; ``installed`` says what is left out. A folder inside of a package that holds a licence file of its own is
under another licence than its distribution declares: its files come without a licence.
"""

from __future__ import annotations

import io
import platform
import tokenize
from collections.abc import Iterator
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Literal, cast

from seedstock.corpus.sources.base import Item, Partition, Source, Unreadable, sample
from seedstock.corpus.sources.files import problem
from seedstock.corpus.sources.installed import DESCRIPTIONS, STDLIB, SUFFIXES, File, licence_text, normal, packages
from seedstock.corpus.sources.licences import declared
from seedstock.ledger.ids import digest

CHUNK = 4 * 2**20  # bytes of files in one partition, so that one large distribution is shared between workers
_LINKS = ("source", "source code", "repository", "github", "homepage", "home", "home-page", "documentation")


class PythonPackages(Source):
    """Every package of this Python installation with its real licence; ``include`` and ``exclude`` name distributions.

    The standard library goes by the name ``python``. ``limit`` takes a sample of the files of all of them.
    """

    kind: Literal["python-packages"] = "python-packages"
    acquisition: str | None = "read from the Python installation of the machine, through importlib.metadata"
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()

    def partitions(self) -> list[Partition]:
        found = {name: (place, files) for name, place, files in packages() if self._wanted(name)}
        chosen = self._chosen({_key(name, file): file.bytes for name, (_, files) in found.items() for file in files})
        return [
            part
            for name, (place, files) in sorted(found.items())
            for part in _chunks(name, place, [file for file in files if _key(name, file) in chosen])
        ]

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        name, place, files = partition.payload
        about = _standard_library() if name == STDLIB else _distribution(place)
        root = Path(place) if name == STDLIB else Path(place).parent
        for file in files:
            locator = f"{about['package']}=={about['version']}/{file.path}"
            try:
                item = _item(root / file.path, file, about, locator)
            except (OSError, SyntaxError, LookupError) as error:
                yield Unreadable(locator, f"cannot be read: {problem(error)}")
                continue
            if item.raw or item.text:  # not every distribution has a long description
                yield item

    def _wanted(self, name: str) -> bool:
        included = self.include is None or name in {normal(entry) for entry in self.include}
        return included and name not in {normal(entry) for entry in self.exclude}

    def _chosen(self, sizes: dict[str, int]) -> set[str]:
        """A sample within the limit.

        Texts are few beside modules, and would vanish in a plain sample: they get up to a quarter of the room first.
        """
        if self.limit is None:
            return set(sizes)
        texts = {name: size for name, size in sizes.items() if not name.endswith(".py")}
        taken = sample(texts, self.limit // 4)
        rest = self.limit - sum(sizes[name] for name in taken)
        return taken | sample({name: size for name, size in sizes.items() if name not in texts}, rest)


def _key(name: str, file: File) -> str:
    """A file's name in the sample; without a version, so that an upgrade keeps the sample."""
    last = file.path.rpartition("/")[2]
    return f"{name}/{last if last in DESCRIPTIONS else file.path}"


def _chunks(name: str, place: str, files: list[File]) -> Iterator[Partition]:
    number, chunk, size = 0, list[File](), 0
    for file in sorted(files):
        if chunk and size + file.bytes > CHUNK:
            yield Partition(f"{name}:{number}", digest(chunk), size, (name, place, chunk))
            number, chunk, size = number + 1, [], 0
        chunk.append(file)
        size += file.bytes
    if chunk:
        yield Partition(f"{name}:{number}", digest(chunk), size, (name, place, chunk))


def _item(path: Path, file: File, about: dict[str, str], locator: str) -> Item:
    item = Item(
        locator,
        url=about["url"] + (file.path if about["package"] == STDLIB else ""),
        licence=about["licence"] or None,
        licence_evidence=about["evidence"],
        meta={"package": about["package"], "version": about["version"], "path": file.path},
    )
    if file.licensed:
        item.licence = ""
        item.licence_evidence = f"{file.licensed} has a licence file of its own"
    if path.name in DESCRIPTIONS:
        described = _core(metadata.Distribution.at(path.parent))
        item.text = described.get("Description") or str(described.get_payload() or "")
        item.domain, item.title = "docs", about["title"]
        return item
    item.raw = path.read_bytes()
    item.domain = SUFFIXES[path.suffix]
    if item.domain == "code":
        item.language = "python"
        item.encoding, _ = tokenize.detect_encoding(io.BytesIO(item.raw).readline)  # PEP 263
    return item


def _core(found: metadata.Distribution) -> Message:
    """A distribution's core metadata; what importlib.metadata promises of it is less than what it gives."""
    return cast(Message, found.metadata)


def _standard_library() -> dict[str, str]:
    version = platform.python_version()
    return {
        "package": STDLIB,
        "version": version,
        "title": "Python",
        "url": f"https://github.com/python/cpython/blob/v{version}/Lib/",
        "licence": "PSF-2.0",
        "evidence": "the standard library is under the PSF licence agreement (docs.python.org/3/license.html)",
    }


def _distribution(folder: str) -> dict[str, str]:
    found = metadata.Distribution.at(folder)
    about = _core(found)
    licence, evidence = declared(about, lambda: licence_text(found))
    return {
        "package": about["Name"],
        "version": about["Version"],
        "title": f"{about['Name']}: {about.get('Summary') or ''}".rstrip(": "),
        "url": _url(about),
        "licence": licence or "",
        "evidence": f"{evidence} ({about['Name']} {about['Version']})",
    }


def _url(about: Message) -> str:
    links = {}
    for entry in about.get_all("Project-URL") or []:
        label, _, url = entry.partition(",")
        links[label.strip().lower()] = url.strip()
    best = [links[label] for label in _LINKS if label in links]
    home = about.get("Home-page")
    return next(
        (url for url in [*best, home] if url and url != "UNKNOWN"), f"https://pypi.org/project/{about['Name']}/"
    )
