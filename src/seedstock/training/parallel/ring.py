"""Ring attention (Liu et al. 2023, arXiv 2310.01889): keys and values go from process to process, and each attends with
its queries to the piece in hand while the next one comes.

What is found piece by piece is put together in fp32 (``models.tiles``). In the backward pass keys and values go round
again, and their gradients with them, one step behind, back to whose they are. A process holds two pieces at most, and
keeps its own alone for the backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributed.device_mesh import DeviceMesh

from seedstock.models import tiles
from seedstock.models.mask import Attend, Mask

KEYS, GRADIENTS = 0, 1
"""Tags of what is on its way at the same time."""


Sight = Literal["none", "all", "causal", "some"]
"""What queries see of keys; ``causal``: those up to their own place, ``some``: a mask says."""


@dataclass(frozen=True)
class Tile:
    """Some of a piece's queries, and some of another piece's keys that they see, by where they lie in the pieces."""

    queries: slice
    keys: slice
    sight: Sight
    places: tuple[slice, slice]
    """Where both stand in the sequence."""


class Ring:
    """The processes of a mesh of one dimension, each with its ``runs`` of the positions."""

    def __init__(self, mesh: DeviceMesh, runs: list[tuple[slice, ...]]) -> None:
        self.group, self.size, self.rank, self.runs = mesh.get_group(), mesh.size(), mesh.get_local_rank(), runs

    def prepare(self, mask: Mask, device: torch.device) -> Attend:
        """Attention under a mask of the whole sequence: what every layer's attention shares."""
        one = _Pass(self, replace(mask, piece=None), self.plan(mask))

        @torch.compiler.disable
        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return _Attention.apply(q, torch.cat([k, v], 1), one)

        return attend

    def plan(self, mask: Mask) -> list[list[Tile]]:
        """What this piece sees of itself, of the one before it, and so on, as far as anybody sees anything."""
        # How many rounds there are must be the same everywhere: it hangs on the places alone.
        last = max(
            (rank - other) % self.size
            for rank in range(self.size)
            for other in range(self.size)
            if any(shape(mask, own, run) != "none" for own in self.runs[rank] for run in self.runs[other])
        )
        known = _Known(mask, self.runs[0][0].stop)
        return [self._tiles(known, (self.rank - number) % self.size) for number in range(last + 1)]

    def _tiles(self, known: _Known, other: int) -> list[Tile]:
        """What this piece sees of another one; of itself first, so that everybody has seen something."""
        found: list[Tile] = []
        for number, own in enumerate(self.runs[self.rank]):
            for column, run in enumerate(self.runs[other]):
                sight, step = known.sight(own, run), known.step
                if sight != "none":
                    rows, columns = (slice(n * step, (n + 1) * step) for n in (number, column))
                    found.append(Tile(rows, columns, sight, (own, run)))
        return sorted(found, key=lambda tile: tile.places[0] != tile.places[1])

    def send(self, x: Tensor, by: int, tag: int) -> _Coming:
        """Sends a tensor on, ``by`` places further, and begins to receive one of the same shape."""
        coming = torch.empty_like(x)
        to, source = (dist.get_global_rank(self.group, (self.rank + n) % self.size) for n in (by, -by))
        work = dist.batch_isend_irecv(
            [
                dist.P2POp(dist.isend, x, to, self.group, tag),
                dist.P2POp(dist.irecv, coming, source, self.group, tag),
            ]
        )
        return _Coming(x, coming, work)


@dataclass
class _Coming:
    sent: Tensor
    tensor: Tensor
    work: list[Any]

    def get(self) -> Tensor:
        for one in self.work:
            one.wait()
        return self.tensor


class _Known:
    """What is known of a mask by runs of positions of equal length, read from the device once a pass."""

    def __init__(self, mask: Mask, step: int) -> None:
        self.mask, self.step = mask, step
        self.apart, self.alike, self.prefixed = None, None, None
        flags = []
        if mask.documents is not None:
            by_run_BRS = mask.documents.unflatten(1, (-1, step))
            low, high = by_run_BRS.amin(-1), by_run_BRS.amax(-1)
            apart = (high[:, :, None] < low[:, None]) | (low[:, :, None] > high[:, None])
            alike = (low == high)[:, :, None] & (low[:, :, None] == low[:, None]) & (low == high)[:, None]
            flags += [apart.all(0), alike.all(0)]
        if mask.prefix is not None:
            some_R = mask.prefix.unflatten(1, (-1, step)).any(-1).any(0)
            flags.append(some_R[None].expand(len(some_R), -1))
        if flags:
            found = _read(torch.stack(flags))
            if mask.documents is not None:
                self.apart, self.alike = found[:2]
            self.prefixed = found[-1] if mask.prefix is not None else None

    def sight(self, own: slice, run: slice) -> Sight:
        """What queries of one run see of another's keys."""
        row, column = own.start // self.step, run.start // self.step
        mask = self.mask
        if self.prefixed is not None and not self.prefixed[row][column]:
            mask = replace(mask, pattern="causal", prefix=None)
        found = shape(mask, own, run)
        if self.apart is None or self.alike is None or found == "none":
            return found
        if self.apart[row][column]:
            return "none"
        return found if self.alike[row][column] else "some"


