import contextlib
import fcntl
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedstock.errors import IntegrityError, SeedstockError
from seedstock.ledger import ids, manifest, merkle
from seedstock.ledger.canonical import canonical
from seedstock.ledger.chain import GENESIS, Chain
from seedstock.ledger.store import Store

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(values)
def test_canonical_bytes_survive_a_round_trip(value):
    assert canonical(json.loads(canonical(value))) == canonical(value)


def test_canonical_ignores_the_order_of_keys_and_refuses_nan():
    assert canonical({"b": 1, "a": 2}) == canonical({"a": 2, "b": 1}) == b'{"a":2,"b":1}'
    with pytest.raises(ValueError):
        canonical(float("nan"))


@given(st.binary(), st.binary())
def test_a_document_id_depends_on_every_part_and_on_the_key(a, b):
    key, other = b"k" * 32, b"o" * 32
    assert ids.document_id(key, "s", "l", a) != ids.document_id(other, "s", "l", a)
    assert ids.document_id(key, "s", "l", a) != ids.document_id(key, "s", "l2", a)
    assert (ids.document_id(key, "s", "l", a) == ids.document_id(key, "s", "l", b)) == (a == b)
    assert ids.document_id(key, "sl", "", a) != ids.document_id(key, "s", "l", a)


def test_the_project_key_is_made_once_and_kept_private(tmp_path, monkeypatch):
    monkeypatch.delenv("SEEDSTOCK_KEY")
    monkeypatch.setenv("SEEDSTOCK_HOME", str(tmp_path / "home"))
    key = ids.project_key()
    assert key == ids.project_key() and len(key) == 32
    assert (tmp_path / "home" / "key").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("SEEDSTOCK_KEY", "abc")
    with pytest.raises(SeedstockError, match="64 hexadecimal digits"):
        ids.project_key()


@given(st.dictionaries(st.text(min_size=1), st.sampled_from(["00", "11", "22"]), min_size=2, max_size=9))
def test_a_merkle_root_sees_every_swap(leaves):
    root = merkle.root(leaves.items())
    assert root == merkle.root(reversed(list(leaves.items())))
    (a, x), (b, y) = list(leaves.items())[:2]
    assert (merkle.root((leaves | {a: y, b: x}).items()) == root) == (x == y)
    assert merkle.root(list(leaves.items())[1:]) != root


def records(path, count=5):
    chain = Chain(path)
    for number in range(count):
        chain.append("step", {"step": number})
    return chain


def test_a_chain_reads_back_and_goes_on(tmp_path):
    first = records(tmp_path / "chain.jsonl")
    again = Chain(tmp_path / "chain.jsonl")
    assert again.records == first.records and again.head == first.head != GENESIS
    again.append("step", {"step": 5})
    assert [body["step"] for body in Chain(tmp_path / "chain.jsonl").of("step")] == list(range(6))


@pytest.mark.parametrize("line", range(5))
def test_an_altered_removed_or_moved_record_is_named(tmp_path, line):
    path = tmp_path / "chain.jsonl"
    records(path)
    lines = path.read_bytes().splitlines(keepends=True)
    altered = [*lines]
    altered[line] = lines[line].replace(b'"step":%d' % line, b'"step":9')
    path.write_bytes(b"".join(altered))
    with pytest.raises(IntegrityError, match=f"chain.jsonl:{line + 1}: the record was altered"):
        Chain(path)
    if line < 4:
        path.write_bytes(b"".join(lines[:line] + lines[line + 1 :]))
        with pytest.raises(IntegrityError, match=f"chain.jsonl:{line + 1}: a record before it is gone"):
            Chain(path)


def test_every_other_byte_of_a_record_is_noticed(tmp_path):
    path = tmp_path / "chain.jsonl"
    Chain(path).append("step", {"rate": 1e-05, "text": "a\u0001\r"})
    Chain(path).append("step", {"step": 1})
    whole = path.read_bytes()
    for at in range(len(whole) - 1):
        for other in (whole[at] ^ 0x20, whole[at] ^ 1, 13):
            if other == whole[at]:
                continue
            path.write_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
            with pytest.raises(IntegrityError):
                Chain(path)


