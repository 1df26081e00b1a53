"""After a forget nothing of the document is left, nothing else has changed, and verify still passes."""

import fcntl
import hashlib
import html
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import small_ledger

from seedstock.errors import DataError, IntegrityError, SeedstockError
from seedstock.inputs.plan import DataPlan
from seedstock.inputs.shards import Shards
from seedstock.inputs.tokenizers import Tokenizer
from seedstock.ledger import forgotten, manifest
from seedstock.ledger.chain import Chain
from seedstock.provenance.exposure import exposures
from seedstock.provenance.forget import forget
from seedstock.provenance.verify import verify

WHY = {"reason": "asked for", "date": "2026-01-31"}


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    return small_ledger.make(tmp_path_factory.mktemp("forget") / "runs")


@pytest.fixture
def small(made, tmp_path):
    shutil.copytree(made.runs, tmp_path / "runs")
    return small_ledger.Small(tmp_path / "runs", made.documents, tmp_path / "runs/first", tmp_path / "runs/second")


def content(small):
    """Everything that can be read in any file: raw bytes, tables decompressed, tokens decoded."""
    tokenizer = Tokenizer(small.folder("tokenizer"))
    dtype = small.shards.dtype
    for path in sorted(small.runs.rglob("*")):
        if not path.is_file():
            continue
        raw = path.read_bytes()
        yield path, html.unescape(raw.decode("utf-8", "ignore").replace("\\n", "\n").replace('\\"', '"'))
        if path.suffix == ".parquet":
            yield path, "\n".join(str(value) for row in pq.read_table(path).to_pylist() for value in row.values())
        if path.suffix == ".tokens":
            yield path, tokenizer.decode(np.frombuffer(raw, dtype).tolist())


def pieces(small, name):
    """Passages of a document that no other document has."""
    text = small.document(name).text
    others = "\n".join(one.text for one in small.documents if one.name != name)
    found = [text[at : at + 40] for at in range(0, len(text) - 40, 20)]
    return [piece for piece in found if piece not in others and len(set(piece)) > 6]


def residue(small, names):
    """(file, passage) of everything that is left of documents."""
    wanted = [piece for name in names for piece in pieces(small, name)]
    wanted += [f"{name}.py" for name in names]
    return [(path, piece) for path, text in content(small) for piece in wanted if piece in text]


def snapshot(runs):
    files = (path for path in sorted(runs.rglob("*")) if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(runs).as_posix(): path.read_bytes() for path in files}


def test_the_search_finds_what_is_there(small):
    places = {path.parent.name for path, _ in residue(small, ["calendar"])}
    assert {"documents", "opening@1", "train", "first", "evaluation", "release"} <= places


@pytest.mark.parametrize("by", ["ids", "url", "locator"])
def test_nothing_of_a_document_is_left_anywhere(small, by):
    one = small.document("calendar")
    which = {"ids": {"ids": [one.id]}, "url": {"url": one.url}, "locator": {"locator": "calendar.py"}}[by]
    report = forget(small.run, **which, **WHY)
    assert residue(small, ["calendar"]) == []
    assert report.asked == [one.id.hex()] and report.twins == [] and report.runs == ["first", "second"]
    for run in (small.run, small.other):
        assert verify(run) == []
    assert verify(small.run).closed and not verify(small.other).closed
    assert forgotten.read(small.runs) == {one.id: {"id": one.id.hex(), **WHY}}


def test_its_twins_are_erased_too_unless_told_otherwise(small):
    one, twin = small.document("heapq"), small.document("heapq-copy")
    report = forget(small.run, [one.id], twins=False, **WHY)
    assert report.twins == [] and {piece for _, piece in residue(small, ["heapq-copy"])} >= {"heapq-copy.py"}
    report = forget(small.run, [one.id], **WHY)
    assert report.asked == [] and report.twins == [twin.id.hex()]
    assert residue(small, ["heapq", "heapq-copy"]) == []
    assert verify(small.run) == [] and verify(small.other) == []
    assert forget(small.run, [one.id], **WHY).completed
    assert snapshot(small.runs) == snapshot(small.runs)