def shape(mask: Mask, own: slice, run: slice) -> Sight:
    """The same by the places of the runs alone: what is "none" here is so whatever the documents."""
    far, step = abs(own.start - run.start), own.stop - own.start
    found: Sight = "all" if mask.pattern == "full" or run.start < own.start else "causal" if own == run else "none"
    if mask.window is not None and found != "none":
        found = "none" if far - step >= mask.window else found if far + step <= mask.window else "some"
    if mask.prefix is not None and found != "all":
        return "some"
    return found


def _read(flags: Tensor) -> list[list[list[bool]]]:
    """The host waits for them."""
    found: list[list[list[bool]]] = flags.tolist()
    return found


@dataclass(frozen=True)
class _Pass:
    """What one pass's attention does in every layer: for each piece that comes by, what is seen of it."""

    ring: Ring
    mask: Mask
    plan: list[list[Tile]]

    def seen(self, tile: Tile, device: torch.device) -> Tensor | None:
        """Made when it is needed, since all tiles' together would outgrow the keys."""
        return self.mask.between(*tile.places, device) if tile.sight == "some" else None


class _Attention(torch.autograd.Function):
    """``q`` ``[B, H, T, K]`` to the keys and values of all pieces, of which ``kv`` ``[B, 2 G, T, K]`` is this one's."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, kv: Tensor, one: _Pass) -> Tensor:
        found = torch.empty(q.shape, dtype=torch.float32, device=q.device)
        weight = torch.empty(q.shape[:3], dtype=torch.float32, device=q.device)
        held = kv
        for number, some in enumerate(one.plan):
            coming = one.ring.send(held, 1, KEYS) if number + 1 < len(one.plan) else None
            k, v = held.chunk(2, 1)
            for tile in some:
                rows, keys = tile.queries, tile.keys
                more, its = tiles.attend(
                    q[:, :, rows],
                    k[:, :, keys],
                    v[:, :, keys],
                    one.seen(tile, q.device),
                    causal=tile.sight == "causal",
                )
                if tile.places[0] == tile.places[1]:
                    found[:, :, rows], weight[:, :, rows] = more, its
                else:
                    tiles.merge(found[:, :, rows], weight[:, :, rows], more, its)
            if coming is not None:
                held = coming.get()
        out = found.to(q.dtype)
        ctx.save_for_backward(q, kv, out, weight)
        ctx.one = one
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *ups: Tensor) -> Any:
        q, kv, out, weight = ctx.saved_tensors
        one: _Pass = ctx.one
        up, d_q = ups[0].contiguous(), torch.zeros(q.shape, dtype=torch.float32, device=q.device)
        held, behind, last = kv, None, len(one.plan) - 1
        for number, some in enumerate(one.plan):
            coming = one.ring.send(held, 1, KEYS) if number < last else None
            k, v = held.chunk(2, 1)
            d_kv = torch.zeros(kv.shape, dtype=torch.float32, device=q.device)
            d_k, d_v = d_kv.chunk(2, 1)
            for tile in some:
                rows, keys = tile.queries, tile.keys
                more_q, more_k, more_v = tiles.gradients(
                    up[:, :, rows],
                    q[:, :, rows],
                    k[:, :, keys],
                    v[:, :, keys],
                    out[:, :, rows],
                    weight[:, :, rows],
                    one.seen(tile, q.device),
                    causal=tile.sight == "causal",
                )
                d_q[:, :, rows] += more_q
                d_k[:, :, keys] += more_k
                d_v[:, :, keys] += more_v
            if behind is not None:  # what the others found for these keys
                d_kv += behind.get()
            if last:  # on to who has these keys next; after the last round, home
                behind = one.ring.send(d_kv, 1 if number < last else -last, GRADIENTS)
            if coming is not None:
                held = coming.get()
        if behind is not None:
            d_kv = behind.get()
        return d_q.to(q.dtype), d_kv.to(kv.dtype), None
