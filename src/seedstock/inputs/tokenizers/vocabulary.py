"""Building each kind of tokenizer as the ecosystem's ``tokenizers`` object: what ``tokenizer.json`` holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from seedstock.errors import DataError
from seedstock.inputs.tokenizers import specials
from seedstock.inputs.tokenizers.config import MULTIPLE, BpeConfig
from seedstock.inputs.tokenizers.pieces import PATTERN

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend


def bpe(config: BpeConfig, texts: Iterator[str]) -> Backend:
    """Learns merges from texts. Raises DataError where they do not support the vocabulary that is asked for."""
    from tokenizers import Regex, models, pre_tokenizers, trainers

    backend = _backend(models.BPE(), byte_level=True)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PATTERN), "isolated"), _bytes_as_characters()]
    )
    names = specials.names(config.reserved, extra=config.specials)
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=[specials.text_of(name) for name in names],
        initial_alphabet=specials.byte_alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    reached = backend.get_vocab_size()
    if reached != config.vocab_size:
        possible = reached - reached % MULTIPLE
        raise DataError(
            f"a vocabulary of {config.vocab_size} is larger than the text supports: {reached} tokens are reachable",
            where="tokenizer.vocab_size",
            fix=f"set it to {possible} or less, or add text"
            if possible >= len(names) + 256
            else "use tokenizer: {kind: bytes}, or add text",
        )
    return _finish(backend, names)


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
    from tokenizers import decoders

    backend = Backend(model)
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
