"""One changed byte anywhere in a run is found, and named."""

import random
import shutil

import pytest

from seedstock.ledger import manifest
from seedstock.ledger.chain import Chain
from seedstock.ledger.files import write_json
from seedstock.ledger.ids import sha256_file
from seedstock.ledger.store import Store
from seedstock.provenance.close import close
from seedstock.provenance.verify import verify


def record(chain, kind, stage, folder, path):
    body = {"stage": stage, "folder": folder, "root": manifest.read(path).root}
    chain.append(kind, body | {"manifest_sha256": sha256_file(path / manifest.NAME)})


def small_ledger(runs, closed=True):
    """A run folder with every kind of file that a run has, through the ledger's own store and chain."""
    random.seed(3)
    run, store = runs / "small", Store(runs)
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text("name: small\n")
    chain = Chain(run / "ledger/chain.jsonl")
    for stage, names in {
        "corpus": ["documents/part-00000.parquet", "decisions/part-00000.parquet", "strata.json"],
        "shards": ["index.json", "train/00000-00000.tokens", "train/00000.documents.npy"],
    }.items():
        with store.build(stage, {"stage": stage}) as folder:
            for name in names:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(random.randbytes(200))
        path = store.folder(stage, {"stage": stage})
        record(chain, "stage", stage, path.relative_to(runs).as_posix(), path)
    for step in (10, 20):
        path = run / f"checkpoints/step-{step:08d}"
        path.mkdir(parents=True)
        (path / "model.safetensors").write_bytes(random.randbytes(300))
        write_json(path / "state.json", {"step": step})
        manifest.seal(path, "checkpoint", {"step": step})
        record(chain, "checkpoint", "training", path.relative_to(run).as_posix(), path)
    (run / "checkpoints/latest").write_text("step-00000020\n")
    (run / "events.jsonl").write_text('{"event": "done"}\n')
    (run / "evaluation").mkdir()
    write_json(run / "evaluation/scores.json", {"bits_per_byte": 2.5})
    (run / "release/papers").mkdir(parents=True)
    (run / "release/README.md").write_text("# small\n")
    if closed:
        close(run, chain)
    return run


def files(runs):
    return sorted(path for path in runs.rglob("*") if path.is_file() and path.suffix != ".lock")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = small_ledger(tmp_path_factory.mktemp("verify") / "runs")
    assert verify(run) == []
    return run


def test_what_was_checked_is_counted(whole):
    findings = verify(whole)
    assert findings.closed and findings.notes == []
    assert findings.checked["folders"] == 4 and findings.checked["records"] == 5
    assert findings.checked["files"] == len(files(whole.parent)) - 1  # the chain is counted by its records


def test_every_flipped_byte_is_found_and_its_file_named(whole):
    random.seed(7)
    for path in files(whole.parent):
        data = path.read_bytes()
        for at in {0, len(data) - 1, *(random.randrange(len(data)) for _ in range(6))}:
            path.write_bytes(data[:at] + bytes([data[at] ^ (1 << random.randrange(8))]) + data[at + 1 :])
            assert str(path) in {problem.file for problem in verify(whole)}, (path, at)
        path.write_bytes(data)
    assert verify(whole) == []


def test_every_missing_file_is_named(whole, tmp_path):
    for path in files(whole.parent):
        path.rename(tmp_path / "aside")
        assert str(path) in {problem.file for problem in verify(whole)}
        (tmp_path / "aside").rename(path)
    assert verify(whole) == []


def test_every_added_file_is_named(whole):
    folders = {path.parent for path in files(whole.parent)}
    for folder in sorted(folders):
        added = folder / "added"
        added.write_bytes(b"")
        assert [problem.file for problem in verify(whole)] == [str(added)]
        added.unlink()
    assert verify(whole) == []


def test_every_swap_of_two_files_is_found(whole):
    paths = files(whole.parent)
    for one, two in zip(paths, paths[1:] + paths[:1], strict=True):
        a, b = one.read_bytes(), two.read_bytes()
        one.write_bytes(b), two.write_bytes(a)
        named = {problem.file for problem in verify(whole)}
        assert named & {str(one), str(two)}
        one.write_bytes(a), two.write_bytes(b)
    assert verify(whole) == []