def test_two_writers_of_a_chain_lose_nothing(tmp_path):
    path = tmp_path / "chain.jsonl"
    one, two = Chain(path), Chain(path)
    for number in range(6):
        (one if number % 2 else two).append("step", {"step": number})
    assert [body["step"] for body in Chain(path).of("step")] == list(range(6))
    Chain(tmp_path / "other.jsonl").append("seed", {})
    records(tmp_path / "other.jsonl", 9).path.replace(path)
    with pytest.raises(IntegrityError, match="replaced while in use"):
        one.append("step", {"step": 6})


def test_every_cut_inside_an_append_is_survived(tmp_path):
    path = tmp_path / "chain.jsonl"
    records(path, 2)
    whole = path.read_bytes()
    start = whole.index(b"\n") + 1
    for cut in range(start, len(whole)):
        path.write_bytes(whole[:cut])
        chain = Chain(path)
        assert len(chain.records) == 1 and chain.torn == (cut > start)
        chain.append("step", {"step": 1})
        assert path.read_bytes() == whole


def test_a_sealed_folder_names_every_kind_of_damage(tmp_path):
    for name in ("a", "b", "sub/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"content of {name}")
    manifest.seal(tmp_path, "corpus", {"seed": 1})
    assert manifest.problems(tmp_path) == []
    (tmp_path / "a").write_text("content of b")
    (tmp_path / "b").write_text("short")
    (tmp_path / "sub/c").unlink()
    (tmp_path / "d").touch()
    found = "\n".join(manifest.problems(tmp_path))
    for expected in ("a: its digest", "b: 5 bytes", "sub/c: missing", "d: not in the manifest"):
        assert expected in found


def test_a_folder_that_is_amended_keeps_its_origin_and_its_other_entries(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(f"content of {name}")
    first = manifest.seal(tmp_path, "corpus", {"seed": 1})
    assert first.origin == first.root
    (tmp_path / "a").write_text("erased")
    (tmp_path / "b").unlink()
    (tmp_path / "c").write_text("damaged")
    second = manifest.amend(tmp_path, ["a", "b"], {"reason": "asked", "old_root": first.root})
    assert manifest.read(tmp_path) == second and second.root != second.origin == first.root
    assert second.files.keys() == {"a", "c"}
    (found,) = manifest.problems(tmp_path)
    assert "c: 7 bytes, 12 recorded" in found
    third = manifest.amend(tmp_path, ["a"], {"reason": "again", "old_root": second.root})
    assert third.origin == first.root and len(third.tombstones) == 2


def test_the_store_builds_once_and_never_shows_half_a_stage(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(RuntimeError), store.build("corpus", {"a": 1}) as folder:
        (folder / "part").write_text("x")
        raise RuntimeError
    assert not store.has("corpus", {"a": 1})
    with store.build("corpus", {"a": 1}, resumable=True) as folder:
        assert (folder / "part").read_text() == "x"
        with pytest.raises(SeedstockError, match="another process"), store.build("corpus", {"a": 1}):
            pass
    assert store.has("corpus", {"a": 1}) and not store.has("corpus", {"a": 2})
    assert manifest.problems(store.folder("corpus", {"a": 1})) == []


def test_what_is_whole_is_never_built_again(tmp_path):
    store = Store(tmp_path)
    for text in ("first", "second"):
        refused = contextlib.nullcontext() if text == "first" else pytest.raises(SeedstockError, match="meanwhile")
        with refused, store.build("corpus", {}) as folder:
            (folder / "part").write_text(text)
    assert (store.folder("corpus", {}) / "part").read_text() == "first"
    assert manifest.problems(store.folder("corpus", {})) == []


def test_who_opened_the_lock_during_a_build_still_keeps_others_out_afterwards(tmp_path):
    store = Store(tmp_path)
    folder = store.folder("corpus", {})
    with contextlib.ExitStack() as stack:
        with store.build("corpus", {}):
            waiting = stack.enter_context(folder.with_name(folder.name + ".lock").open())
        fcntl.flock(waiting, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(SeedstockError, match="another process is building"), store.build("corpus", {}):
            pass
