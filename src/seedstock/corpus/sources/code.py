"""Code repositories: checkouts, folders and archives, one document a file, with language, licence and origin."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from seedstock.config import Bytes
from seedstock.corpus.rights.stated import LICENCE_FILE, LONGEST, of_file, tagged
from seedstock.corpus.sources import git_checkout, zips
from seedstock.corpus.sources.base import Item, Partition, Source, Unreadable, sample, share
from seedstock.corpus.sources.files import Found, expand, find, problem, stem, stream
from seedstock.corpus.sources.languages_of_code import DATA, DOCS, generated, language_of, may_be_code, vendored
from seedstock.corpus.sources.members import tar
from seedstock.corpus.sources.ranges import Piece
from seedstock.corpus.sources.streams import is_url
from seedstock.ledger.ids import digest

CHUNK = 4 * 2**20  # bytes of files in one partition
ARCHIVES = (".tar", ".zip")
_PAX_COMMIT = re.compile(rb"52 comment=([0-9a-f]{40})\n")  # as ``git archive`` writes it


class Code(Source):
    """Repositories: each ``path`` is a git checkout, a folder of files, or a tar or zip archive (a glob takes several).

    Of a checkout those files are read that git tracks. The language is told by a file's name or first line;
    ``languages`` chooses some, and files in none that is known are left out. The licence is that of a file's own SPDX
    tags, or that of the nearest licence file above it. The meta holds repository, path and commit, and says
    ``vendored`` and ``generated`` of files that are; ``vendored: false`` and ``generated: false`` leave those out.
    Files longer than ``longest``, binary ones and links go to quarantine. The domain is code, docs or data.
    """

    version: ClassVar[int] = 2
    kind: Literal["code"] = "code"
    path: str | list[str]
    languages: tuple[str, ...] | None = None
    longest: Annotated[Bytes, Field(gt=0)] = 2**20
    vendored: bool = True
    generated: bool = True

    def partitions(self) -> list[Partition]:
        where = f"source {self.name!r}"
        archives, parts = list[Partition](), list[Partition]()
        for path in [self.path] if isinstance(self.path, str) else self.path:
            place = None if is_url(path) else expand(path, where)
            if place is not None and place.is_dir():
                parts += self._folder(place, where)
                continue
            for file in find(path, ARCHIVES, where):
                archives.append(Partition(file.name, file.fingerprint, file.bytes, ("archive", file.path, file.name)))
        names = [part.name for part in (*parts, *archives)]
        if len(set(names)) < len(names):
            parts = [_renamed(part, number) for number, part in enumerate(parts)]
        return [*parts, *share(archives, self.limit)]

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        how, *payload = partition.payload
        yield from self._archive(*payload) if how == "archive" else self._files(*payload)

    def _folder(self, root: Path, where: str) -> Iterator[Partition]:
        """The files of a checkout or folder, in chunks."""
        own = git_checkout.tracked(root)
        commit = git_checkout.commit(root)
        name = root.resolve().name
        found = [file for file in find(str(root), ("",), where) if own is None or file.name in own]
        # A folder within the folder may be a checkout of its own; what is tracked is told by its names below the root.
        texts = {file.name: file for file in found if _licence_file(file.name)}
        licences = _by_folder({path: _licence(file) for path, file in texts.items()})
        about = {"repository": name, "commit": commit, "address": git_checkout.address(root, commit)}
        files = [file for file in found if self._wanted(file.name)]
        chosen = sample({f"{name}/{file.name}": file.bytes for file in files}, self.limit)
        chunk, size, number = list[Found](), 0, 0
        for file in [file for file in files if f"{name}/{file.name}" in chosen]:
            if chunk and size + file.bytes > CHUNK:
                yield _chunk(name, number, chunk, about, licences)
                chunk, size, number = [], 0, number + 1
            chunk.append(file)
            size += file.bytes
        if chunk:
            yield _chunk(name, number, chunk, about, licences)

    def _wanted(self, path: str) -> bool:
        if _licence_file(path) or not may_be_code(path) or (not self.vendored and vendored(path)):
            return False
        language = language_of(path)
        return self.languages is None or language is None or language in self.languages

    def _files(
        self, files: list[tuple[str, str]], about: dict[str, Any], licences: dict[str, tuple[str | None, str]]
    ) -> Iterator[Item | Unreadable]:
        for path, name in files:
            where = f"{about['repository']}/{name}"
            try:
                with stream(path) as file:
                    data = file.read(self.longest + 1)
            except OSError as error:
                yield Unreadable(where, f"cannot be read: {problem(error)}")
                continue
            if found := self._item(name, data, about, licences):
                yield found

    def _archive(self, path: str, name: str) -> Iterator[Item | Unreadable]:
        texts = dict[str, str | None]()
        packed = name.lower().endswith(".zip")
        try:
            about = {"repository": _repository(name), "commit": _commit(path, packed), "address": None}
        except zips.DAMAGE as error:
            yield Unreadable(name, f"the archive cannot be read: {problem(error)}")
            return
        # Once for the licences, which may follow the files that they cover, then for the files.
        for member in self._members(path, name, packed, LONGEST, _licence_file):
            if not isinstance(member, Unreadable):
                below = member[0].partition("/")[2]
                texts[below] = of_file(member[1].decode("utf-8", "replace"))
        licences = _by_folder(texts)
        for member in self._members(
            path, name, packed, self.longest, lambda name: self._wanted(name.partition("/")[2])
        ):
            if isinstance(member, Unreadable):
                if member.locator == name or self._wanted(member.locator.partition("/")[2]):
                    yield member
            elif found := self._item(member[0].partition("/")[2], member[1], about, licences, name):
                yield found

    def _members(self, path: str, name: str, packed: bool, limit: int, wanted: Any) -> Iterator[Any]:
        plain = name.replace("/", "\\")  # the archive's name is one part of its members' names
        found = zips.members(path, plain, limit, wanted) if packed else tar(Piece(path, plain, ""), limit)
        for member in found:
            if isinstance(member, Unreadable) and member.locator == plain:
                yield Unreadable(name, member.reason)
            elif isinstance(member, Unreadable) or wanted(member[0]):
                yield member

    def _item(
        self,
        path: str,
        data: bytes,
        about: dict[str, Any],
        licences: dict[str, tuple[str | None, str]],
        archive: str | None = None,
    ) -> Item | Unreadable | None:
        where = f"{archive or about['repository']}/{path}"
        language = language_of(path, data[:200])
        if language is None or (self.languages is not None and language not in self.languages) or not data:
            return None
        if len(data) > self.longest:
            return Unreadable(where, f"longer than {self.longest} bytes")
        encoding = _encoding(data)
        if encoding is None:
            return Unreadable(where, "a binary file")
        text = data.decode(encoding, "replace")
        by_machine, foreign = generated(path, text, language), vendored(path)
        if by_machine and not self.generated:
            return None
        folder = path.rpartition("/")[0]
        while folder and folder not in licences:
            folder = folder.rpartition("/")[0]
        licence, evidence = licences.get(folder, (None, ""))
        if tag := tagged(text[:4000]):
            licence, evidence = tag, "the file's own SPDX tag"
        elif foreign and not folder:
            licence, evidence = None, ""  # the licence at the top is that of the repository's own files
        domain = "docs" if language in DOCS else "data" if language in DATA else "code"
        meta = {
            "format": language if domain == "docs" else None,
            "path": path,
            "repository": about["repository"],
            "commit": about["commit"],
        }
        flags = {"vendored": foreign, "generated": by_machine}
        known = licence is not None or evidence or foreign
        return Item(
            where,
            raw=data,
            encoding=encoding,
            url=f"{about['address']}{path}" if about["address"] else None,
            licence=(licence or "") if known else None,
            licence_evidence=evidence or ("a vendored file without a licence of its own" if foreign else None),
            domain=domain,
            language=language if domain != "docs" else None,
            meta={key: value for key, value in (meta | flags).items() if value},
        )


def _chunk(name: str, number: int, files: list[Found], about: dict[str, Any], licences: dict[str, Any]) -> Partition:
    mark = digest([[[file.name, file.fingerprint] for file in files], about, sorted(licences.items())])
    payload = ("files", [(file.path, file.name) for file in files], about, licences)
    return Partition(f"{name}:{number}", mark, sum(file.bytes for file in files), payload)


def _renamed(part: Partition, number: int) -> Partition:
    from dataclasses import replace

    return replace(part, name=f"{part.name}#{number}")


def _licence_file(path: str) -> bool:
    """``LICENSE.md``, and not ``licence.py``."""
    return LICENCE_FILE.search(path) is not None and language_of(path) in (None, *DOCS)


def _licence(file: Found) -> str | None:
    try:
        with stream(file.path) as opened:
            return of_file(opened.read(LONGEST).decode("utf-8", "replace"))
    except OSError:
        return None


def _by_folder(found: dict[str, str | None]) -> dict[str, tuple[str | None, str]]:
    """(licence, evidence) by folder; several licence files in one bind together, whatever their authors meant."""
    folders: dict[str, list[str]] = {}
    for path in sorted(found):
        folders.setdefault(path.rpartition("/")[0], []).append(path)
    result: dict[str, tuple[str | None, str]] = {}
    for folder, paths in folders.items():
        names = dict.fromkeys(found[path] for path in paths)
        listed = ", ".join(paths[:3])
        if None in names:
            result[folder] = None, f"the licence file {listed}, which is not understood"
        else:
            result[folder] = (
                " AND ".join(f"({name})" if " OR " in str(name) and len(names) > 1 else str(name) for name in names),
                f"the licence file {listed}",
            )
    return result


def _repository(name: str) -> str:
    plain = stem(name.rpartition("/")[2])
    return plain[:-4] if plain.lower().endswith(ARCHIVES) else plain


def _commit(path: str, packed: bool) -> str | None:
    """The commit that an archive made by git names in its head, or a zip archive in its comment."""
    if packed:
        with zips.opened(path) as archive:
            found = archive.comment[:64].decode("ascii", "replace")
        return found if re.fullmatch(r"[0-9a-f]{40}", found) else None
    with stream(path) as file:
        match = _PAX_COMMIT.search(file.read(2048))
    return match[1].decode() if match else None


def _encoding(data: bytes) -> str | None:
    """UTF-8, or UTF-16 where a mark says so, or Latin-1 where a Python file declares it; None for a binary file."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in data[:8192]:
        return None
    if declared := re.match(rb"(?:[^\n]*\n)?[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", data[:400]):  # PEP 263
        try:
            return codecs.lookup(declared[1].decode()).name
        except LookupError:
            pass
    return "utf-8"
