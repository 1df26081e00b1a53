"""The processes as a grid: one dimension for each way in which the work is divided."""

from __future__ import annotations

from torch.distributed import ProcessGroup
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from seedstock.training.configs.parallel import Degrees


def build(degrees: Degrees, device_type: str) -> DeviceMesh:
    """A mesh over all processes, outermost dimension first; those of one part are left out, but never ``shard``, which
    has all that weights are cut up among: with ``context`` its processes too."""
    sizes = {
        "pipeline": degrees.pipeline,
        "data": degrees.data,
        "shard": degrees.shard * degrees.context,
        "tensor": degrees.tensor,
    }
    return _mesh(device_type, sizes, "shard")


def within(mesh: DeviceMesh, degrees: Degrees) -> DeviceMesh:
    """The same with ``shard`` taken apart: ``outer``, the processes that hold the same experts, ``expert``, among which
    experts are divided, and ``context``."""
    names = mesh.mesh_dim_names or ()
    sizes = (degrees.shard // degrees.expert, degrees.expert, degrees.context)
    return mesh._unflatten(names.index("shard"), sizes, ("outer", "expert", "context"))


def batch_group(mesh: DeviceMesh, degrees: Degrees, device_type: str) -> ProcessGroup:
    """The processes that divide a batch with this one, in the order of their parts."""
    if degrees.data == degrees.context == 1:
        return mesh.get_group("shard")
    rest = {"context": degrees.context, "tensor": degrees.tensor}
    return _merged(device_type, degrees, "batch", degrees.batch, rest)


def piece_group(mesh: DeviceMesh, degrees: Degrees, device_type: str) -> ProcessGroup:
    """The processes that divide a batch, or its sequences, with this one."""
    if degrees.data == 1:
        return mesh.get_group("shard")
    return _merged(device_type, degrees, "piece", degrees.batch * degrees.context, {"tensor": degrees.tensor})


def _merged(device_type: str, degrees: Degrees, name: str, size: int, rest: dict[str, int]) -> ProcessGroup:
    return _mesh(device_type, {"pipeline": degrees.pipeline, name: size, **rest}, name).get_group(name)


def sharding(mesh: DeviceMesh) -> DeviceMesh:
    """What ``fully_shard`` is given: copies by shards where there are copies."""
    return mesh["data", "shard"] if "data" in (mesh.mesh_dim_names or ()) else mesh["shard"]


def holders(mesh: DeviceMesh) -> DeviceMesh:
    """The same for experts that are divided, of ``within``: the processes that hold the same ones, whichever piece of
    the sequences is theirs."""
    if mesh["context"].size() > 1:
        return mesh["outer", "context"]._flatten("holders")
    return mesh["data", "outer"] if "data" in (mesh.mesh_dim_names or ()) else mesh["outer"]


def _mesh(device_type: str, sizes: dict[str, int], always: str) -> DeviceMesh:
    kept = {name: size for name, size in sizes.items() if size > 1 or name == always}
    return init_device_mesh(device_type, tuple(kept.values()), mesh_dim_names=tuple(kept))
