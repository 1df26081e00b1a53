"""Telephone numbers, IP addresses, payment cards and bank accounts: what they look like, and what tells them apart.

Every function takes a window of a text and gives the (start, end) of what it finds there. Patterns have bounds, so that
a window of any shape is searched in linear time.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from seedstock.corpus.signals.checksums import digits, luhn, mod97
from seedstock.corpus.signals.national_ids import IDS

Span = tuple[int, int]
NEAR = 40  # bytes before a find in which a word may say what it is

# E.164 country codes by how many digits follow them at least and at most (national numbering plans).
_FOLLOWING = {
    (6, 6): "247 290 298 299 500 672 682 687",
    (6, 7): "597 676 677 678 683 688 690",
    (6, 8): "47 386 686",
    (6, 9): "40 252 355 376 421 508 681 689",
    (6, 10): "27 48 53 64 95 98 685 880",
    (6, 11): "31 352 375 595 852",
    (6, 12): "39 43 46 49 61 63 82 358 359 381 598 971",
    (7, 7): "238 239 246 248 269 291 297 592 673 674 680 691 692",
    (7, 8): "241 599 670 675 853 961 965 975",
    (7, 9): "220 231 245 265 354 385 423 967 968",
    (7, 10): "1 44 84 230 243 254 263 267 353 372 960",
    (7, 11): "501 503 507 679 886 974",
    (7, 12): "62 86 90 882 972",
    (8, 8): "45 216 222 223 226 227 228 232 235 236 253 257 266 350 356 357 370 371 373 374 389 505 509 800"
    " 808 973 993",
    (8, 9): "32 36 51 213 224 233 237 250 258 264 268 377 382 387 591 962 963",
    (8, 10): "20 60 378 506 850 855 856 964 970 976",
    (8, 11): "55 57 65 502 504 593 977",
    (8, 12): "66 81 91 92 383 883",
    (9, 9): "33 34 93 94 211 212 218 221 240 242 244 249 251 255 256 260 261 262 351 590 594 596 979 992 994 995 998",
    (9, 10): "380 881 966 996",
    (9, 11): "56",
    (9, 12): "41 420 870",
    (10, 10): "52 58 225 229",
    (10, 11): "54",
    (10, 12): "7 30 234",
    (11, 11): "888",
    (12, 12): "878",
}
_CODES = {code: bounds for bounds, codes in _FOLLOWING.items() for code in codes.encode().split()}

_PLUS = re.compile(
    rb"(?<![\w+.)\]])(?:\+|00(?=[1-9]))([1-9]\d{0,2}(?:[ ./-]{0,2}(?:\(\d{1,5}\)|\d)){6,17})(?!\w|[.-]\d|[*^])"
)
_NORTH_AMERICA = re.compile(
    rb"(?<![\w.+/-])(?:\+?1([ .-]))?(\()?([2-9]\d\d)(?(2)\))([ .-]?)([2-9]\d\d)([ .-])(\d{4})(?![\w/]|[.-]\d)"
)
_FRANCE = re.compile(rb"(?<![\w.+/-])(?<!\d )0[1-9](?:([ .-])\d\d(?:\1\d\d){3})(?![\w]|[ .-]?\d)")
_NAMED = re.compile(rb"(?<![\w.+])\(?0?\d{2,5}\)?(?:[ ./-]{1,3}\d{2,8}|\d{4,9}){1,4}(?![\w]|[.-]\d)")
_FRACTION = re.compile(rb"^\d+\.\d$")
_DATE = re.compile(rb"(?:19|20)\d\d[-/. ][01]?\d[-/. ][0-3]?\d|[0-3]?\d[-/. ][01]?\d[-/. ](?:19|20)\d\d$")
_PHONE_WORDS = re.compile(
    rb"(?i)(?:(?<![a-z])(?:tel|phone|telephone|telefon|telefono|t\xc3\xa9l|t\xc3\xa9l\xc3\xa9phone|tlf|fax|mobile|mobil"
    rb"|cell|handy|m\xc3\xb3vil|portable|whatsapp|call (?:us|me)|hotline|sms)(?:[ ._-]?(?:number|no|nr))?\.?"
    rb"[\]\"')*]{0,2} ?(?::|=|at|is)?|\xe2\x98\x8e|\xf0\x9f\x93\x9e)[\s:\"'(>*]{0,6}$"
)

# One of these is in every word for a telephone: a window without any need not be searched for one.
_PHONE_SIGNS = (
    *(b"tel", b"phone", b"t\xc3\xa9l", b"tlf", b"fax", b"mobil", b"cell", b"handy", b"m\xc3\xb3vil", b"portable"),
    *(b"whatsapp", b"call ", b"hotline", b"sms", b"\xe2\x98\x8e", b"\xf0\x9f\x93\x9e"),
)

_QUAD = re.compile(rb"(?<![\w.:/@+-])(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?![\w@-]|\.\w|/\d)")
_LINKED_QUAD = re.compile(rb"(?<=://)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?=[:/\s\"'<>)]|$)")
_VERSION = re.compile(
    rb"(?i)(?:\bv|version|release|rev|build|section|chapter|clause|appendix|\xc2\xa7|[=~<>!]=|[~^]|oid|sect?\.|fig(?:ure)?)"
    rb"[\s:\"'(]{0,3}$"
)
_ADDRESS_WORDS = re.compile(
    rb"(?i)(?<![a-z])(?:ips?|ipv4|address(?:es)?|host|client|server|dns|from|ping|peer|route)\W"
)
_GROUPS = re.compile(rb"(?<![\w:.])[23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])")

_CARD = re.compile(
    rb"(?<![\w.+-])(?<![A-Z]{2}\d\d )(?<!\d{4} )"
    rb"(?:\d{12,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|3\d{3}([ -])\d{6}\2\d{4,5})(?![\w-]|[.,]\d| \d{4}\b)"
)
# What issuers publish for testing belongs to nobody.
_TEST_CARDS = set(
    b"4111111111111111 4242424242424242 4012888888881881 4222222222222 5555555555554444 5105105105105100"
    b" 378282246310005 371449635398431 378734493671000 30569309025904 38520000023237 6011111111111117 6011000990139424"
    b" 3530111333300000"
    b" 3566002020360505 2223003122003222 4000056655665556 5200828282828210 4000000000000002".split()
)

_IBAN = re.compile(rb"(?<![\w])[A-Z]{2}\d{2}(?:[A-Z0-9]{10,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,4})?)(?![\w])")
# Characters of an IBAN by country (the registry of ISO 13616).
_IBAN_LENGTHS = {
    code: int(length)
    for length, codes in {
        "15": "NO", "16": "BE", "18": "DK FI FO GL NL SD", "19": "MK SI", "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG", "25": "LY PT ST", "26": "IS TR", "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO GT HU LB NI PL SV", "29": "BR EG PS QA UA", "30": "JO KW MU YE", "31": "MT SC",
        "32": "LC", "33": "RU",
    }.items()
    for code in codes.encode().split()
}  # fmt: skip


def phones(window: bytes) -> Iterator[Span]:
    """International numbers, North American and French ones by their form, others after a word such as ``Tel.``"""
    for match in _PLUS.finditer(window):
        if _e164(match[1]) and not _FRACTION.search(match[1]):
            yield match.span()
    for match in _NORTH_AMERICA.finditer(window):
        country, bracket, area, first, exchange, second, line = match.groups()
        formed = bracket or first == second
        loose = not bracket and second == b" " and not country
        fiction = exchange == b"555" and line[:2] == b"01"
        if area[1:] == b"11" or exchange[1:] == b"11" or not formed or fiction:
            continue
        if not loose or _PHONE_WORDS.search(window[max(0, match.start() - NEAR) : match.start()]):
            yield match.span()
    for match in _FRANCE.finditer(window):
        yield match.span()
    for match in _NAMED.finditer(window) if _says_phone(window) else ():
        if 7 <= len(digits(match[0])) <= 13 and not _DATE.match(match[0]):
            start = match.start()
            if _PHONE_WORDS.search(window[max(0, start - NEAR) : start]):
                yield match.span()


def _says_phone(window: bytes) -> bool:
    small = window.lower()
    for sign in _PHONE_SIGNS:  # noqa: SIM110 - half the time of any()
        if sign in small:
            return True
    return False


def _e164(value: bytes) -> bool:
    number = digits(value)
    for length in (1, 2, 3):
        if bounds := _CODES.get(number[:length]):
            rest = len(number) - length
            # A zero in brackets is dialled at home only, and stands in print all the same: +49 (0)30 ...
            return bounds[0] <= rest <= bounds[1] + (b"(0)" in value) and len(set(number)) > 2
    return False


def addresses(window: bytes) -> Iterator[Span]:
    """IP addresses that are routed in public (RFC 6890), and are no version, section or object identifier."""
    for pattern in (_QUAD, _LINKED_QUAD):
        for match in pattern.finditer(window):
            if _public(match[1].decode()) and not _numbered(window, match):
                yield match.span(1)
    for match in _GROUPS.finditer(window):
        found = match[0].rstrip(b":")  # a network's prefix (2a00:1450::) names no machine
        if _public(found.decode()):
            yield match.start(), match.start() + len(found)


def _public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _numbered(window: bytes, match: re.Match[bytes]) -> bool:
    before = window[max(0, match.start(1) - NEAR) : match.start(1)]
    parts = [int(part) for part in match[1].split(b".")]
    if parts[0] >= 224 or parts[3] == 0 or _VERSION.search(before):
        return True
    # 3.3.9.45 and 2.5.29.15 are numbers of sections and objects, unless something says address.
    small = max(parts) < 30 or sum(part < 10 for part in parts) > 2
    return small and not _ADDRESS_WORDS.search(before)


def cards(window: bytes) -> Iterator[Span]:
    """Payment card numbers: Luhn's check, and the ranges and lengths of the issuers (ISO/IEC 7812)."""
    for match in _CARD.finditer(window):
        number = digits(match[0])
        if _issued(number) and luhn(number) and number not in _TEST_CARDS and len(set(number)) > 3:
            yield match.span()


