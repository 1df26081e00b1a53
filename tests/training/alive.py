"""How many bytes a computation holds at once."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Alive(TorchDispatchMode):
    """Counts the bytes of what operations made and somebody still holds; ``most`` is the most there was at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **kwargs or {})
        for tensor in tree_leaves(out):
            while hasattr(tensor, "_local_tensor") or hasattr(tensor, "elem"):  # a DTensor, or one that is awaited
                tensor = tensor._local_tensor if hasattr(tensor, "_local_tensor") else tensor.elem
            real = isinstance(tensor, torch.Tensor) and not tensor.is_meta  # of others nobody holds a byte
            storage = tensor.untyped_storage() if real else None
            if storage is not None and storage._cdata not in self.seen:
                self.seen.add(storage._cdata)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())
        self.most = max(self.most, self.now)
        return out

    def _gone(self, key: int, count: int) -> None:
        self.seen.discard(key)
        self.now -= count
