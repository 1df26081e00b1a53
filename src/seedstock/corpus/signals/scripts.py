"""The script that most letters of a text are in, by Unicode; codes of ISO 15924."""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np

NO_SCRIPT = "Zyyy"

# How Unicode names begin the letters of each script; the more widely written first: ties go to the first.
NAMES = {
    "LATIN": "Latn",
    "CJK": "Hani",
    "CYRILLIC": "Cyrl",
    "ARABIC": "Arab",
    "DEVANAGARI": "Deva",
    "HIRAGANA": "Hira",
    "KATAKANA": "Kana",
    "HANGUL": "Hang",
    "GREEK": "Grek",
    "HEBREW": "Hebr",
    "THAI": "Thai",
    "BENGALI": "Beng",
    "TAMIL": "Taml",
    "TELUGU": "Telu",
    "KANNADA": "Knda",
    "MALAYALAM": "Mlym",
    "GUJARATI": "Gujr",
    "GURMUKHI": "Guru",
    "ORIYA": "Orya",
    "SINHALA": "Sinh",
    "MYANMAR": "Mymr",
    "KHMER": "Khmr",
    "LAO": "Laoo",
    "GEORGIAN": "Geor",
    "ARMENIAN": "Armn",
    "ETHIOPIC": "Ethi",
    "TIBETAN": "Tibt",
    "MONGOLIAN": "Mong",
    "CHEROKEE": "Cher",
    "CANADIAN SYLLABICS": "Cans",
    "TIFINAGH": "Tfng",
    "YI": "Yiii",
    "SYRIAC": "Syrc",
    "THAANA": "Thaa",
    "NKO": "Nkoo",
    "BOPOMOFO": "Bopo",
    "JAVANESE": "Java",
    "BALINESE": "Bali",
    "SUNDANESE": "Sund",
    "BATAK": "Batk",
    "BUGINESE": "Bugi",
    "TAGALOG": "Tglg",
    "CHAM": "Cham",
    "TAI LE": "Tale",
    "TAI THAM": "Lana",
    "TAI VIET": "Tavt",
    "NEW TAI LUE": "Talu",
    "LEPCHA": "Lepc",
    "LIMBU": "Limb",
    "OL CHIKI": "Olck",
    "MEETEI MAYEK": "Mtei",
    "SAURASHTRA": "Saur",
    "VAI": "Vaii",
    "BAMUM": "Bamu",
    "LISU": "Lisu",
    "ADLAM": "Adlm",
    "CHAKMA": "Cakm",
    "GRANTHA": "Gran",
    "OSMANYA": "Osma",
    "GOTHIC": "Goth",
    "COPTIC": "Copt",
    "RUNIC": "Runr",
    "OGHAM": "Ogam",
    "DESERET": "Dsrt",
    "EGYPTIAN HIEROGLYPH": "Egyp",
    "CUNEIFORM": "Xsux",
}
# Letters whose names number them: ranges of code points, by what their names begin with.
NUMBERED = {"CJK": ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0x20000, 0x32000)), "HANGUL": ((0xAC00, 0xD7A4),)}
LAST = 0x32000


def scripts(texts: list[str]) -> list[str]:
    """The ISO 15924 code of most letters of each text; ``Zyyy`` where it has none."""
    codes = np.array([*NAMES.values(), NO_SCRIPT], object)
    found = np.full(len(texts), len(NAMES))
    rest = []
    for row, text in enumerate(texts):
        if not text.isascii():
            rest.append(row)
        elif any(map(str.isalpha, text)):
            found[row] = 0
    if rest:
        lengths = np.array([len(texts[row]) for row in rest])
        points = np.frombuffer("".join(texts[row] for row in rest).encode("utf-32-le", "surrogatepass"), np.uint32)
        script = _table()[np.minimum(points, LAST)].astype(np.int64)
        owner = np.repeat(np.arange(len(rest)), lengths)
        width = len(NAMES) + 1
        counts = np.bincount(owner * width + script, minlength=width * len(rest)).reshape(-1, width)[:, :-1]
        found[rest] = np.where(counts.max(axis=1) > 0, counts.argmax(axis=1), len(NAMES))
    return codes[found].tolist()


@cache
def _table() -> np.ndarray:
    """The script's number of every code point, uint8 [LAST + 1]; ``len(NAMES)`` for what is no letter of one."""
    table = np.full(LAST + 1, len(NAMES), np.uint8)
    number = {name: at for at, name in enumerate(NAMES)}
    longest = max(name.count(" ") for name in NAMES) + 1
    points = np.arange(0x20000)
    for name, ranges in NUMBERED.items():
        for start, stop in ranges:
            table[start:stop] = number[name]
            points = points[(points < start) | (points >= stop)]
    for point in points.tolist():
        character = chr(point)
        if unicodedata.category(character)[0] != "L":
            continue
        title = unicodedata.name(character, "").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ")
        words = title.split(" ", longest)
        for count in range(longest, 0, -1):
            if (found := number.get(" ".join(words[:count]))) is not None:
                table[point] = found
                break
    return table
