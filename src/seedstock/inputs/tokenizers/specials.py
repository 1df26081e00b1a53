"""Special tokens: their names, and the alphabet in which ``tokenizer.json`` writes bytes."""

from __future__ import annotations

NAMES = ("bos", "eos", "pad", "mask", "im_start", "im_end", "fim_prefix", "fim_middle", "fim_suffix")
UNKNOWN = "unk"


def text_of(name: str) -> str:
    """How a special is written: ``bos`` → ``<|bos|>``."""
    return f"<|{name}|>"


def name_of(text: str) -> str:
    """The inverse of ``text_of``."""
    return text.removeprefix("<|").removesuffix("|>")


def names(reserved: int, *, unknown: bool = False, extra: tuple[str, ...] = ()) -> list[str]:
    """The specials of a vocabulary in the order of their ids: ours, ``extra`` ones, spare ones."""
    wanted = [name for name in extra if name not in NAMES]
    return [*NAMES, *([UNKNOWN] if unknown else []), *wanted, *(f"reserved_{number}" for number in range(reserved))]


def byte_alphabet() -> list[str]:
    """The character that stands for each byte in byte-level vocabularies.

    Printable Latin-1 bytes stand for themselves, the other 68 are moved to U+0100 and on, in order (Radford et al.
    2019, "Language models are unsupervised multitask learners": the GPT-2 encoder).
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = (byte for byte in range(256) if byte not in printable)
    return [
        chr(point) for _, point in sorted([(b, b) for b in printable] + [(b, 256 + i) for i, b in enumerate(moved)])
    ]
