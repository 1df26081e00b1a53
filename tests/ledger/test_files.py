import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seedstock.errors import SeedstockError
from seedstock.ledger import files


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "state.json"
    files.write_json(path, {"step": 1})
    with pytest.raises(RuntimeError), files.atomic(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert files.read_json(path) == {"step": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["state.json"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(RuntimeError), files.atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    for text in ("first", "second"):
        with files.atomic_folder(tmp_path / "out") as folder:
            (folder / "a").write_text(text)
        assert (tmp_path / "out" / "a").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_is_said_with_the_path(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SeedstockError, match="No space left on device") as caught:
        files.write_bytes(tmp_path / "shard", b"tokens")
    assert "make room" in str(caught.value) and str(tmp_path / "shard") in str(caught.value)


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(SeedstockError, match="a file stands where a folder belongs"):
        files.write_bytes(tmp_path / "runs" / "x", b"")
    with pytest.raises(SeedstockError, match="a file stands where a folder belongs"):
        files.write_bytes(tmp_path / "runs" / "deeper" / "x", b"")


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05])
def test_killed_while_writing_there_is_always_one_whole_version(tmp_path, delay):
    path = tmp_path / "versions"
    files.write_bytes(path, b"0" * 100_000)
    code = (
        "import sys; from pathlib import Path; from seedstock.ledger.files import write_bytes\n"
        "print('ready', flush=True)\n"
        "for i in range(10**6): write_bytes(Path(sys.argv[1]), str(i % 10).encode() * 100_000)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"ready\n"
    import time

    time.sleep(delay)
    child.send_signal(signal.SIGKILL)
    child.wait()
    data = Path(path).read_bytes()
    assert len(data) == 100_000 and len(set(data)) == 1
