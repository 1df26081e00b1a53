"""The engine: the same bytes for any number of workers, and nothing lost but what kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from poisons import Liar, Poems, Roses

from seedstock.corpus import engine, pieces
from seedstock.corpus.tasks import Task
from seedstock.errors import DataError

KEY = b"k" * 32


def plan(work: Path, source: Poems, *signals, piece_bytes: int = 20_000) -> list[Task]:
    return [
        Task(source, (partition,), signals, work, KEY, piece_bytes=piece_bytes) for partition in source.partitions()
    ]


def contents(work: Path) -> dict[str, bytes]:
    return {path.relative_to(work).as_posix(): path.read_bytes() for path in sorted(work.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_workers_writes_the_same_bytes(tmp_path, workers):
    source = Poems(name="poems", count=1000, poison=(3, 500))
    engine.run(plan(tmp_path / "here", source, Roses()), workers=0, timeout=60)
    engine.run(plan(tmp_path / "there", source, Roses()), workers=workers, timeout=60)
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert len(contents(tmp_path / "here")) > 30


@pytest.mark.parametrize(("how", "said"), [("raise", "ValueError: a thorn"), ("exit", "exit status 7")])
def test_only_the_guilty_documents_are_lost(tmp_path, how, said):
    source = Poems(name="poems", count=8, shelf=4, poison=(1, 6))
    tasks = plan(tmp_path, source, Roses(how=how), piece_bytes=10**6)
    engine.run(tasks, workers=2, timeout=60)
    found, unreadable = pieces.finished(tasks)
    failures = [failure for piece in found for failure in piece.record["failures"]]
    assert unreadable == []
    assert [(piece.first + failure["row"]) for piece in found for failure in piece.record["failures"]] == [1, 6]
    assert all(failure["step"] == "roses" and said in failure["reason"] for failure in failures)
    assert not any(str(Path.cwd()) in failure["reason"] for failure in failures)
    roses = [count for piece in found for count in piece.signal("roses@1")["roses"].to_pylist()]
    assert [row for row, count in enumerate(roses) if count is None] == [1, 6]
    assert sum(piece.rows for piece in found) == 8
    assert all(count == 2 * (1 + row % 3) for row, count in enumerate(roses) if count is not None)


# The silence that is allowed must be longer than a busy machine takes to start a worker.
@pytest.mark.parametrize(("how", "said", "timeout"), [("kill", "SIGKILL", 60), ("hang", "no answer for 4 s", 4)])
def test_a_document_that_kills_or_hangs_is_named(tmp_path, how, said, timeout):
    tasks = plan(tmp_path, Poems(name="poems", count=2, poison=(1,)), Roses(how=how))
    engine.run(tasks, workers=1, timeout=timeout)
    (piece,), _ = pieces.finished(tasks)
    assert [(failure["row"], said in failure["reason"]) for failure in piece.record["failures"]] == [(1, True)]
    assert piece.signal("roses@1")["roses"].to_pylist() == [2, None]


def test_a_worker_that_dies_for_no_fault_of_a_document_loses_nothing(tmp_path):
    signal_ = Roses(how="flaky", touched=str(tmp_path / "touched"))
    tasks = plan(tmp_path / "work", Poems(name="poems", count=50, poison=(7,)), signal_)
    engine.run(tasks, workers=2, timeout=60)
    found, _ = pieces.finished(tasks)
    assert all(not piece.record["failures"] for piece in found)


def test_a_partition_that_kills_its_reader_is_left_out_and_named(tmp_path):
    tasks = plan(tmp_path, Poems(name="poems", count=300, deadly=100))
    engine.run(tasks, workers=2, timeout=60)
    found, unreadable = pieces.finished(tasks)
    assert [line["locator"] for line in unreadable] == ["shelf-100"]
    assert "SIGSEGV" in unreadable[0]["reason"] and "poisons.py" in unreadable[0]["reason"]
    assert sum(piece.rows for piece in found) == 200


def test_a_partition_is_kept_up_to_the_item_that_kills_its_reader(tmp_path):
    tasks = plan(tmp_path, Poems(name="poems", count=300, torn=130))
    engine.run(tasks, workers=2, timeout=60)
    found, unreadable = pieces.finished(tasks)
    assert [line["locator"] for line in unreadable] == ["shelf-100"]
    assert "after 30 documents" in unreadable[0]["reason"] and "exit status 6" in unreadable[0]["reason"]
    assert sum(piece.rows for piece in found) == 230


@pytest.mark.parametrize("workers", [None, 1, 2])
def test_only_the_item_is_lost_that_kills_whoever_makes_a_row_of_it(tmp_path, workers):
    tasks = plan(tmp_path, Poems(name="poems", count=300, cursed=130))
    engine.run(tasks, workers=workers, timeout=60)
    found, unreadable = pieces.finished(tasks)
    assert [(line["locator"], line["reason"]) for line in unreadable] == [
        ("poem/130", "the worker died: exit status 5")
    ]
    assert sum(piece.rows for piece in found) == 299


def test_a_document_that_eats_memory_is_lost_alone_and_named(tmp_path):
    tasks = plan(tmp_path, Poems(name="poems", count=300, poison=(77,)), Roses(how="eat"), piece_bytes=10**6)
    engine.run(tasks, workers=2, timeout=60, memory=300e6)
    found, unreadable = pieces.finished(tasks)
    failures = [(piece.first + one["row"], one["reason"]) for piece in found for one in piece.record["failures"]]
    assert failures == [(77, "it took more than 0.3 GB of memory")] and not unreadable


@pytest.mark.parametrize("how", ["exit", "eat"])
def test_one_of_fifty_thousand_is_lost_and_named(tmp_path, how):
    source = Poems(name="poems", count=50_000, shelf=5000, poison=(31_415,))
    tasks = plan(tmp_path, source, Roses(how=how), piece_bytes=10**6)
    engine.run(tasks, workers=2, timeout=60, memory=300e6)
    found, unreadable = pieces.finished(tasks)
    assert [piece.first + one["row"] for piece in found for one in piece.record["failures"]] == [31_415]
    assert not unreadable and sum(piece.rows for piece in found) == 50_000
    assert sum(piece.signal("roses@1")["roses"].null_count for piece in found) == 1


def test_a_small_input_outlives_a_document_that_kills_its_process(tmp_path):
    source = Poems(name="poems", count=200, poison=(50,))
    for name, workers in (("forked", None), ("started", 1)):
        tasks = plan(tmp_path / name, source, Roses(how="exit"))
        assert engine.small(tasks)
        engine.run(tasks, workers=workers, timeout=60)
        found, _ = pieces.finished(tasks)
        assert [piece.first + one["row"] for piece in found for one in piece.record["failures"]] == [50]
    assert contents(tmp_path / "forked") == contents(tmp_path / "started")


def test_a_small_input_may_come_from_a_class_that_nobody_can_import(tmp_path):
    class Local(Poems):
        pass

    tasks = plan(tmp_path, Local(name="poems", count=4))
    engine.run(tasks, workers=None, timeout=60)
    assert sum(piece.rows for piece in pieces.finished(tasks)[0]) == 4


def test_a_signal_that_breaks_its_contract_ends_the_run_with_its_name(tmp_path):
    for workers in (0, 1):
        with pytest.raises(DataError, match="gave 3 rows") as caught:
            engine.run(plan(tmp_path, Poems(name="poems", count=4), Liar()), workers=workers, timeout=60)
        assert "liar" in str(caught.value)


def test_what_a_worker_cannot_import_is_said_plainly(tmp_path):
    class Local(Poems):
        pass

    with pytest.raises(DataError, match="cannot import") as caught:
        engine.run(plan(tmp_path, Local(name="poems", count=4)), workers=1, timeout=60)
    assert "importable module" in str(caught.value)


def test_what_is_committed_is_not_done_again(tmp_path):
    source = Poems(name="poems", count=500)
    touched = tmp_path / "touched"
    tasks = plan(tmp_path / "work", source, Roses(touched=str(touched)))
    engine.run(tasks, workers=0, timeout=60)
    before, batches = contents(tmp_path / "work"), touched.read_text()
    assert all(task.pieces() for task in tasks)
    (tasks[0].folder / "00000.json").unlink()
    engine.run(tasks, workers=0, timeout=60)
    assert contents(tmp_path / "work") == before
    assert len(touched.read_text()) - len(batches) == len("100\n")


def test_an_earlier_corpus_is_taken_over_only_where_its_files_are_unharmed(tmp_path):
    source = Poems(name="poems", count=300)
    first = plan(tmp_path / "first", source, Roses())
    engine.run(first, workers=0, timeout=60)
    pieces.assemble(tmp_path / "corpus", first, pieces.finished(first)[0])
    second = plan(tmp_path / "second", source, Roses())
    assert pieces.reuse(second, [tmp_path / "corpus"]) == 3
    engine.run(second, workers=0, timeout=60)
    assert [piece.record["sha256"] for piece in pieces.finished(second)[0]] == [
        piece.record["sha256"] for piece in pieces.finished(first)[0]
    ]
    victim = tmp_path / "corpus" / "documents" / "part-00001.parquet"
    changed = pq.read_table(victim).slice(1)
    victim.unlink()
    pq.write_table(changed, victim)
    assert pieces.reuse(plan(tmp_path / "third", source, Roses()), [tmp_path / "corpus"]) == 2
    # Another signal's configuration: the documents are taken over, the signal is computed.
    fourth = plan(tmp_path / "fourth", source, Roses(how="exit", touched=str(tmp_path / "touched")))
    assert pieces.reuse(fourth, [tmp_path / "corpus"]) == 2
    engine.run(fourth, workers=0, timeout=60)
    assert (tmp_path / "touched").exists()


def test_a_killed_run_redoes_less_than_a_shard_a_worker(tmp_path):
    """kill -9 in the middle: the workers end too, and the second attempt measures only what was not committed."""
    work, touched = tmp_path / "work", tmp_path / "touched"
    program = textwrap.dedent(f"""
        import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from poisons import Poems, Roses
        from test_engine import plan
        from seedstock.corpus import engine
        signal_ = Roses(touched={str(touched)!r}, slow=0.05)
        engine.run(plan(Path({str(work)!r}), Poems(name="poems", count=2000), signal_), workers=2, timeout=60)
    """)
    run = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 60
    while not touched.exists() or len(touched.read_text().split()) < 6:
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    time.sleep(0.5)
    stopped = len(touched.read_text().split())
    time.sleep(0.3)
    assert len(touched.read_text().split()) == stopped < 20, "the workers outlived their parent"
    done = sum(1 for path in work.rglob("*.json") if path.name != "read.json")
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    again = len(touched.read_text().split()) - stopped
    assert again <= 20 - done and stopped - done <= 2


def test_a_fork_that_waits_for_a_lock_is_replaced_by_a_started_worker(tmp_path, monkeypatch):
    """What hangs only where it was forked is no document's fault."""
    monkeypatch.setattr(engine, "FIRST", 0.5)
    monkeypatch.setattr(Roses, "compute", lambda self, batch: time.sleep(60))  # a started worker imports the real one
    tasks = plan(tmp_path, Poems(name="poems", count=20), Roses())
    engine.run(tasks, workers=None, timeout=30)
    found, unreadable = pieces.finished(tasks)
    assert not unreadable and not any(piece.record["failures"] for piece in found)
    assert sum(piece.signal("roses@1")["roses"].null_count for piece in found) == 0


def test_a_worker_at_our_own_tasks_spares_pandas_and_leaves_it_to_others(tmp_path):
    """pyarrow looks for pandas at its first list; what imports pandas by itself must find it all the same."""
    pytest.importorskip("pandas")
    (tmp_path / "a.txt").write_text("one\n")
    script = """
        import sys
        from seedstock.corpus import worker
        from seedstock.corpus.sources.text import Text
        from seedstock.corpus.tasks import Task
        source = Text(name="poems", path="a.txt")
        worker._spare_pandas(Task(source, tuple(source.partitions()), (), ".", bytes(32), 1))
        import pyarrow as pa
        assert pa.array([1, None]).null_count == 1 and "pandas" not in sys.modules
        import pandas
        assert pa.array(pandas.Series([1, 2])).to_pylist() == [1, 2]
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, check=True)
