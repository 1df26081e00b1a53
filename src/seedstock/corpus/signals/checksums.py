"""The check digits of numbers that name people, accounts and cards. Every function takes ASCII."""

from __future__ import annotations

from collections.abc import Sequence

# The dihedral group of order 10 and a permutation of period 8 (Verhoeff 1969).
_DIHEDRAL = [
    [(left + right) % 5 + (5 if (left < 5) != (right < 5) else 0) if left < 5 else
     (left - right) % 5 + (5 if right < 5 else 0) for right in range(10)]
    for left in range(10)
]  # fmt: skip
_PERMUTATION = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def digits(value: bytes) -> bytes:
    """The digits of a value, without what stands between them."""
    return bytes(byte for byte in value if 48 <= byte <= 57)


def luhn(value: bytes) -> bool:
    """ISO/IEC 7812-1, annex B: every second digit from the right doubled, sum of digits 0 modulo 10."""
    total = 0
    for place, byte in enumerate(reversed(value)):
        digit = byte - 48
        total += digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4)
    return total % 10 == 0


def verhoeff(value: bytes) -> bool:
    """Verhoeff's scheme over the dihedral group, which finds every swap of neighbours."""
    state = 0
    for place, byte in enumerate(reversed(value)):
        digit = byte - 48
        for _ in range(place % 8):
            digit = _PERMUTATION[digit]
        state = _DIHEDRAL[state][digit]
    return state == 0


def mod97(value: bytes) -> bool:
    """ISO/IEC 7064, MOD 97-10, as IBANs use it: letters stand for 10 to 35, the first four characters go to the end."""
    number = "".join(str(int(chr(byte), 36)) for byte in value[4:] + value[:4])
    return int(number) % 97 == 1


def mod11_10(value: bytes) -> bool:
    """ISO/IEC 7064, MOD 11,10: the German tax number's."""
    state = 10
    for byte in value[:-1]:
        state = ((state + byte - 48) % 10 or 10) * 2 % 11
    return (state + value[-1] - 48) % 10 == 1


def weighted(value: bytes, weights: Sequence[int]) -> int:
    """The sum of digits times weights."""
    return sum((byte - 48) * weight for byte, weight in zip(value, weights, strict=True))


def date(year: bytes, month: bytes, day: bytes) -> bool:
    """Whether digits can be a date; of a year of two digits nothing is known but that 29 February may exist."""
    lengths = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    fits = 1 <= int(month) <= 12 and 1 <= int(day) <= lengths[int(month) - 1]
    return fits and (len(year) < 4 or 1850 <= int(year) <= 2100)
