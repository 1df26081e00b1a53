"""Numbers that states give to people, where form and check digits tell them from other numbers.

Sources: the rules that the issuing offices publish. ``words`` are what must stand within forty bytes where the form
alone says too little.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from seedstock.corpus.signals.checksums import date, digits, luhn, mod11_10, verhoeff, weighted


@dataclass(frozen=True)
class NationalId:
    """``regex`` finds, ``valid`` decides on what was found; without any of ``words`` nearby it does not count.

    A text that holds none of ``shapes``, where 0 is a digit and A a letter, is not searched.
    """

    country: str
    shapes: tuple[bytes, ...]
    regex: re.Pattern[bytes]
    valid: Callable[[bytes], bool]
    words: re.Pattern[bytes] | None = None


def _ssn(value: bytes) -> bool:
    """Since 2011 no area says more than that 000, 666 and 900 to 999 are never given out; three numbers are famous."""
    area, group, serial = value.split(value[3:4])
    known = digits(value) in (b"078051120", b"219099999", b"123456789")
    return not (known or area in (b"000", b"666") or area[:1] == b"9" or group == b"00" or serial == b"0000")


def _sin(value: bytes) -> bool:
    return luhn(digits(value))


def _aadhaar(value: bytes) -> bool:
    return verhoeff(digits(value))


def _nino(value: bytes) -> bool:
    return value[:2] not in (b"BG", b"GB", b"NK", b"KN", b"TN", b"NT", b"ZZ")


def _nhs(value: bytes) -> bool:
    number = digits(value)
    check = 11 - weighted(number[:9], range(10, 1, -1)) % 11
    return len(set(number)) > 1 and check % 11 == number[9] - 48 and check != 10


def _steuer(value: bytes) -> bool:
    number = digits(value)
    counts = sorted(number[:10].count(digit) for digit in set(number[:10]))
    return counts[-1] in (2, 3) and counts.count(1) >= 7 and mod11_10(number)


def _nir(value: bytes) -> bool:
    number = value.replace(b" ", b"").replace(b"2A", b"19").replace(b"2B", b"18")
    return 97 - int(number[:13]) % 97 == int(number[13:])


def _dni(value: bytes) -> bool:
    number = value.replace(b"-", b"").translate(bytes.maketrans(b"XYZ", b"012"), b"") if value[0] > 57 else value
    number = number.replace(b"-", b"")
    return b"TRWAGMYFPDXBNJZSQVHLCKE"[int(digits(number)[:8]) % 23] == value[-1]


_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ODD_DIGITS = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21)
_ODD_LETTERS = (*_ODD_DIGITS, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_ODD = dict(zip(b"0123456789" + _LETTERS, (*_ODD_DIGITS, *_ODD_LETTERS), strict=True))


def _fiscale(value: bytes) -> bool:
    even = {byte: byte - 48 if byte < 65 else byte - 65 for byte in _ODD}
    total = sum((_ODD if place % 2 == 0 else even)[byte] for place, byte in enumerate(value[:15]))
    return total % 26 == value[15] - 65


def _bsn(value: bytes) -> bool:
    number = digits(value)
    return number != b"000000000" and weighted(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def _pesel(value: bytes) -> bool:
    century, month = divmod(int(value[2:4]), 20)
    inside = century < 5 and date(value[:2], str(month).encode(), value[4:6])
    return inside and weighted(value, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def _cpf(value: bytes) -> bool:
    number = digits(value)
    first = weighted(number[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(number[:10], range(11, 1, -1)) * 10 % 11 % 10
    return len(set(number)) > 1 and bytes((48 + first, 48 + second)) == number[9:]


def _resident(value: bytes) -> bool:
    total = weighted(value[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2))
    return date(value[6:10], value[10:12], value[12:14]) and b"10X98765432"[total % 11] == value[17]


def _personnummer(value: bytes) -> bool:
    return date(value[:2], value[2:4], value[4:6]) and luhn(digits(value))


def _hetu(value: bytes) -> bool:
    number = int(value[:6] + value[7:10])
    return date(value[4:6], value[2:4], value[:2]) and b"0123456789ABCDEFHJKLMNPRSTUVWXY"[number % 31] == value[10]


def _rrn(value: bytes) -> bool:
    number = digits(value)
    check = (11 - weighted(number[:12], (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10
    return date(number[:2], number[2:4], number[4:6]) and check == number[12] - 48


def _curp(value: bytes) -> bool:
    alphabet = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
    total = sum(alphabet.index(chr(byte)) * (18 - place) for place, byte in enumerate(value[:17]))
    return date(value[4:6], value[6:8], value[8:10]) and (10 - total % 10) % 10 == value[17] - 48


def _belgian(value: bytes) -> bool:
    number = digits(value)
    checks = {97 - int(century + number[:9]) % 97 for century in (b"", b"2")}
    return date(number[:2], number[2:4], number[4:6]) and int(number[9:]) in checks


def _norwegian(value: bytes) -> bool:
    number = digits(value)
    first = weighted(number[:10], (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11
    second = weighted(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11
    return date(number[4:6], number[2:4], number[:2]) and first == 0 and second == 0


def _tfn(value: bytes) -> bool:
    return weighted(digits(value), (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def _id(country: str, shapes: str, regex: str, valid: Callable[[bytes], bool], words: str | None = None) -> NationalId:
    """``shapes`` are set off by bars."""
    nearby = re.compile(rf"(?i)(?<![a-z])(?:{words})(?![a-z])".encode()) if words else None
    whole = rf"(?<![\w.+-]){regex}(?![\w-]|\.\d)"
    return NationalId(
        country,
        tuple(shapes.encode().split(b"|")),
        re.compile(whole.encode()),
        valid,
        nearby,
    )


IDS = (
    _id("us", "000-00-0000", r"\d{3}-\d{2}-\d{4}", _ssn),
    _id("us", "000 00 0000", r"\d{3} \d{2} \d{4}", _ssn, r"ssn|social security|soc\. sec"),
    _id(
        "ca",
        "000-000-000|000 000 000",
        r"[1-79]\d{2}([ -])\d{3}\1\d{3}",
        _sin,
        "sin|social insurance|nas",
    ),
    _id("gb", "AA 00 00 00 A", r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] \d{2} \d{2} \d{2} [A-D]", _nino),
    _id("gb", "AA000000A", r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]", _nino, "nino|ni|national insurance"),
    _id("gb", "000 000 0000|000-000-0000|0000000000", r"\d{3}([ -]?)\d{3}\1\d{4}", _nhs, "nhs"),
    _id(
        "de",
        "00000000000|00 000 000 000",
        r"[1-9]\d( ?)\d{3}\1\d{3}\1\d{3}",
        _steuer,
        "steuer[a-z-]*|id-?nr|identifikationsnummer|tin",
    ),
    _id(
        "fr", "000000000000000|0 00 00|00 000 000 00", r"[12] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", _nir
    ),
    _id("es", "00000000A|00000000-A", r"\d{8}-?[A-HJ-NP-TV-Z]", _dni, "dni|nif|documento|identidad"),
    _id("es", "A0000000A|A-0000000-A|A-0000000A|A0000000-A", r"[XYZ]-?\d{7}-?[A-HJ-NP-TV-Z]", _dni),
    _id("it", "AAAAAA00A00A000A", r"[A-Z]{6}\d{2}[A-EHLMPRST][0-7]\d[A-Z]\d{3}[A-Z]", _fiscale),
    _id("nl", "000000000", r"\d{9}", _bsn, "bsn|burgerservicenummer|sofi-?nummer"),
    _id("pl", "00000000000", r"\d{11}", _pesel, "pesel"),
    _id("br", "000.000.000-00", r"\d{3}\.\d{3}\.\d{3}-\d{2}", _cpf),
    _id(
        "in",
        "0000 0000 0000|0000-0000-0000|000000000000",
        r"[2-9]\d{3}([ -]?)\d{4}\1\d{4}",
        _aadhaar,
        "aadhaar|aadhar|uidai",
    ),
    _id("cn", "00000000000000000", r"[1-8]\d{16}[\dX]", _resident),
    _id("se", "000000-0000|000000+0000", r"\d{6}[-+]\d{4}", _personnummer),
    _id("fi", "000000A000|000000-000|000000+000", r"\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]", _hetu),
    _id("kr", "000000-0000000", r"\d{6}-[1-8]\d{6}", _rrn),
    _id("mx", "AAAA000000AAAAAA", r"[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{2}[B-DF-HJ-NP-TV-Z]{3}[0-9A-Z]\d", _curp),
    _id("be", "00.00.00-000.00", r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", _belgian),
    _id("no", "00000000000|000000 00000", r"[0-3]\d[01]\d{3} ?\d{5}", _norwegian),
    _id("au", "000000000|000 000 000|000000 000|000 000000", r"\d{3} ?\d{3} ?\d{3}", _tfn, "tfn|tax file"),
)