def test_every_other_row_and_token_stays(small):
    gone = small.document("shlex").id
    before, streams = {}, {}
    counts = small.runs / ".store/words"  # of words, for tokenizers: they go as a whole and are counted again
    for path in sorted(small.runs.rglob("*.parquet")):
        if path.parent != counts:
            before[path] = pq.read_table(path).to_pylist()
    for path in sorted(small.runs.rglob("*.tokens")):
        streams[path] = np.fromfile(path, small.shards.dtype)
    [(_, stratum, start, tokens)] = small.shards.occurrences(gone)
    forget(small.run, [gone], **WHY)
    assert not counts.exists()
    for path, old in before.items():
        new = pq.read_table(path).to_pylist()
        if path.parent.name == "edits":
            assert new == [row for row in old if row["id"] != gone]
            continue
        ids = [row.get("id") for row in new] if "id" in new[0] else None
        for number, (was, now) in enumerate(zip(old, new, strict=True)):
            if now == was:
                continue
            if path.parent.name == "documents":
                assert ids[number] == gone
                empty = {"text": "", "meta": "{}", "locator": "forgotten", "raw_sha256": bytes(32)}
                empty["text_sha256"] = hashlib.sha256(b"").digest()
                assert {key: value for key, value in now.items() if value is not None} == empty | {
                    key: was[key] for key in ("id", "source", "licence", "domain", "bytes")
                }
            elif path.parent.name == "decisions":
                assert ids[number] == gone
                changed = {"decision": "forgotten", "phase": "forget", "step": "forget", "reason": "asked for"}
                assert now == was | changed | {"split": "", "stratum": -1}
            else:
                assert path.parent.name == "opening@1" and now["first"] is now["spans"] is None
    pad, changed = small.shards.specials["pad"], 0
    for path, old in streams.items():
        new = np.fromfile(path, small.shards.dtype)
        assert len(new) == len(old) and (new[new != old] == pad).all()
        changed += int((new != old).sum())
    assert changed == 2 * tokens  # in the shards of both runs
    assert (small.shards.read("train", stratum, np.array([start]), tokens) == pad).all()
    assert small.shards.document_at("train", stratum, start)[0] == gone


def test_who_saw_it_and_from_where_to_resume(small):
    one = small.document("sched")
    report = forget(small.run, [one.id], **WHY)
    plan_record, shards = small.chain.last("plan"), small.shards
    plan = DataPlan.from_json(plan_record["plan"])
    last = max(body["example"] for body in small.chain.of("checkpoint"))
    located = plan.locate(np.arange(last))
    [(_, stratum, start, tokens)] = shards.occurrences(one.id)
    seen = [
        number
        for number, (own, first, length) in enumerate(zip(located.strata, located.starts, located.lengths, strict=True))
        if own == stratum and first < start + tokens and first + length >= start
    ]
    assert seen
    first = plan.step(seen[0])
    [entry, other] = report.seen
    assert entry["run"] == "first" and other["run"] == "second"
    assert entry["steps"] == sorted({plan.step(example) for example in seen}) and entry["exposures"] == len(seen)
    assert entry["checkpoints"] == [step for step in (5, 10, 20) if step > first]
    assert entry["resume_from"] == max([0, *(step for step in (5, 10) if step <= first)])


def test_an_objective_that_reads_further_saw_more(small):
    chain, ids = small.chain, frozenset(one.id for one in small.documents)
    record = chain.last("plan")
    located = DataPlan.from_json(record["plan"]).locate(
        np.arange(max(body["example"] for body in chain.of("checkpoint")))
    )
    counts = []
    for reach in (1, 500):
        chain.append("plan", record | {"reach": reach})
        found = exposures(small.run, chain, ids)
        for entry in found:
            [(_, stratum, start, tokens)] = small.shards.occurrences(bytes.fromhex(entry["document"]))
            stops = located.starts + located.lengths + reach
            seen = (located.strata == stratum) & (located.starts < start + tokens) & (stops > start)
            assert entry["exposures"] == seen.sum()
        counts.append(sum(entry["exposures"] for entry in found))
    assert counts[0] < counts[1]


def counting(stop=None):
    """Counts renames and syncs, before each of which a process can die; exits at the ``stop``-th."""
    count = 0
    originals = {"replace": Path.replace, "fsync": os.fsync}

    def counted(name):
        def call(*arguments):
            nonlocal count
            count += 1
            if count == stop:
                os._exit(9)
            return originals[name](*arguments)

        return call

    patch = pytest.MonkeyPatch()
    patch.setattr(Path, "replace", counted("replace"))
    patch.setattr(os, "fsync", counted("fsync"))
    return patch, lambda: count


