"""Training a tokenizer on a corpus: a sealed folder in the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedstock.errors import DataError
from seedstock.inputs.tokenizers import importing, specials, vocabulary
from seedstock.inputs.tokenizers.config import (
    BpeConfig,
    BytesConfig,
    CharactersConfig,
    ImportedConfig,
    TokenizerConfig,
    UnigramConfig,
    WordPieceConfig,
    WordsConfig,
)
from seedstock.inputs.tokenizers.counts import weigh
from seedstock.inputs.tokenizers.counts.corpus import tables
from seedstock.inputs.tokenizers.page import page
from seedstock.inputs.tokenizers.report import report
from seedstock.inputs.tokenizers.tokenizer import Tokenizer
from seedstock.ledger import manifest
from seedstock.ledger.files import write_json, write_text
from seedstock.ledger.ids import sha256_file

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

    from seedstock.corpus import Corpus
    from seedstock.ledger.store import Store
    from seedstock.progress import Reporter

STAGE = "tokenizer"
FORMAT = 2

# Turns between im_start and im_end; the generation markers say which tokens an assistant's loss is taken of.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def inputs_of(config: TokenizerConfig, corpus: Corpus, *, seed: int) -> dict[str, Any]:
    """What the tokenizer follows from: its digest names its folder in the store."""
    root = manifest.read(corpus.folder).origin  # an erasure changes the corpus, and not what followed from it
    asked = config.model_dump(mode="json")
    if isinstance(config, ImportedConfig):  # its content counts, not where it lies
        asked["path"] = [sha256_file(file) for file in importing.files(config)]
    return {"format": FORMAT, "config": asked, "corpus": root, "seed": seed}


def train(config: TokenizerConfig, corpus: Corpus, *, seed: int, store: Store, reporter: Reporter) -> Path:
    """Trains a tokenizer into the store and returns its folder; does nothing where it is there.

    Raises DataError where the corpus has no training text, or supports no vocabulary of this size.
    """
    inputs = inputs_of(config, corpus, seed=seed)
    folder = store.folder(STAGE, inputs)
    if store.has(STAGE, inputs):
        return folder
    with store.build(STAGE, inputs) as partial:
        more: dict[str, Any] = {}
        if isinstance(config, ImportedConfig):
            more = importing.write(config, partial, CHAT_TEMPLATE, reporter)
        else:
            backend, more = _build(config, corpus, seed, store, reporter)
            write_text(partial / "tokenizer.json", backend.to_str(pretty=True) + "\n")
            write_json(partial / "tokenizer_config.json", _ecosystem_config(backend))
        measured = report(Tokenizer(partial), corpus, seed=seed) | more
        write_json(partial / "report.json", measured)
        write_text(partial / "report.html", page(measured))
    return folder


def _build(
    config: TokenizerConfig, corpus: Corpus, seed: int, store: Store, reporter: Reporter
) -> tuple[Backend, dict[str, Any]]:
    """(the tokenizer, what the report says of what it was learnt from)."""
    if isinstance(config, BytesConfig):
        return vocabulary.of_bytes(config.reserved, config.specials), {}
    total = sum(int(stratum["bytes"]) for stratum in corpus.strata)
    _not_empty(total > 0, corpus)
    with reporter.bar("tokenizer", total, "B") as bar:
        paths = tables(corpus, store, getattr(config, "sample", None), seed, bar)
    if isinstance(config, CharactersConfig):
        characters = weigh.characters(paths)
        return vocabulary.of_characters(characters, config.reserved, config.specials), {}
    assert isinstance(config, BpeConfig | UnigramConfig | WordPieceConfig | WordsConfig)
    words = weigh.weigh(paths, weigh.weights(corpus, config.balance, config.temperature), config.words)
    learnt = {"words": len(words.counts), "distinct": words.seen, "occurrences": int(words.counts.sum())}
    return vocabulary.LEARN[config.kind](config, words), {"learnt_from": learnt | {"left_out": words.left_out}}


def _not_empty(some: bool, corpus: Corpus) -> None:
    if not some:
        raise DataError("the corpus has no training text", where=corpus.folder, fix="relax the policy or add sources")


def _ecosystem_config(backend: Backend) -> dict[str, Any]:
    """What ``transformers`` reads beside ``tokenizer.json``."""
    names = [("bos", "bos_token"), ("eos", "eos_token"), ("pad", "pad_token"), ("mask", "mask_token")]
    unknown = specials.text_of(specials.UNKNOWN)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{key: specials.text_of(name) for name, key in names},
        **({"unk_token": unknown} if backend.token_to_id(unknown) is not None else {}),
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
