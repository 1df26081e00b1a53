"""The planner's metadata as JSON: which tensor, in which pieces, lies in which file under which key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)

from seedstock.errors import IntegrityError
from seedstock.ledger.files import read_json, write_json

FORMAT = 1
NAME = "index.json"
_FILE = re.compile(r"[A-Za-z0-9_-]+\.safetensors")


def file_of(name: str, rank: int = 0) -> tuple[str, str]:
    """The file and the key of a tensor: ``model.head.weight`` is ``head.weight`` in ``model.safetensors``."""
    part, _, key = name.partition(".")
    return f"{part}-{rank}.safetensors" if rank else f"{part}.safetensors", key


def write(folder: Path, metadata: Metadata, places: dict[MetadataIndex, tuple[str, str]]) -> None:
    """Writes ``index.json`` from the planner's metadata and from where each piece was put (file, key)."""
    tensors = {}
    for name, entry in metadata.state_dict_metadata.items():
        assert isinstance(entry, TensorStorageMetadata)
        pieces = []
        for chunk in entry.chunks:
            file, key = places[MetadataIndex(name, chunk.offsets)]
            pieces.append({"offsets": [*chunk.offsets], "sizes": [*chunk.sizes], "file": file, "key": key})
        dtype = str(entry.properties.dtype).removeprefix("torch.")
        tensors[name] = {"dtype": dtype, "size": [*entry.size], "pieces": pieces}
    write_json(folder / NAME, {"format": FORMAT, "tensors": tensors})


def read(folder: Path) -> Metadata:
    """The planner's metadata, with the places as ``storage_data``. Raises IntegrityError for what it cannot be."""
    record = read_json(folder / NAME)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise IntegrityError("unknown checkpoint format", where=folder / NAME, fix="use a newer Seedstock")
    tensors: dict[str, Any] = {}
    places: dict[MetadataIndex, tuple[str, str]] = {}
    try:
        for name, entry in record["tensors"].items():
            tensors[name] = _metadata(entry)
            for piece in entry["pieces"]:
                if not _FILE.fullmatch(piece["file"]):
                    raise ValueError(f"{piece['file']!r} is not a tensor file's name")
                places[MetadataIndex(name, piece["offsets"])] = (piece["file"], str(piece["key"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError(f"not an index: {error}", where=folder / NAME, fix="use another checkpoint") from None
    return Metadata(state_dict_metadata=tensors, storage_data=places)


def _metadata(entry: dict[str, Any]) -> TensorStorageMetadata:
    dtype = getattr(torch, entry["dtype"])
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"{entry['dtype']!r} is not a dtype")
    chunks = [
        ChunkStorageMetadata(torch.Size(piece["offsets"]), torch.Size(piece["sizes"])) for piece in entry["pieces"]
    ]
    return TensorStorageMetadata(TensorProperties(dtype=dtype), torch.Size(entry["size"]), chunks)
