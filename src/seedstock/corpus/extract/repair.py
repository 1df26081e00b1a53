"""Small repairs of a text, each an edit with its place: mojibake, and Unicode's composed form (NFC).

Mojibake is UTF-8 that was read as Windows-1252 and written as UTF-8 again: "Ã©" for "é", "â€™" for "’". A stretch is
read back where its bytes are whole UTF-8 characters, and the text has two such stretches or one of three bytes: a
single pair could be meant. Other confusions are left as they are. Compatibility characters (ligatures, full width) are
kept: NFKC would change what was written.
"""

from __future__ import annotations

import re
import unicodedata

# Windows-1252's characters for the bytes 80 to BF, as browsers have them: its five gaps are control characters.
_CONTINUED = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0xC0))
_BYTES = {ord(char): 0x80 + at for at, char in enumerate(_CONTINUED)}
_C = "[" + re.escape(_CONTINUED) + "]"
MOJIBAKE = re.compile(f"(?:[\u00c2-\u00df]{_C}|[\u00e0-\u00ef]{_C}{_C}|[\u00f0-\u00f4]{_C}{_C}{_C})+")
LEAD = re.compile(
    "[\u00c2-\u00f4][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)
WORDS = re.compile(r"\S+")


def edits(text: str) -> list[tuple[int, int, str]]:
    """Ordered (start, end, replacement) in characters of the text: what would mend it."""
    if text.isascii():
        return []
    found = _mojibake(text) if LEAD.search(text) else []
    if unicodedata.is_normalized("NFC", text):
        return found
    taken = {start for start, _, _ in found}
    composed = [
        (word.start(), word.end(), unicodedata.normalize("NFC", word[0]))
        for word in WORDS.finditer(text)
        if not unicodedata.is_normalized("NFC", word[0])
    ]
    free = [edit for edit in composed if not any(edit[0] <= start < edit[1] for start in taken)]
    return sorted([*found, *free])


def _mojibake(text: str) -> list[tuple[int, int, str]]:
    found = []
    for match in MOJIBAKE.finditer(text):
        try:
            meant = bytes(_BYTES.get(ord(char), ord(char)) for char in match[0]).decode()
        except (UnicodeDecodeError, ValueError):
            continue
        found.append((match.start(), match.end(), meant))
    return found if len(found) > 1 or any(end - start > 2 for start, end, _ in found) else []
