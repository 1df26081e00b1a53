"""The processes as a grid: one dimension for each way in which the work is divided."""

from __future__ import annotations

from torch.distributed import ProcessGroup
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from seedstock.training.configs.parallel import Degrees

BATCH = ("data", "shard")
"""The dimensions that a batch is divided along."""


def build(degrees: Degrees, device_type: str) -> DeviceMesh:
    """A mesh over all processes, outermost dimension first; those of one part are left out, but never ``shard``."""
    return _mesh(
        device_type,
        {
            "pipeline": degrees.pipeline,
            "data": degrees.data,
            "shard": degrees.shard,
            "context": degrees.context,
            "tensor": degrees.tensor,
        },
        "shard",
    )


def batch_group(mesh: DeviceMesh, degrees: Degrees, device_type: str) -> ProcessGroup:
    """The processes that divide a batch with this one, in the order of their parts."""
    if degrees.data == 1:
        return mesh.get_group("shard")
    sizes = {
        "pipeline": degrees.pipeline,
        "batch": degrees.batch,
        "context": degrees.context,
        "tensor": degrees.tensor,
    }
    return _mesh(device_type, sizes, "batch").get_group("batch")


def sharding(mesh: DeviceMesh) -> DeviceMesh:
    """What ``fully_shard`` is given: copies by shards where there are copies."""
    return mesh["data", "shard"] if "data" in (mesh.mesh_dim_names or ()) else mesh["shard"]


def _mesh(device_type: str, sizes: dict[str, int], always: str) -> DeviceMesh:
    kept = {name: size for name, size in sizes.items() if size > 1 or name == always}
    return init_device_mesh(device_type, tuple(kept.values()), mesh_dim_names=tuple(kept))
