"""Checkpoints: whole or absent, never a pickle, verified before use, and the last good one never goes."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_run import small_config, small_fit

from seedstock.errors import IntegrityError, SeedstockError
from seedstock.ledger import manifest
from seedstock.training.checkpoint import folder as checkpoints
from seedstock.training.checkpoint import retention


def tensors():
    generator = torch.Generator().manual_seed(0)
    return {
        "model.a.weight": torch.randn(5, 3, generator=generator).T,
        "model.scalar": torch.tensor(2.5),
        "model.empty": torch.zeros(0, 4),
        "ema.a.weight": torch.randn(7, generator=generator).bfloat16(),
        "optimizer.step.a": torch.tensor(3.0),
        "nets.probe.counts": torch.arange(6),
    }


def test_what_is_saved_is_loaded(tmp_path):
    saved = tensors()
    folder = checkpoints.save(tmp_path, 7, saved, {"note": "x"})
    found = {name: torch.full_like(tensor, 9) for name, tensor in saved.items()}
    checkpoints.load(folder, found)
    for name, tensor in saved.items():
        assert torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype
    assert checkpoints.read_state(folder) == {"format": 1, "step": 7, "note": "x"}
    assert (tmp_path / "latest").read_text() == "step-00000007\n"
    assert {path.name for path in folder.iterdir()} == {
        *(f"{part}.safetensors" for part in ("model", "ema", "optimizer", "nets")),
        *("index.json", "state.json", "manifest.json"),
    }


def test_equal_states_give_equal_bytes(tmp_path):
    a = checkpoints.save(tmp_path / "a", 1, tensors(), {})
    b = checkpoints.save(tmp_path / "b", 1, dict(reversed(tensors().items())), {})
    assert manifest.read(a) == manifest.read(b)


def test_no_file_is_a_pickle(tmp_path):
    small_fit(tmp_path / "run", small_config(steps=2, ema=0.9))
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".jsonl", ""}
    for path in files:
        data = path.read_bytes()
        assert not data.startswith((b"\x80", b"PK")), path  # pickle protocol 2 and later; torch.save's zip
        if path.suffix == ".safetensors":
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            assert header["__metadata__"] == {"format": "pt"}
        elif path.suffix == ".json":
            json.loads(data)


def test_what_is_not_a_tensor_is_refused_rather_than_pickled(tmp_path):
    with pytest.raises(TypeError, match=r"model\.config is not a tensor"):
        checkpoints.save(tmp_path, 1, {"model.config": {"a": 1}}, {})
    assert checkpoints.listing(tmp_path) == []


class Bomb:
    def __reduce__(self):
        return (os.system, ("touch " + os.environ["BOMB"],))


def test_a_malicious_pickle_is_never_opened(tmp_path, monkeypatch):
    monkeypatch.setenv("BOMB", str(tmp_path / "exploded"))
    first = checkpoints.save(tmp_path / "c", 1, tensors(), {})
    second = checkpoints.save(tmp_path / "c", 2, tensors(), {})
    bomb = pickle.dumps(Bomb())
    (second / ".metadata").write_bytes(bomb)
    (second / "extra.pt").write_bytes(bomb)
    heard = []
    assert checkpoints.newest(tmp_path / "c", tell=lambda folder, found: heard.append((folder, found))) == first
    assert heard[0][0] == second and any("extra.pt: not in the manifest" in line for line in heard[0][1])
    # Even one whose manifest was made to fit: tensors are read as safetensors or not at all.
    for name in (".metadata", "extra.pt"):
        (second / name).unlink()
    (second / "model.safetensors").write_bytes(bomb)
    manifest.seal(second, "checkpoint", {"step": 2})
    with pytest.raises(Exception, match=r"(?i)header|safetensor"):
        checkpoints.load(second, tensors())
    assert not (tmp_path / "exploded").exists()


def test_an_index_that_points_elsewhere_is_refused(tmp_path):
    folder = checkpoints.save(tmp_path, 1, tensors(), {})
    index = json.loads((folder / "index.json").read_text())
    index["tensors"]["model.scalar"]["pieces"][0]["file"] = "../../secret.safetensors"
    (folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(IntegrityError, match="secret"):
        checkpoints.load(folder, tensors())


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "manifest"])
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_taken(tmp_path, damage):
    first = checkpoints.save(tmp_path, 1, tensors(), {})
    second = checkpoints.save(tmp_path, 2, tensors(), {})
    victim = second / ("manifest.json" if damage == "manifest" else "optimizer.safetensors")
    data = bytearray(victim.read_bytes())
    if damage == "gone":
        victim.unlink()
    else:
        data[len(data) // 2] ^= 1
        victim.write_bytes(data[: len(data) // 2] if damage == "cut" else data)
    heard = []
    assert checkpoints.newest(tmp_path, tell=lambda folder, found: heard.extend(found)) == first
    assert any(str(victim) in line for line in heard)
    shutil.rmtree(first)
    with pytest.raises(IntegrityError, match="every checkpoint is damaged"):
        checkpoints.newest(tmp_path)


def test_a_checkpoint_that_the_ledger_does_not_know_so_is_passed_over(tmp_path):
    first = checkpoints.save(tmp_path, 1, tensors(), {})
    checkpoints.save(tmp_path, 2, tensors(), {"swapped": True})
    assert checkpoints.newest(tmp_path, {2: "0" * 64}) == first


def test_another_models_checkpoint_is_named(tmp_path):
    folder = checkpoints.save(tmp_path, 1, tensors(), {})
    with pytest.raises(IntegrityError, match=r"model.scalar has shape \[\] in the checkpoint and \[2\]"):
        checkpoints.load(folder, {"model.scalar": torch.zeros(2)})
    with pytest.raises(IntegrityError, match=r"has no model\.other"):
        checkpoints.load(folder, {"model.other": torch.zeros(2)})


def test_a_killed_save_leaves_nothing_that_counts(tmp_path):
    checkpoints.save(tmp_path, 1, tensors(), {})
    torn = tmp_path / ".step-00000002.123.tmp"
    shutil.copytree(tmp_path / "step-00000001", torn)
    (tmp_path / ".latest.123.tmp").write_text("step-0")
    assert [path.name for path in checkpoints.listing(tmp_path)] == ["step-00000001"]
    checkpoints.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "step-00000001"]


FULL = """
import sys, torch
from pathlib import Path
from seedstock.errors import SeedstockError
from seedstock.training.checkpoint import folder as checkpoints
where = Path(sys.argv[1])
checkpoints.save(where, 1, {"model.a": torch.ones(1000)}, {})
try:
    checkpoints.save(where, 2, {"model.a": torch.ones(4_000_000)}, {})
