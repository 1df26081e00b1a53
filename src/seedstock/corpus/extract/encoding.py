"""In which encoding a page is, and its characters with the way back to its bytes.

The order: a byte order mark; UTF-8, where it is valid and not plain ASCII; what HTTP declares; what the page declares;
what its bytes look like. Valid UTF-8 stands before any declaration: bytes of another encoding are next to never valid
UTF-8 by chance, and wrong declarations are common.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from seedstock.corpus.extract.compiled import has_controls

HEAD = 4096  # bytes in which a page may declare its encoding; browsers look at 1,024
DECLARED = re.compile(
    rb"<meta[^>]{0,512}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{2,40})|<\?xml[^>]{0,128}?encoding\s*=\s*[\"']([A-Za-z0-9_:.-]{2,40})",
    re.I,
)
MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# What browsers take for these labels (WHATWG Encoding): supersets of what they name.
AS_BROWSERS = {
    **dict.fromkeys(("ascii", "iso8859-1", "latin-1"), "cp1252"),
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
    "utf-16": "utf-16-le",
}
CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
UNKNOWN = re.compile("[\udc80-\udcff]")  # a byte that the encoding does not know, kept by "surrogateescape"
DAMAGED = 0.25  # of the characters beyond ASCII: what is called UTF-8 and has more broken ones is something else
WORST = 0.05  # share of unknown characters above which this is no text in that encoding


@dataclass(frozen=True)
class Decoded:
    """``kept`` encodes to the raw bytes from ``offset`` on; ``text`` is the same, character by character, but clean.

    ``how``: "mark", "valid", "http", "page" or "looks". ``unknown`` counts the bytes that mean nothing in ``encoding``.
    """

    text: str
    kept: str
    encoding: str
    how: str
    offset: int
    unknown: int


def decode(raw: bytes, declared: str | None = None) -> Decoded:
    """Reads a page; ``declared`` is what HTTP says of it. Raises ValueError where it is no text."""
    for mark, encoding in MARKS:
        if raw.startswith(mark):
            return _clean(raw[len(mark) :], encoding, "mark", len(mark))
    try:
        text = raw.decode()
        if "\x00" not in text[:HEAD]:
            how = "page" if text.isascii() else "valid"
            return (
                _finish(text, text, "utf-8", how, 0) if has_controls(raw) else Decoded(text, text, "utf-8", how, 0, 0)
            )
    except UnicodeDecodeError:
        pass
    named = DECLARED.search(raw, 0, HEAD)
    inside = (named[1] or named[2]).decode("ascii") if named else None
    said: tuple[tuple[str, str | None], ...] = (("http", declared), ("page", inside))
    for how, label in said:
        name = _known(label)
        if name and (name != "utf-8" or _broken(raw) <= DAMAGED):
            try:
                return _clean(raw, name, how, 0)
            except ValueError:
                continue
    return _clean(raw, _looks(raw), "looks", 0)


def _known(label: str | None) -> str | None:
    try:
        name = codecs.lookup(label or "").name
        "".encode(name)
    except (LookupError, ValueError):
        return None
    if name in ("utf-7", "punycode", "idna", "unicode_escape", "raw_unicode_escape", "utf-8-sig", "undefined"):
        return None
    return AS_BROWSERS.get(name, name)


def _broken(raw: bytes) -> float:
    """The share of characters beyond ASCII that are not UTF-8."""
    text = raw[: 1 << 18].decode("utf-8", "surrogateescape")
    beyond = sum(map(len, re.findall("[^\x00-\x7f]+", text)))
    return len(UNKNOWN.findall(text)) / max(1, beyond)


def _looks(raw: bytes) -> str:
    from seedstock.corpus.sources.base import needs

    detect = needs("resiliparse.parse.encoding", "resiliparse, which recognises encodings,", "web").detect_encoding
    return _known(detect(raw[: 1 << 17])) or "cp1252"


def _clean(raw: bytes, encoding: str, how: str, offset: int) -> Decoded:
    try:
        kept = raw.decode(encoding, "surrogateescape")
    except UnicodeError:  # UTF-16 that is cut in the middle of a character
        kept = raw.decode(encoding, "replace")
    return _finish(UNKNOWN.sub("\ufffd", kept), kept, encoding, how, offset)


def _finish(text: str, kept: str, encoding: str, how: str, offset: int) -> Decoded:
    unknown = 0 if text is kept else len(UNKNOWN.findall(kept))
    controls = len(CONTROLS.findall(text))
    if unknown + controls > WORST * max(20, len(text)):
        raise ValueError(f"no text: {unknown} bytes are not {encoding}, {controls} are control characters")
    if controls:
        text = CONTROLS.sub(" ", text)
    return Decoded(text, kept, encoding, how, offset, unknown)
