"""Files in the stores that fsspec knows (``s3://``, ``gs://``, ``hf://``, ``memory://``, …)."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from typing import IO, Any, cast
from urllib.parse import urlsplit, urlunsplit

from seedstock.errors import DataError
from seedstock.ledger.ids import digest

_MARKS = ("ETag", "etag", "checksum", "md5", "md5Hash", "sha256", "blob_id", "LastModified", "last_modified", "mtime")


def store(url: str, where: str) -> tuple[Any, str]:
    """(file system, path in it) of a URL. Raises DataError where fsspec or the store's own package is missing."""
    try:
        import fsspec
    except ImportError:
        raise DataError(
            f"{public(url)} needs fsspec", where=where, fix="pip install 'seedstock[cloud]', or copy the files here"
        ) from None
    try:
        return fsspec.core.url_to_fs(url)
    except ImportError as error:
        web = url.startswith(("http://", "https://"))
        fix = "pip install 'seedstock[cloud]'" if web else "install the package that this store needs"
        raise DataError(f"{public(url)}: {error}", where=where, fix=fix) from None
    except (ValueError, OSError) as error:
        raise DataError(f"{public(url)}: {error}", where=where, fix="mend the path in the recipe") from None


def below(url: str, where: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(URL, name below ``url``, what the store says of it) of a file, or of the files of a folder or glob.

    Raises DataError where the store does not answer.
    """
    system, path = store(url, where)
    try:
        if glob.has_magic(path) and not url.startswith(("http://", "https://")):
            fixed = path.split("/")[:-1]
            fixed = fixed[: next((at for at, part in enumerate(fixed) if glob.has_magic(part)), len(fixed))]
            listed = system.glob(path, detail=True)
            top = "/".join(fixed)
        else:
            about = system.info(path)
            if about.get("type") != "directory":
                yield url, plain_name(path), about
                return
            listed, top = system.find(path, detail=True), system._strip_protocol(path)
    except FileNotFoundError:
        return
    except Exception as error:  # each store raises errors of its own
        raise DataError(
            f"the store does not answer: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            where=f"{where}: {public(url)}",
            fix="see the address, the rights and the network",
        ) from error
    for found, about in sorted(listed.items()):
        if about.get("type") == "file":
            yield system.unstrip_protocol(found), found.removeprefix(top).lstrip("/"), about


def plain_name(path: str) -> str:
    """The last part of a path or web address, without a query, which may hold a signature."""
    return urlsplit(path).path.rpartition("/")[2] if "://" in path else path.rstrip("/").rpartition("/")[2]


def public(url: str) -> str:
    """A URL without user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return plain_name(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def stamp(about: dict[str, Any]) -> str:
    """What changes when a stored file does: its size and every mark that its store gives."""
    return digest([about.get("size"), *(str(about[name]) for name in _MARKS if about.get(name))])[:32]


def stamp_now(url: str) -> str:
    """The stamp of a file as it is now. Raises OSError."""
    system, path = _store(url)
    return stamp(_answered(lambda: system.info(path)))


def open_file(url: str, *, seekable: bool = True) -> IO[bytes]:
    """A file. Raises OSError.

    One that need not be ``seekable`` is read in one go where a web server does not say that it gives ranges.
    """
    system, path = _store(url)
    web = url.startswith(("http://", "https://"))
    if web and not seekable and not _answered(lambda: system.info(path)).get("partial"):
        return cast(IO[bytes], _answered(lambda: system.open(path, "rb", block_size=0)))
    return cast(IO[bytes], _answered(lambda: system.open(path, "rb")))


def _store(url: str) -> tuple[Any, str]:
    try:
        return store(url, "a source")
    except DataError as error:
        raise OSError(error.what) from error


def _answered(ask: Any) -> Any:
    """What a store answers; its own errors become OSError."""
    try:
        return ask()
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
