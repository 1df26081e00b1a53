"""Building each kind of tokenizer as the ecosystem's ``tokenizers`` object: what ``tokenizer.json`` holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.errors import DataError
from seedstock.inputs.tokenizers import specials
from seedstock.inputs.tokenizers import unigram as unigrams
from seedstock.inputs.tokenizers.config import MULTIPLE, BpeConfig, UnigramConfig, WordPieceConfig, WordsConfig
from seedstock.inputs.tokenizers.counts.weigh import Words
from seedstock.inputs.tokenizers.merges import learn
from seedstock.inputs.tokenizers.pieces import LIMIT, PATTERN, bounded

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend


def bpe(config: BpeConfig, words: Words) -> Backend:
    """Byte-level BPE learnt from words. Raises DataError where they do not support the vocabulary that is asked for."""
    from tokenizers import models

    names = specials.names(config.reserved, extra=config.specials)
    alphabet = sorted(specials.byte_alphabet())  # in the order of characters, which decides between equal pairs
    symbols = _symbols(words, alphabet)
    size = config.vocab_size - len(names)
    tokens, merges = _learnt(symbols, words, alphabet, size, config.min_frequency, str.__add__)
    _reached(config, names, len(tokens), 256)
    vocabulary = _numbered([*map(specials.text_of, names), *tokens])
    backend = _backend(models.BPE(vocabulary, merges), byte_level=True)
    backend.pre_tokenizer = _split(PATTERN)
    return _finish(backend, names)


def wordpiece(config: WordPieceConfig, words: Words) -> Backend:
    """Byte-level WordPiece: as for BPE, a byte inside a word being another symbol than one that begins it."""
    from tokenizers import decoders, models

    names = specials.names(config.reserved, unknown=True, extra=config.specials)
    alphabet = sorted(specials.byte_alphabet())
    words = words.bounded(LIMIT)
    symbols = _symbols(words, alphabet)
    inside = np.ones(len(symbols), bool)
    inside[words.offsets[:-1][np.diff(words.offsets) > 0]] = False
    tokens = [*alphabet, *(INSIDE + char for char in alphabet)]
    size = config.vocab_size - len(names)
    tokens, _ = _learnt(symbols + 256 * inside, words, tokens, size, config.min_frequency, _joined)
    _reached(config, names, len(tokens), 512)
    vocabulary = _numbered([*map(specials.text_of, names), *tokens])
    model = models.WordPiece(vocabulary, unk_token=specials.text_of(specials.UNKNOWN), max_input_chars_per_word=10_000)
    model.continuing_subword_prefix = INSIDE
    backend = _backend(model, byte_level=True)
    backend.pre_tokenizer = _split(bounded())
    backend.decoder = decoders.Sequence([decoders.Replace(INSIDE, ""), decoders.ByteLevel()])
    return _finish(backend, names)


def unigram(config: UnigramConfig, words: Words) -> Backend:
    """Byte-level Unigram: every byte has a probability, so that nothing is unknown."""
    import json

    from tokenizers import Tokenizer as Backend

    names = specials.names(config.reserved, extra=config.specials)
    character = specials.byte_alphabet()
    size = config.vocab_size - len(names)
    found = unigrams.learn(words, size) if size >= 256 else []
    _reached(config, names, len(found), 256)
    tokens = [("".join(character[byte] for byte in token), score) for token, score in found]
    # Specials lie in the vocabulary, so that they have the lowest ids; no word is written as they are.
    vocab = [*((specials.text_of(name), tokens[-1][1]) for name in names), *tokens]
    model = {"type": "Unigram", "unk_id": None, "vocab": vocab, "byte_fallback": False}
    backend = _backend(None, byte_level=True)
    backend.pre_tokenizer = _split(PATTERN)
    return _finish(Backend.from_str(json.dumps(json.loads(backend.to_str()) | {"model": model})), names)


def whole_words(config: WordsConfig, words: Words) -> Backend:
    """Whole words, the most frequent ones; equal ones in the order of their letters."""
    from collections import Counter

    from tokenizers import Regex, models, normalizers, pre_tokenizers
    from tokenizers import Tokenizer as Backend

    names = specials.names(config.reserved, unknown=True, extra=config.specials)
    split, lower = pre_tokenizers.Split(Regex(WORD), "removed", invert=True), normalizers.Lowercase()
    counts = Counter[str]()
    for word, count in words:
        text = word.decode("utf-8", "replace").strip()
        if config.lowercase:
            text = text.lower() if text.isascii() else lower.normalize_str(text)
        whole = text.isascii() and text.isalpha()
        for piece in (text,) if whole else (piece for piece, _ in split.pre_tokenize_str(text)):
            counts[piece] += count
    often = sorted((-count, word) for word, count in counts.items() if count >= config.min_frequency)
    chosen = [word for _, word in often[: config.vocab_size - len(names)]]
    _reached(config, names, len(chosen), 1)
    vocabulary = _numbered([*map(specials.text_of, names), *chosen])
    backend = Backend(models.WordLevel(vocabulary, unk_token=specials.text_of(specials.UNKNOWN)))
    if config.lowercase:
        backend.normalizer = lower
    backend.pre_tokenizer = split
    return _finish(backend, names)


WORD = r"[\p{L}\p{M}]+"
INSIDE = "…"  # begins a WordPiece token inside a word; no byte is written so, so that no text can be mistaken for it


def _joined(left: str, right: str) -> str:
    return left + right.removeprefix(INSIDE)


def _split(pattern: str) -> Any:
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), _bytes_as_characters()])


def _symbols(words: Words, alphabet: list[str]) -> np.ndarray:
    """The place in the alphabet of each byte of the words."""
    place = {char: number for number, char in enumerate(alphabet)}
    return np.array([place[char] for char in specials.byte_alphabet()], np.int32)[words.data]


def _learnt(
    symbols: np.ndarray, words: Words, tokens: list[str], size: int, least: int, join: Callable[[str, str], str]
) -> tuple[list[str], list[tuple[str, str]]]:
    """(tokens, merges) with ``size`` tokens, or as many as the words give."""
    tokens, merges = list(tokens), []
    for (left, right), made in learn(symbols, words.offsets, words.counts, tokens, size, least, join):
        merges.append((tokens[left], tokens[right]))
        if made == len(tokens):
            tokens.append(join(tokens[left], tokens[right]))
    return tokens, merges


def _reached(config: Any, names: list[str], tokens: int, least: int) -> None:
    reached = len(names) + tokens
    if reached >= config.vocab_size and tokens >= least:
        return
    possible = reached - reached % MULTIPLE
    raise DataError(
        f"a vocabulary of {config.vocab_size} is larger than the text supports: {reached} tokens are reachable"
        if tokens >= least and reached < config.vocab_size
        else f"a vocabulary of {config.vocab_size} has no room for {len(names)} specials and {least} bytes",
        where="tokenizer.vocab_size",
        fix=f"set it to {possible} or less, or add text"
        if possible >= len(names) + least
        else "use tokenizer: {kind: bytes}, or add text",
    )


def of_bytes(reserved: int, extra: tuple[str, ...] = ()) -> Backend:
    """One token a byte: a byte-level vocabulary without merges."""
    from tokenizers import models

    names = _padded(256, reserved, extra, unknown=False)
    vocabulary = _numbered([*map(specials.text_of, names), *specials.byte_alphabet()])
    backend = _backend(models.BPE(vocabulary, []), byte_level=True)
    backend.pre_tokenizer = _bytes_as_characters()
    return _finish(backend, names)


def of_characters(characters: set[str], reserved: int, extra: tuple[str, ...] = ()) -> Backend:
    """One token a character, in the order of code points; others are unknown."""
    from tokenizers import models

    names = _padded(len(characters), reserved, extra, unknown=True)
    vocabulary = _numbered([*map(specials.text_of, names), *sorted(characters)])
    unknown = specials.text_of(specials.UNKNOWN)
    return _finish(_backend(models.BPE(vocabulary, [], unk_token=unknown), byte_level=False), names)


def _backend(model: Any, *, byte_level: bool) -> Backend:
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models

    backend = Backend(models.BPE() if model is None else model)
    backend.decoder = decoders.ByteLevel() if byte_level else decoders.Fuse()
    return backend


def _bytes_as_characters() -> Any:
    from tokenizers import pre_tokenizers

    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def _finish(backend: Backend, names: list[str]) -> Backend:
    """Declares the specials, and that a text as the model sees it begins with BOS."""
    from tokenizers import AddedToken, processors

    backend.add_special_tokens([AddedToken(specials.text_of(name), special=True, normalized=False) for name in names])
    bos = specials.text_of("bos")
    backend.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, backend.token_to_id(bos))]
    )
    return backend


def _padded(own: int, reserved: int, extra: tuple[str, ...], *, unknown: bool) -> list[str]:
    """The specials, with as many spare ones more as the padding needs."""
    names = specials.names(reserved, unknown=unknown, extra=extra)
    return specials.names(reserved + -(len(names) + own) % MULTIPLE, unknown=unknown, extra=extra)


def _numbered(tokens: Iterable[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}


LEARN: dict[str, Callable[[Any, Words], Any]] = {
    "bpe": bpe,
    "unigram": unigram,
    "wordpiece": wordpiece,
    "words": whole_words,
}
