"""A storage reader for PyTorch's distributed checkpoint that reads safetensors through a JSON index."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch.distributed.checkpoint.metadata import Metadata, MetadataIndex
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner, ReadItem
from torch.distributed.checkpoint.storage import StorageReader
from torch.futures import Future

from seedstock.training.checkpoint import index


class Reader(StorageReader):
    """Reads, of each tensor, the part that the planner asks for, straight into the tensor that is waiting for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._places: dict[MetadataIndex, tuple[str, str]] = {}

    def reset(self, checkpoint_id: str | os.PathLike | None = None) -> None:
        """Takes the folder of the next load."""
        if checkpoint_id is not None:
            self.folder = Path(checkpoint_id)

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """The index."""
        return index.read(self.folder)

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Keeps where each piece lies."""
        self._places = metadata.storage_data

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """As planned."""
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """As planned."""
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Opens each file once."""
        files: dict[str, list[tuple[str, ReadItem]]] = defaultdict(list)
        for item in plan.items:
            file, key = self._places[item.storage_index]
            files[file].append((key, item))
        for file, items in files.items():
            with safe_open(self.folder / file, framework="pt") as tensors:
                for key, item in items:
                    self._read(tensors, key, item, planner)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    @staticmethod
    def _read(tensors: Any, key: str, item: ReadItem, planner: LoadPlanner) -> None:
        target = planner.resolve_tensor(item).detach()
        part = tuple(
            slice(start, start + length) for start, length in zip(item.storage_offsets, item.lengths, strict=True)
        )
        target.copy_(tensors.get_slice(key)[part] if part else tensors.get_tensor(key))
        planner.commit_tensor(item, target)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike) -> bool:
        """Any folder on this machine will do."""
        return "://" not in str(checkpoint_id)
