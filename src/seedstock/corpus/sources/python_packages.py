"""The machine's own Python installation: the standard library and every installed distribution.

What is taken: modules (``.py``), and texts (``.md``, ``.rst``, ``.txt``), and the long description in a distribution's
metadata. What is left out, and why:

- folders of tests: mostly fixtures and numbers;
- vendored copies of other projects: their licence is not the one that the distribution declares;
- files of an editable installation, start-up hooks and ``_sysconfigdata``: they hold paths of this machine;
- distributions without a release behind them (editable ones, and Seedstock itself);
- files outside the packages' own folder (scripts, manual pages), and empty files.
"""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import re
import sysconfig
import tokenize
from collections.abc import Iterator
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Literal, cast

from seedstock.corpus.sources.base import Item, Partition, Source, Unreadable, sample
from seedstock.corpus.sources.files import problem
from seedstock.corpus.sources.licences import declared
from seedstock.ledger.ids import digest

STDLIB = "python"
SUFFIXES = {".py": "code", ".md": "docs", ".rst": "docs", ".txt": "docs"}
CHUNK = 4 * 2**20  # bytes of files in one partition, so that one large distribution is shared between workers
_LEFT_OUT = re.compile(
    r"(^|/)(tests?|testing|idle_test|_vendor|vendored|_vendored|site-packages|dist-packages|__pycache__"
    r"|[^/]*\.(dist|egg)-info)/"
    r"|(^|/)(__editable__|_sysconfigdata|sitecustomize|usercustomize|_virtualenv)[^/]*$"
    r"|(^|/)\.\.(/|$)|^/"
)
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
        found = {(name, path): entry for name, files in self._packages() for path, entry in files.items()}
        chosen = self._chosen({f"{name}/{path}": entry[1] for (name, path), entry in found.items()})
        groups: dict[str, list[tuple[str, int, str, str]]] = {}
        for (name, path), (place, size, content) in found.items():
            if f"{name}/{path}" in chosen:
                groups.setdefault(name, []).append((path, size, content, place))
        return [part for name in sorted(groups) for part in _chunks(name, groups[name])]

    def _chosen(self, sizes: dict[str, int]) -> set[str]:
        """A sample within the limit; a name has no version in it, so that an upgrade keeps the sample.

        Texts are few beside modules, and would vanish in a plain sample: they get up to a quarter of the room first.
        """
        if self.limit is None:
            return set(sizes)
        texts = {name: size for name, size in sizes.items() if not name.endswith(".py")}
        taken = sample(texts, self.limit // 4)
        rest = self.limit - sum(sizes[name] for name in taken)
        return taken | sample({name: size for name, size in sizes.items() if name not in texts}, rest)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        package, files, place = partition.payload
        about = _standard_library() if package == STDLIB else _distribution(place)
        for path in files:
            locator = f"{about['package']}=={about['version']}/{path}"
            try:
                yield self._item(Path(place).parent / path if package != STDLIB else Path(place) / path, path, about)
            except (OSError, SyntaxError, LookupError) as error:
                yield Unreadable(locator, f"cannot be read: {problem(error)}")

    def _item(self, file: Path, path: str, about: dict[str, str]) -> Item:
        item = Item(
            locator=f"{about['package']}=={about['version']}/{path}",
            url=about["url"] + (path if about["url"].endswith("/Lib/") else ""),
            licence=about["licence"] or None,
            licence_evidence=about["evidence"],
            meta={"package": about["package"], "version": about["version"], "path": path},
        )
        if file.name in ("METADATA", "PKG-INFO"):
            described = _core(metadata.Distribution.at(file.parent))
            item.text = described.get("Description") or str(described.get_payload() or "")
            item.domain, item.title = "docs", about["title"]
            return item
        item.raw = file.read_bytes()
        item.domain = SUFFIXES[file.suffix]
        if item.domain == "code":
            item.language = "python"
            item.encoding, _ = tokenize.detect_encoding(io.BytesIO(item.raw).readline)  # PEP 263
        return item

    def _packages(self) -> Iterator[tuple[str, dict[str, tuple[str, int, str]]]]:
        """(name, {path: (place, bytes, content)}) of each package, where ``content`` changes with the file."""
        if self._wanted(STDLIB):
            yield STDLIB, _library_files()
        seen = {"seedstock"}
        for found in metadata.distributions():
            name = _normal(found.metadata["Name"] or "")
            if name and name not in seen and self._wanted(name):
                seen.add(name)
                if not _editable(found):
                    yield name, _files(found)

    def _wanted(self, name: str) -> bool:
        included = self.include is None or name in {_normal(entry) for entry in self.include}
        return included and name not in {_normal(entry) for entry in self.exclude}


def _normal(name: str) -> str:
    """A distribution's name in the spelling of PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _chunks(name: str, files: list[tuple[str, int, str, str]]) -> Iterator[Partition]:
    number, chunk, size = 0, list[tuple[str, int, str, str]](), 0
    for entry in sorted(files):
        if chunk and size + entry[1] > CHUNK:
            yield _partition(name, number, chunk, size)
            number, chunk, size = number + 1, [], 0
        chunk.append(entry)
        size += entry[1]
    if chunk:
        yield _partition(name, number, chunk, size)


def _partition(name: str, number: int, files: list[tuple[str, int, str, str]], size: int) -> Partition:
    content = digest([[path, bytes_, content] for path, bytes_, content, _ in files])
    return Partition(f"{name}:{number}", content, size, (name, [path for path, *_ in files], files[0][3]))


def _library_files() -> dict[str, tuple[str, int, str]]:
    root = sysconfig.get_path("stdlib")
    found = {}
    for folder, folders, names in os.walk(root):
        below = folder[len(root) + 1 :].replace(os.sep, "/")
        folders[:] = [name for name in folders if not _LEFT_OUT.search(f"{name}/")]
        for name in names:
            path = f"{below}/{name}" if below else name
            if path.endswith(".py") and not _LEFT_OUT.search(path) and (size := os.stat(f"{folder}/{name}").st_size):  # noqa: PTH116
                found[path] = (root, size, f"{platform.python_version()}-{size}")
    return found


def _files(found: metadata.Distribution) -> dict[str, tuple[str, int, str]]:
    """A distribution's files by its installation record, which has their digests; the place is its metadata folder."""
    # Plain strings and os: a large environment lists forty thousand files, and this runs before every run.
    folder = str(found._path)  # type: ignore[attr-defined] # there is no public way from a distribution to its place
    parent, _, own = folder.rpartition("/")
    record = found.read_text("RECORD")
    listed = csv.reader(record.splitlines()) if record else ([str(path), "", ""] for path in found.files or [])
    files = {}
    for path, content, *_ in listed:
        inside = path.startswith(f"{own}/")
        wanted = path.endswith(tuple(SUFFIXES)) and not _LEFT_OUT.search(path)
        if not (path in (f"{own}/METADATA", f"{own}/PKG-INFO") if inside else wanted):
            continue
        try:
            size = os.stat(f"{parent}/{path}").st_size  # noqa: PTH116
        except OSError:
            size = -1  # listed but gone: reading it says so
        if size:
            files[path] = (folder, max(size, 1), f"{content}-{size}")
    return files


def _editable(found: metadata.Distribution) -> bool:
    """Whether a distribution is installed as a link to a working folder (PEP 610)."""
    try:
        direct = json.loads(found.read_text("direct_url.json") or "{}")
    except ValueError:
        return False
    return bool(direct.get("dir_info", {}).get("editable"))


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


def _core(found: metadata.Distribution) -> Message:
    """A distribution's core metadata; what importlib.metadata promises of it is less than what it gives."""
    return cast(Message, found.metadata)


def _distribution(folder: str) -> dict[str, str]:
    found = metadata.Distribution.at(folder)
    about = _core(found)
    licence, evidence = declared(about, lambda: _licence_text(found))
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


def _licence_text(found: metadata.Distribution) -> str:
    """The licence files of a distribution, joined."""
    names = re.compile(r"(^|/)(licen[cs]e|copying)[^/]*$", re.IGNORECASE)
    paths = sorted(str(path) for path in found.files or [] if names.search(str(path)) and path.suffix != ".py")
    texts = []
    for path in paths:
        try:
            texts.append(Path(str(found.locate_file(path))).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return "\n".join(texts)
