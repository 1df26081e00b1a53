"""Finds out what kind of tokenizer file a path holds, and reads it as the content of a ``tokenizer.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seedstock.errors import DataError
from seedstock.inputs.tokenizers.config import ImportedConfig

SUFFIXES = (".json", ".tiktoken", ".model")
FORMS = "tokenizer.json, a tiktoken file of ranks (.tiktoken) or a sentencepiece .model"


def locate(config: ImportedConfig) -> Path:
    """The file that ``path`` means. Raises DataError where there is none, or more than one."""
    path = Path(config.path).expanduser()
    if path.is_file():
        return path
    if not path.is_dir():
        raise DataError("there is no such file or folder", where=config.path, fix=f"name a folder that has {FORMS}")
    if (path / "tokenizer.json").is_file():
        return path / "tokenizer.json"
    found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES[1:])
    if len(found) != 1:
        raise DataError(
            f"{len(found) or 'no'} tokenizer files in this folder", where=path, fix=f"name the file itself: {FORMS}"
        )
    return found[0]


def read(config: ImportedConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """(content of ``tokenizer.json``, content of the ``tokenizer_config.json`` beside it or {}).

    Raises DataError where the file is not a tokenizer.
    """
    path = locate(config)
    if path.suffix == ".model":
        from seedstock.inputs.tokenizers.importing.sentencepiece import read as read_model

        return read_model(path), {}
    if path.suffix == ".tiktoken":
        from seedstock.inputs.tokenizers.importing.tiktoken import read as read_ranks

        return read_ranks(path, config.pattern), {}
    return _json(path), _settings(path.with_name("tokenizer_config.json"))


def _json(path: Path) -> dict[str, Any]:
    from tokenizers import Tokenizer as Backend

    try:
        text = path.read_text(encoding="utf-8")
        backend = Backend.from_str(text)  # the library fills in what older versions left out
        return json.loads(backend.to_str())
    except Exception as error:  # the library raises plain Exception
        raise DataError(f"not a tokenizer.json: {error}", where=path, fix=f"give {FORMS}") from None


def _settings(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
