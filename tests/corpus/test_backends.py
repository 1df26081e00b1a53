"""The same shard tasks elsewhere: by the elements of a Slurm array, on nodes that share no folder, on a Ray cluster."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from poisons import Poems, Roses
from test_engine import contents, plan

from seedstock.corpus import backends, engine, pieces
from seedstock.corpus.backends import one, slurm
from seedstock.errors import DataError, Interrupted
from seedstock.progress import Silent

SOURCE = Poems(name="poems", count=700, poison=(3, 500))


@pytest.fixture
def expected(tmp_path):
    """What the engine of this machine makes of the source."""
    engine.run(plan(tmp_path / "local", SOURCE, Roses()), workers=2, timeout=60)
    return contents(tmp_path / "local")


def parts(work: Path) -> dict[str, bytes]:
    """What is in the folders of the tasks."""
    return {name: data for name, data in contents(work).items() if "/" in name and not name.startswith("slurm/")}


def run(kind, tasks, done=lambda task: None):
    backends.run(kind, tasks, workers=2, timeout=60, memory=None, done=done, reporter=Silent())


def test_without_sbatch_the_script_is_left_and_its_elements_do_the_tasks(tmp_path, expected, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    tasks = plan(tmp_path / "work", SOURCE, Roses())
    with pytest.raises(Interrupted, match="7 shard tasks") as caught:
        run("slurm", tasks)
    script = tmp_path / "work" / "slurm" / "array.sbatch"
    assert str(script) in str(caught.value) and "sbatch --wait" in str(caught.value)
    assert "#SBATCH --array=0-6" in script.read_text()
    for number in (6, 2, 0, 5, 1, 4, 3):  # in any order, each by a process of its own
        element = {**os.environ, "SLURM_ARRAY_TASK_ID": str(number)}
        subprocess.run(["bash", str(script)], env=element, check=True)
    assert parts(tmp_path / "work") == expected
    assert all(task.pieces() for task in tasks)


def test_more_tasks_than_an_array_has_elements_are_shared_out(tmp_path, expected, monkeypatch):
    monkeypatch.setattr(slurm, "ELEMENTS", 3)
    tasks = plan(tmp_path / "work", SOURCE, Roses())
    script = slurm.write(tasks, timeout=60, memory=None)
    assert "#SBATCH --array=0-2" in script.read_text()
    for number in range(3):
        one.main([str(script.parent), str(number), "3"])
    assert parts(tmp_path / "work") == expected


def scheduler(folder: Path, body: str) -> str:
    """A stand-in for sbatch that runs an array's elements one after the other; returns a PATH with it."""
    folder.mkdir()
    path = folder / "sbatch"
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return f"{folder}:/usr/bin:/bin"


def test_with_sbatch_the_array_is_submitted_and_waited_for(tmp_path, expected, monkeypatch):
    body = '[ "$1" = --wait ] || exit 2\nfor i in 0 1 2 3 4 5 6; do SLURM_ARRAY_TASK_ID=$i bash "$2" || exit 1; done'
    monkeypatch.setenv("PATH", scheduler(tmp_path / "bin", body))
    tasks, seen = plan(tmp_path / "work", SOURCE, Roses()), []
    run("slurm", tasks, seen.append)
    assert parts(tmp_path / "work") == expected
    assert seen == tasks


def test_elements_that_failed_are_told_of_and_the_rest_is_kept(tmp_path, monkeypatch):
    body = 'SLURM_ARRAY_TASK_ID=1 bash "$2"; echo "element 0 ran out of time" >&2; exit 1'
    monkeypatch.setenv("PATH", scheduler(tmp_path / "bin", body))
    tasks = plan(tmp_path / "work", SOURCE, Roses())
    with pytest.raises(DataError, match="6 of 7 shard tasks were not done: element 0 ran out of time"):
        run("slurm", tasks)
    assert [task.pieces() is not None for task in tasks] == [number == 1 for number in range(7)]


def test_a_machine_that_does_not_share_the_folder_sends_the_same_files(tmp_path, expected):
    tasks = plan(tmp_path / "work", SOURCE, Roses(how="exit"))
    token = one.mark(tmp_path / "work")
    assert one.shares(tmp_path / "work", token) and not one.shares(tmp_path, token)
    here = one.run(tasks[0], token, 60, None)
    assert here is None and tasks[0].pieces()
    sent = one.run(tasks[5], "a token of another folder", 60, None)
    assert sent and tasks[5].pieces() is None
    one.put(tasks[5], sent)
    assert tasks[5].pieces()
    found, _ = pieces.finished([tasks[5]])
    assert [failure["row"] for piece in found for failure in piece.record["failures"]] == [0]


@pytest.mark.slow
def test_a_ray_cluster_of_two_nodes_makes_the_same_bytes(tmp_path, expected):
    pytest.importorskip("ray")
    # A process of its own: Ray leaves threads and handlers behind in the one that started it.
    program = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from test_backends import SOURCE, Roses, plan, run
cluster = Cluster(initialize_head=True, head_node_args={{"num_cpus": 1}})
cluster.add_node(num_cpus=1)
ray.init(address=cluster.address, log_to_driver=False)
assert len([node for node in ray.nodes() if node["Alive"]]) == 2
run("ray", plan(Path({str(tmp_path / "work")!r}), SOURCE, Roses()))
ray.shutdown()
cluster.shutdown()
"""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path}, check=True, timeout=240)
    assert parts(tmp_path / "work") == expected


def test_without_ray_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Exception, match="not installed") as caught:
        run("ray", plan(tmp_path, SOURCE))
    assert "seedstock[cluster]" in str(caught.value)