def killed_at(number, *arguments, **named):
    """Runs a forget in a child process that dies at its ``number``-th rename or sync; returns whether it died."""
    child = os.fork()
    if child == 0:
        try:
            counting(number)
            forget(*arguments, **named)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_forget_that_is_killed_anywhere_is_completed_by_the_next(made, tmp_path, every):
    def fresh(name):
        shutil.copytree(made.runs, tmp_path / name / "runs")
        return tmp_path / name / "runs/first"

    run, url = fresh("whole"), made.document("calendar").url
    patch, count = counting()
    with patch.context():
        report = forget(run, url=url, **WHY)
    patch.undo()
    wanted, total = snapshot(run.parent), count()
    assert total > 60
    random.seed(5)
    # At least the beginning and the end, where the journal comes and goes, and some points between.
    some = [1, 2, 3, *random.sample(range(4, total - 1), 4), total - 1, total]
    for number in range(1, total + 1) if every else some:
        run = fresh(f"cut-{number}")
        assert killed_at(number, run, url=url, **WHY)
        cut_off = (run.parent / ".store/forget.json").is_file()
        again = forget(run, url=url, **WHY) if cut_off or not forgotten.read(run.parent) else None
        if again:
            assert again.asked == report.asked and again.folders == report.folders
        assert snapshot(run.parent) == wanted, number
        shutil.rmtree(tmp_path / f"cut-{number}")


def test_temporary_files_and_half_built_stages_are_swept(small):
    text = small.document("calendar").text
    partial = small.runs / ".store/corpus/0123.partial/work"
    partial.mkdir(parents=True)
    (partial / "00000.documents.parquet").write_text(text)
    (small.run / "evaluation/.scores.json.999999999.tmp").write_text(text)
    report = forget(small.run, locator="calendar.py", **WHY)
    leftovers = [".store/corpus/0123.partial", "first/evaluation/.scores.json.999999999.tmp"]
    assert report.removed == [*leftovers, ".store/words"]
    assert residue(small, ["calendar"]) == []


def test_what_cannot_be_done_changes_nothing(small):
    before = snapshot(small.runs)
    with pytest.raises(DataError, match="no such document"):
        forget(small.run, url="https://example.org/none", **WHY)
    with pytest.raises(DataError, match="no such document"):
        forget(small.run, [bytes(16)], **WHY)
    for name in (".store/forget.lock", ".second.lock"):
        with (small.runs / name).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with pytest.raises(SeedstockError, match="another command"):
                forget(small.run, locator="calendar.py", **WHY)
    assert snapshot(small.runs) == before


@pytest.mark.parametrize(
    "damaged", ["documents/part-00000.parquet", "train/00000-00000.tokens", "evaluation/scores.json"]
)
def test_damage_is_not_sealed_over(small, damaged):
    path = next(path for path in small.runs.rglob(Path(damaged).name) if path.as_posix().endswith(damaged))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    before = snapshot(small.runs)
    with pytest.raises(SeedstockError) as caught:
        forget(small.run, [small.document("calendar").id], **WHY)
    assert isinstance(caught.value, IntegrityError) and damaged in str(caught.value)
    assert snapshot(small.runs) == before


def test_tombstones_say_what_happened_and_name_nobody(small):
    one = small.document("calendar")
    old = {name: manifest.read(small.folder(name)).root for name in ("corpus", "tokenizer", "shards")}
    forget(small.run, [one.id], **WHY)
    chain = Chain(small.run / "ledger/chain.jsonl")
    stones = {body["stage"]: body for body in chain.of("tombstone")}
    assert set(stones) == {"corpus", "shards", "release"}
    for stage in ("corpus", "shards"):
        new = manifest.read(small.folder(stage))
        assert new.root != old[stage] == stones[stage]["old"]["root"] and new.root == stones[stage]["new"]["root"]
        assert new.tombstones == [{"ids": [one.id.hex()], **WHY, "old_root": old[stage]}]
        assert stones[stage]["ids"] == [one.id.hex()] and stones[stage]["date"] == WHY["date"]
    assert manifest.read(small.folder("tokenizer")).root == old["tokenizer"]
    (small.runs / ".store/forgotten.jsonl").unlink()
    assert "a new build would take them" in verify(small.run)[0].what


def test_a_document_can_be_forgotten_after_another(small):
    for name in ("calendar", "queue", "this"):
        forget(small.run, locator=f"{name}.py", **WHY)
    assert residue(small, ["calendar", "queue", "this"]) == []
    assert verify(small.run) == [] and verify(small.other) == []
    assert len(manifest.read(small.folder("corpus")).tombstones) == 3
    assert not (small.runs / ".store/forget.json").exists()
    assert isinstance(small.shards, Shards)