def test_records_cut_off_the_end_of_the_chain_are_missed(whole):
    path = whole / "ledger/chain.jsonl"
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    for kept in range(len(lines)):
        path.write_bytes(b"".join(lines[:kept]))
        assert [problem.file for problem in verify(whole)] == [str(path)]
    path.write_bytes(data + b'{"format":1,"num')
    assert [str(problem) for problem in verify(whole)] == [f"{path}: there are bytes after its last record"]
    path.write_bytes(data)


def test_a_head_noted_elsewhere_finds_a_chain_written_anew(tmp_path):
    run = small_ledger(tmp_path / "runs")
    noted = Chain(run / "ledger/chain.jsonl").head
    assert verify(run, head=noted) == []
    shutil.rmtree(tmp_path / "runs")
    forged = small_ledger(tmp_path / "runs", closed=False)
    (forged / "events.jsonl").write_text('{"event": "nothing happened"}\n')
    close(forged)
    assert verify(forged) == []
    assert "noted elsewhere" in verify(forged, head=noted)[0].what


def test_an_open_run_is_verified_as_far_as_it_is_recorded(tmp_path):
    run = small_ledger(tmp_path / "runs", closed=False)
    findings = verify(run)
    assert findings == [] and not findings.closed and "open" in findings.notes[0]
    state = run / "checkpoints/step-00000010/state.json"
    state.write_text("{}")
    assert [problem.file for problem in verify(run)] == [str(state)]


def test_of_an_open_run_the_newest_checkpoint_must_be_there(tmp_path):
    run = small_ledger(tmp_path / "runs", closed=False)
    shutil.rmtree(run / "checkpoints/step-00000010")
    findings = verify(run)
    assert findings == [] and "retention" in findings.notes[0]
    shutil.rmtree(run / "checkpoints/step-00000020")
    assert [problem.file for problem in verify(run)] == [str(run / "checkpoints/step-00000020/manifest.json")]


def test_a_run_that_goes_on_is_open_again_and_can_be_closed_again(tmp_path):
    run = small_ledger(tmp_path / "runs")
    chain = Chain(run / "ledger/chain.jsonl")
    with (run / "events.jsonl").open("a") as events:
        events.write('{"event": "resumed"}\n')
    assert [problem.file for problem in verify(run)] == [str(run / "events.jsonl")]
    chain.append("resumed", {"step": 20})
    assert verify(run) == [] and not verify(run).closed
    shutil.rmtree(run / "checkpoints/step-00000010")  # retention
    head = close(run, chain)
    assert verify(run) == [] and verify(run, head=head).closed
    count = len(Chain(run / "ledger/chain.jsonl").records)
    assert close(run) == head and len(Chain(run / "ledger/chain.jsonl").records) == count


def test_closing_that_was_cut_off_is_noticed_and_made_good(tmp_path):
    run = small_ledger(tmp_path / "runs")
    (run / "ledger/head.json").unlink()
    assert [problem.file for problem in verify(run)] == [str(run / "ledger/head.json")]
    close(run)
    assert verify(run) == []


def test_a_tombstone_moves_the_record_of_a_folder_and_must_follow_from_it(tmp_path):
    run = small_ledger(tmp_path / "runs")
    chain = Chain(run / "ledger/chain.jsonl")
    body = next(chain.of("stage"))
    folder = run.parent / body["folder"]
    (folder / "strata.json").write_bytes(b"[]")
    manifest.seal(folder, "corpus", {"stage": "corpus"})
    assert [problem.file for problem in verify(run)] == [str(folder / "manifest.json")]
    new = {"manifest_sha256": sha256_file(folder / manifest.NAME), "root": manifest.read(folder).root}
    old = {key: body[key] for key in new}
    chain.append("tombstone", {"folder": body["folder"], "stage": "corpus", "ids": [], "old": old, "new": new})
    close(run, chain)
    assert verify(run) == []
    chain.append("tombstone", {"folder": body["folder"], "stage": "corpus", "ids": [], "old": old, "new": old})
    assert [problem.file for problem in verify(run)] == [str(chain.path)]
