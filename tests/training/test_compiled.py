"""What was compiled is kept where the next process finds it, in bounded room."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch._inductor.runtime.cache_dir_utils import default_cache_dir

from seedstock.training import compiled

RUN = """
import json, sys
from pathlib import Path
from small_run import small_config, small_fit, small_network
from torch._dynamo.utils import counters

config = small_config(steps=2, compile=True, recompute=sys.argv[2])
found = small_fit(Path(sys.argv[1]), config, small_network(layers=1))
print(json.dumps({"losses": found.losses, **counters["inductor"], **counters["aot_autograd"]}))
"""


def trained(home: Path, run: Path, recompute: str) -> dict[str, object]:
    """What a process of its own gave, which compiled or did not."""
    left = {name: value for name, value in os.environ.items() if name != compiled.NAME}
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    environment = left | {"SEEDSTOCK_HOME": str(home), "PYTHONPATH": paths}
    command = [sys.executable, "-c", RUN, str(run), recompute]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="the compiler needs a C++ compiler")
@pytest.mark.parametrize("recompute", ["none", "selective"])
def test_a_second_process_takes_compiled_code_from_where_the_first_kept_it(tmp_path: Path, recompute: str) -> None:
    first, second = (trained(tmp_path / "home", tmp_path / name, recompute) for name in ("a", "b"))
    assert first["fxgraph_cache_miss"] and "fxgraph_cache_miss" not in second and second["fxgraph_cache_hit"]
    assert second["losses"] == first["losses"]
    (kept,) = (tmp_path / "home" / "compiled").iterdir()
    assert any(kept.rglob("*.so"))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where it is kept, with nothing said about it before."""
    monkeypatch.setenv("SEEDSTOCK_HOME", str(tmp_path))
    monkeypatch.delenv(compiled.NAME, raising=False)
    compiled.keep.cache_clear()
    yield compiled.folder()
    compiled.keep.cache_clear()
    os.environ.pop(compiled.NAME, None)


def test_the_place_is_the_users_own_and_what_is_set_already_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled.keep() == place and os.environ[compiled.NAME] == str(place) and place.stat().st_mode & 0o77 == 0
    compiled.keep.cache_clear()
    monkeypatch.setenv(compiled.NAME, default_cache_dir())  # torch's doing
    assert compiled.keep() == place and os.environ[compiled.NAME] == str(place)
    compiled.keep.cache_clear()
    monkeypatch.setenv(compiled.NAME, "/elsewhere")
    assert compiled.keep() is None and os.environ[compiled.NAME] == "/elsewhere"


def test_where_nothing_can_be_written_torch_keeps_its_own_place(place: Path) -> None:
    place.parent.parent.mkdir(exist_ok=True)
    place.parent.write_text("a file in the place of a folder")
    assert compiled.keep() is None and compiled.NAME not in os.environ


def test_what_was_not_used_for_the_longest_time_makes_room(tmp_path: Path) -> None:
    for days, name in ((3, "old"), (2, "newer"), (9, "oldest"), (1, "new")):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (time.time() - days * 86400 + 600,) * 2)
    os.utime(tmp_path / "oldest", (time.time() - 60, 0))  # written long ago, and read just now
    compiled.bound(tmp_path, room=300)
    assert {path.name for path in tmp_path.iterdir()} == {"newer", "oldest", "new"}
    compiled.bound(tmp_path, room=0)  # what may be in use stays, though there is no room
    assert {path.name for path in tmp_path.iterdir()} == {"new", "oldest"}