def _issued(number: bytes) -> bool:
    first = int(number[:6])
    length = len(number)
    return (
        (number[:1] == b"4" and length in (13, 16, 19))
        or (length == 16 and (510000 <= first < 560000 or 222100 <= first < 272100))
        or (length == 15 and number[:2] in (b"34", b"37"))
        or (length in (16, 19) and (number[:4] == b"6011" or 644000 <= first < 660000))
        or (length in (14, 16) and (300000 <= first < 306000 or number[:2] in (b"36", b"38", b"39")))
        or (length in (16, 19) and 352800 <= first < 359000)
        or (length in (16, 17, 18, 19) and number[:2] == b"62")
    )


def accounts(window: bytes) -> Iterator[Span]:
    """International bank account numbers: the country's length, and the check digits."""
    for match in _IBAN.finditer(window):
        plain = match[0].replace(b" ", b"")
        wanted = _IBAN_LENGTHS.get(plain[:2])
        if wanted and len(plain) > wanted and b" " in match[0]:
            # Words in capitals that follow are not part of it.
            cut = wanted + (wanted - 1) // 4
            found = match[0][:cut]
            plain = found.replace(b" ", b"")
            if len(plain) == wanted and match[0][cut : cut + 1] == b" " and mod97(plain):
                yield match.start(), match.start() + cut
        elif wanted == len(plain) and mod97(plain):
            yield match.span()