except SeedstockError as error:
    print(error)
print([path.name for path in sorted(where.iterdir())], checkpoints.newest(where).name, (where / "latest").read_text())
"""


def test_a_full_disk_leaves_the_old_checkpoint_and_says_so(tmp_path):
    """On a real full disk: a file system of 8 MB in a name space of our own."""
    mount = tmp_path / "disk"
    mount.mkdir()
    script = f'mount -t tmpfs -o size=8m none "{mount}" && exec "$0" -c "$1" "{mount}/checkpoints"'
    command = ["unshare", "-rm", "bash", "-c", script, sys.executable, FULL]
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a small file system")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if "permission denied" in result.stderr:
        pytest.skip("this system lets nobody mount a small file system")
    assert "No space left on device" in result.stdout and "what was complete is kept" in result.stdout, result.stderr
    assert "['latest', 'step-00000001'] step-00000001 step-00000001" in result.stdout


def test_a_full_disk_is_told_wherever_it_happens(tmp_path, monkeypatch):
    checkpoints.save(tmp_path, 1, tensors(), {})

    def full(*args, **options):
        from safetensors import SafetensorError

        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("seedstock.training.checkpoint.writer.save_file", full)
    with pytest.raises(SeedstockError, match="No space left on device") as error:
        checkpoints.save(tmp_path, 2, tensors(), {})
    assert "step-00000002" in str(error.value) and "make room" in str(error.value)
    assert [path.name for path in checkpoints.listing(tmp_path)] == ["step-00000001"]
    assert checkpoints.newest(tmp_path) is not None


@given(st.sets(st.integers(1, 200), min_size=1), st.integers(1, 5), st.none() | st.integers(1, 50))
def test_retention_keeps_the_newest_multiples_and_milestones(steps, keep, every):
    milestone = min(steps)
    stay = retention.kept(steps, keep, every, {milestone})
    assert stay <= steps and max(steps) in stay and milestone in stay
    assert set(sorted(steps)[-keep:]) <= stay
    assert all(step in stay for step in steps if every and step % every == 0)
    extra = stay - set(sorted(steps)[-keep:]) - {milestone}
    assert all(every and step % every == 0 for step in extra)


def test_pruning_never_takes_the_last_verified_one(tmp_path):
    for step in (1, 2, 3, 4):
        checkpoints.save(tmp_path, step, {"model.a": torch.ones(2)}, {})
    gone = retention.prune(tmp_path, verified=1, keep=1, damaged={4})
    assert [path.name for path in gone] == ["step-00000002"]
    assert [checkpoints.step_of(path) for path in checkpoints.listing(tmp_path)] == [4, 3, 1]


def test_a_shard_of_a_tensor_is_read_alone(tmp_path):
    """What a layout over several devices needs: pieces with offsets, of which a reader takes what it wants."""
    from torch.distributed.checkpoint.metadata import MetadataIndex
    from torch.distributed.checkpoint.planner import LoadItemType, ReadItem

    from seedstock.training.checkpoint.reader import Reader

    whole = torch.arange(24.0).view(6, 4)
    folder = checkpoints.save(tmp_path, 1, {"model.a": whole}, {})
    target = torch.zeros(2, 3)

    class Planner:
        def resolve_tensor(self, item):
            return target

        def commit_tensor(self, item, tensor):
            pass

    class Plan:
        items = (
            ReadItem(
                LoadItemType.TENSOR,
                MetadataIndex("model.a"),
                torch.Size([0, 0]),
                MetadataIndex("model.a", [0, 0]),
                torch.Size([3, 1]),
                torch.Size([2, 3]),
            ),
        )

    reader = Reader(Path(folder))
    reader.set_up_storage_reader(reader.read_metadata(), True)
    reader.read_data(Plan(), Planner()).wait()
    assert torch.equal(target, whole[3:5, 1:4])