_FORM = bytes(48 if chr(byte).isdigit() else 65 if chr(byte).isalpha() else byte for byte in range(128)) + bytes(128)

# Shapes by what is in each of a group, so that few have to be looked for.
_PARTS = (b"000000", b"00 00", b"00-00", b"00.00", b"00A00")
_SHAPES = {
    part: [
        (shape, [number for number, kind in enumerate(IDS) if shape in kind.shapes])
        for shape in sorted({shape for kind in IDS for shape in kind.shapes})
        if next(one for one in _PARTS if one in shape) == part
    ]
    for part in _PARTS
}


def ids(window: bytes) -> Iterator[Span]:
    """Numbers that states give to people (``national_ids``)."""
    form = window.translate(_FORM)
    kinds: set[int] = set()
    for part, shapes in _SHAPES.items():
        if part in form:
            for shape, numbers in shapes:
                if shape in form:
                    kinds.update(numbers)
    for kind in kinds:
        for match in IDS[kind].regex.finditer(window):
            words = IDS[kind].words
            if words and not words.search(window[max(0, match.start() - NEAR) : match.start()]):
                continue
            if IDS[kind].valid(match[0]):
                yield match.span()


FINDERS = {"card": cards, "iban": accounts, "id": ids, "phone": phones, "ip": addresses}
