"""Sources of pictures, sounds, clips, sequences and episodes: what is whole is read, what is not is named."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import random
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from made_media import animation, bomb, clip, deep, picture, sound, tar

from seedstock.corpus.media import pictures, sounds
from seedstock.corpus.media.types import LONGEST
from seedstock.corpus.sources import members, ranges
from seedstock.corpus.sources.audio import Audio
from seedstock.corpus.sources.base import Item, Source, Unreadable
from seedstock.corpus.sources.episodes import pack, unpack
from seedstock.corpus.sources.fasta import Fasta, parse
from seedstock.corpus.sources.idx import png
from seedstock.corpus.sources.image_text import ImageText
from seedstock.corpus.sources.images import Images
from seedstock.corpus.sources.trajectories import Trajectories
from seedstock.corpus.sources.video import Video
from seedstock.errors import DataError


def everything(source: Source) -> tuple[list[Item], dict[str, str]]:
    found = [item for part in source.partitions() for item in source.read(pickle.loads(pickle.dumps(part)))]
    bad = [item for item in found if isinstance(item, Unreadable)]
    return [item for item in found if isinstance(item, Item)], {item.locator: item.reason for item in bad}


def test_pictures_of_a_folder_are_documents_with_their_folder_for_a_label(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "dog").mkdir()
    (tmp_path / "cat" / "1.png").write_bytes(picture(seed=1))
    (tmp_path / "cat" / "2.jpg").write_bytes(picture("JPEG"))
    (tmp_path / "dog" / "1.gif").write_bytes(animation())
    (tmp_path / "dog" / "16.png").write_bytes(deep(np.array([[1, 2]])))
    (tmp_path / "dog" / "note.md").write_text("no picture")
    items, bad = everything(Images(name="i", path=str(tmp_path)))
    assert [(item.locator, item.text, item.media_type) for item in items] == [
        ("cat/1.png", "cat", "image/png"),
        ("cat/2.jpg", "cat", "image/jpeg"),
        ("dog/1.gif", "dog", "image/gif"),
        ("dog/16.png", "dog", "image/png"),
    ]
    assert items[0].media == picture(seed=1) and items[2].meta["frames"] == 3
    assert bad == {}
    assert [item.text for item in everything(Images(name="i", path=str(tmp_path), label=None))[0]] == [""] * 4


def test_broken_pictures_are_named_and_the_rest_goes_on(tmp_path):
    data = {
        "a.png": picture(),
        "b.jpg": picture("JPEG")[:-200],
        "c.png": b"",
        "d.png": bomb(60000),
        "e.png": b"no picture at all",
        "f.jpg": sound(),
        "g.webp": picture("WEBP"),
    }
    for name, content in data.items():
        (tmp_path / name).write_bytes(content)
    items, bad = everything(Images(name="i", path=str(tmp_path), label=None))
    assert [item.locator for item in items] == ["a.png", "g.webp"]
    assert sorted(bad) == ["b.jpg", "c.png", "d.png", "e.png", "f.jpg"]
    assert "empty" in bad["c.png"] and "limit" in bad["d.png"] and "audio/wav" in bad["f.jpg"]


def test_a_truncated_archive_gives_what_comes_before_the_cut(tmp_path):
    whole = tar({f"{number:03d}.{kind}": picture(seed=number) if kind == "png" else b"a caption"
                 for number in range(6) for kind in ("png", "txt")})  # fmt: skip
    for cut in range(600, len(whole.rstrip(b"\0")), 611):
        (tmp_path / "x.tar").write_bytes(whole[:cut])
        items, bad = everything(ImageText(name="x", path=str(tmp_path / "x.tar")))
        assert [item.locator for item in items] == [f"x.tar/{number:03d}.png" for number in range(len(items))]
        assert "breaks off" in bad["x.tar"]
        assert all(item.media == picture(seed=number) for number, item in enumerate(items))
    (tmp_path / "x.tar").write_bytes(whole)
    assert len(everything(ImageText(name="x", path=str(tmp_path / "x.tar")))[0]) == 6
    large = tar({f"{number}.png": picture(seed=number, size=(64, 64)) for number in range(12)})
    (tmp_path / "y.tar.gz").write_bytes(gzip.compress(large)[:-300])
    items, bad = everything(Images(name="y", path=str(tmp_path / "y.tar.gz"), label=None))
    assert 5 < len(items) < 12 and "breaks off" in bad["y.tar.gz"]


def test_hostile_members_are_names_and_nothing_is_written(tmp_path):
    (tmp_path / "in").mkdir()
    links = [tarfile.TarInfo(name) for name in ("link.png", "device.png")]
    links[0].type, links[0].linkname = tarfile.SYMTYPE, "/etc/passwd"
    links[1].type = tarfile.CHRTYPE
    names = [
        "../../escape.png",
        "/absolute.png",
        "tab\there\x1b[31m.png",
        "caf\udce9.png",
        "d" * 300 + ".png",
        ".hidden.png",
    ]
    (tmp_path / "in" / "h.tar").write_bytes(tar({name: picture() for name in names}, links))
    before = sorted(tmp_path.rglob("*"))
    items, bad = everything(Images(name="h", path=str(tmp_path / "in" / "h.tar"), label=None))
    assert sorted(tmp_path.rglob("*")) == before
    assert len(items) == 5 and all(item.locator.isprintable() for item in items)
    assert "h.tar/tab\\there\\x1b[31m.png" in [item.locator for item in items]
    assert sorted(bad) == ["h.tar/device.png", "h.tar/link.png"]


def test_a_header_of_an_absurd_size_is_refused(tmp_path):
    huge = tarfile.TarInfo("./@LongLink")
    huge.type, huge.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    (tmp_path / "x.tar").write_bytes(tar({"a.png": picture()})[: -10240 + 512] + huge.tobuf() + b"x" * 1024)
    items, bad = everything(Images(name="x", path=str(tmp_path / "x.tar"), label=None))
    assert len(items) <= 1 and "breaks off" in bad["x.tar"]


NAMES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "a/b", "long" * 40, ".hidden", "c"]), st.sampled_from([".jpg", ".txt", ".json", ""])
    ),
    max_size=25,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    names=NAMES,
    size=st.integers(1, 6000),
    form=st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    cut=st.none() | st.integers(0, 12_000),
    limit=st.sampled_from([300, LONGEST]),
)
@example([("a", ".jpg"), ("b", ".jpg")], 1, tarfile.USTAR_FORMAT, 8176, LONGEST)  # ends within what b.jpg holds
def test_each_group_of_a_tar_archive_is_read_once_whatever_the_pieces(tmp_path, names, size, form, cut, limit):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w", format=form) as archive:
        for number, (name, suffix) in enumerate(names):
            if form == tarfile.USTAR_FORMAT and len(name) > 90:
                continue
            info = tarfile.TarInfo(name + suffix)
            info.size = number * 37 % 900
            info.type = {10: tarfile.DIRTYPE, 7: tarfile.SYMTYPE}.get(number % 11, tarfile.REGTYPE)
            info.size *= info.type == tarfile.REGTYPE
            archive.addfile(info, io.BytesIO(bytes([number]) * info.size))
    if cut is not None:
        path.write_bytes(path.read_bytes()[: max(1, len(path.read_bytes()) - 1024 - cut)])

    def found():
        parts = members.partitions(str(path), (".jpg",), "test")
        groups = [one for part in parts for one in members.groups(pickle.loads(pickle.dumps(part)), limit)]
        return len(parts), [one if isinstance(one, Unreadable) else (one.key, one.members) for one in groups]

    _, whole = found()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "SIZE", size)
        assert found()[1] == whole


def test_a_large_tar_archive_comes_in_pieces_and_one_with_a_header_for_all_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(ranges, "SIZE", 5000)
    for name, headers in (("a", {}), ("b", {"comment": "of all"})):
        with tarfile.open(tmp_path / f"{name}.tar", "w", format=tarfile.PAX_FORMAT, pax_headers=headers) as archive:
            for number in range(50):
                info = tarfile.TarInfo(f"{number}.png")
                info.size = len(picture(seed=number))
                archive.addfile(info, io.BytesIO(picture(seed=number)))
    source = Images(name="i", path=str(tmp_path / "a.tar"))
    assert len(source.partitions()) > 5 and len(everything(source)[0]) == 50
    assert sum(part.bytes for part in source.partitions()) == (tmp_path / "a.tar").stat().st_size
    assert len(Images(name="i", path=str(tmp_path / "b.tar")).partitions()) == 1


def test_pairs_need_both_halves(tmp_path):
    members = {
        "a.png": picture(seed=1), "a.txt": b"a caption",
        "b.png": picture(seed=2),
        "c.txt": b"without a picture",
        "d.png": picture(seed=4), "d.txt": b"  ",
        "e.jpg": picture("JPEG"), "e.json": json.dumps({"text": "from json", "license": "CC0-1.0", "url": "http://x/"}).encode(),
        "f.png": picture(seed=6), "f.json": b"{broken",
    }  # fmt: skip
    (tmp_path / "p.tar").write_bytes(tar(members))
    for name, data in members.items():
        (tmp_path / name).write_bytes(data)
    for path, before in ((tmp_path / "p.tar", "p.tar/"), (tmp_path, "")):
        if not before:
            (tmp_path / "p.tar").unlink()
        items, bad = everything(ImageText(name="p", path=str(path)))
        assert [(item.locator, item.text) for item in items] == [
            (f"{before}a.png", "a caption"),
            (f"{before}e.jpg", "from json"),
        ]
        assert (items[1].licence, items[1].url) == ("CC0-1.0", "http://x/")
        assert bad[f"{before}b.png"] == bad[f"{before}d.png"] == "a picture without its caption"
        assert bad[f"{before}c"] == "a caption without its picture"
        assert "cannot be read" in bad[f"{before}f"]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_a_table_names_the_pictures_of_a_folder(tmp_path, form):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(picture(seed=number))
    rows = [
        {"file_name": f"{n}.png", "text": f"picture {n}", "license": "CC-BY-4.0", "mood": "calm"} for n in (0, 1, 7)
    ]
    path = tmp_path / f"captions.{form}"
    if form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif form == "csv":
        path.write_text("file_name,text,license,mood\n" + "".join(",".join(row.values()) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    source = ImageText(name="t", path=str(tmp_path), captions=str(path))
    items, bad = everything(source)
    assert [(item.locator, item.text, item.licence) for item in items] == [
        ("0.png", "picture 0", "CC-BY-4.0"),
        ("1.png", "picture 1", "CC-BY-4.0"),
    ]
    assert items[0].meta["mood"] == "calm"
    assert bad == {"2.png": "a picture without its caption", "7.png": "a caption without its picture"}
    before = source.fingerprint()
    if form == "jsonl":
        path.write_text(path.read_text().replace("picture 1", "another"))
        assert source.fingerprint() != before


@pytest.mark.parametrize("field", ["text", "said.it"])
def test_a_picture_that_a_table_names_several_times_keeps_all_captions(tmp_path, field):
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "b.png").write_bytes(picture(seed=2))
    outer, _, inner = field.partition(".")

    def row(name, text, **more):
        return {"file_name": name, outer: {inner: text} if inner else text, **more}

    rows = [row("a.png", "one", by="x"), row("a.png", "two"), row("a.png", " ")]
    rows += [row("b.png", "dog", language="en"), row("b.png", "hound", language="en")]
    rows += [row("b.png", "chien", language="fr")]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    table = str(tmp_path / "t.jsonl")
    items, bad = everything(ImageText(name="t", path=str(tmp_path), captions=table, fields={"text": field}))
    assert not bad and [(item.text, item.language, item.meta.get("captions")) for item in items] == [
        ("one", None, ["two"]),
        ("dog", "en", ["hound"]),
        ("chien", "fr", None),
    ]
    assert items[0].meta["by"] == "x" and items[1].meta["split_group"] == items[2].meta["split_group"]


def test_what_is_said_of_a_picture_stands_before_its_folder(tmp_path):
    folder = tmp_path / "digits"
    folder.mkdir()
    head = b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in (2, 3, 3))
    (folder / "t-images-idx3-ubyte").write_bytes(head + bytes(18))
    (folder / "t-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x02" + bytes([7, 4]))
    items, bad = everything(Images(name="m", path=str(tmp_path)))
    assert not bad and [(item.text, item.meta["label"]) for item in items] == [("7", 7), ("4", 4)]


def test_a_class_beside_a_picture_is_its_label(tmp_path):
    members = {"x/a.png": picture(), "x/a.cls": b"3\n", "x/b.png": picture(seed=2)}
    (tmp_path / "t.tar").write_bytes(tar(members))
    items, bad = everything(Images(name="m", path=str(tmp_path)))
    assert not bad and [(item.text, item.meta["label"]) for item in items] == [("3", "3"), ("x", "x")]
    _, bad = everything(ImageText(name="m", path=str(tmp_path)))
    assert len(bad) == 2, "a class is no caption"


def test_a_table_without_file_names_is_one_clear_error(tmp_path):
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "t.jsonl").write_text('{"text": "x"}\n')
    with pytest.raises(DataError, match="no file name in the field 'file_name'"):
        ImageText(name="t", path=str(tmp_path), captions=str(tmp_path / "t.jsonl")).partitions()


def test_parquet_holds_pictures_as_bytes_or_as_hugging_face_does(tmp_path):
    rows = [
        {"image": {"bytes": picture(seed=0), "path": "x.png"}, "text": "one", "id": 1},
        {"image": {"bytes": picture("JPEG")[:-90], "path": None}, "text": "cut", "id": 2},
        {"image": {"bytes": None, "path": "y.png"}, "text": "lost", "id": 3},
        {"image": {"bytes": picture(seed=3), "path": "z.png"}, "text": "", "id": 4},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet", row_group_size=2)
    items, bad = everything(ImageText(name="p", path=str(tmp_path)))
    assert [(item.locator, item.text, item.media) for item in items] == [("x.parquet:0", "one", picture(seed=0))]
    assert sorted(bad) == ["x.parquet:1", "x.parquet:2", "x.parquet:3"]
    assert bad["x.parquet:2"] == "a caption without its picture"
    pq.write_table(pa.table({"url": ["http://x/a.png"], "text": ["one"]}), tmp_path / "x.parquet")
    _, bad = everything(ImageText(name="p", path=str(tmp_path)))
    assert "fetch: is not set" in bad["x.parquet:0"]


def test_idx_files_are_read_with_their_labels_and_end_where_they_break_off(tmp_path):
    rng = np.random.default_rng(3)
    digits = rng.integers(0, 256, (5, 4, 6), np.uint8)
    head = b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in digits.shape)
    (tmp_path / "t-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + digits.tobytes()))
    (tmp_path / "t-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x05" + bytes([7, 0, 1, 2, 9]))
    source = Images(name="m", path=str(tmp_path), labels=str(tmp_path / "t-labels-idx1-ubyte"))
    items, bad = everything(source)
    assert [item.text for item in items] == ["7", "0", "1", "2", "9"] and not bad
    for item, digit in zip(items, digits, strict=True):
        assert np.array_equal(pictures.picture(item.media)[..., 0], digit)
    (tmp_path / "t-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + digits.tobytes()[:-30]))
    items, bad = everything(source)
    assert len(items) == 3 and "breaks off" in next(iter(bad.values()))
    (tmp_path / "t-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x02" + bytes([7, 0]))
    items, bad = everything(source)
    assert not items and "5 pictures and 2 labels" in next(iter(bad.values()))


def test_colour_pixels_survive_as_png():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    assert np.array_equal(pictures.picture(png(pixels)), pixels)


def test_sounds_have_their_rate_and_what_their_name_says(tmp_path):
    (tmp_path / "3_ann_0.wav").write_bytes(sound(rate=8000))
    (tmp_path / "4_bob_1.flac").write_bytes(sound("FLAC", rate=44100, channels=2))
    (tmp_path / "5_bob_2.ogg").write_bytes(sound("OGG", rate=11025))
    (tmp_path / "6_bob_3.wav").write_bytes(sound(seconds=0))
    (tmp_path / "7_bob_4.wav").write_bytes(sound()[:-100])
    (tmp_path / "8_bob_5.wav").write_bytes(b"RIFF")
    pattern = r"(?P<text>\d)_(?P<group>[a-z]+)_(?P<take>\d)"
    items, bad = everything(Audio(name="a", path=str(tmp_path), pattern=pattern))
    assert [
        (item.text, item.meta["sample_rate"], item.meta["channels"], item.meta["split_group"]) for item in items
    ] == [
        ("3", 8000, 1, "ann"),
        ("4", 44100, 2, "bob"),
        ("5", 11025, 1, "bob"),
    ]
    assert sorted(bad) == ["6_bob_3.wav", "7_bob_4.wav", "8_bob_5.wav"]
    assert "no samples" in bad["6_bob_3.wav"] and "100 bytes are missing" in bad["7_bob_4.wav"]


def test_clips_are_described_and_take_their_text_from_beside_them(tmp_path):
    (tmp_path / "a.mp4").write_bytes(clip())
    (tmp_path / "a.txt").write_text("grey turning white")
    (tmp_path / "b.webm").write_bytes(clip(form="webm", codec="libvpx"))
    (tmp_path / "c.mp4").write_bytes(clip()[:400])
    (tmp_path / "d.txt").write_text("nothing of this name")
    items, bad = everything(Video(name="v", path=str(tmp_path)))
    assert [(item.locator, item.text, item.meta["frames"]) for item in items] == [
        ("a.mp4", "grey turning white", 10),
        ("b.webm", "", 10),
    ]
    assert sorted(bad) == ["c.mp4", "d"]


def test_fasta_sequences_are_joined_and_headers_taken_apart(tmp_path):
    (tmp_path / "x.fasta.gz").write_bytes(
        gzip.compress(
            b"ACGT\n;a comment\n>sp|P1|A_B Some protein OS=Homo sapiens OX=9606 GN=ABC\r\nMKV\r\nLL\r\n"
            b">empty\n\n>P1 1.2.3.4~~~abc~~~Thing A~~~ kingdom=Archaea\nMK*\n>bad\nM1K\n>P1 again\nMM"
        )
    )
    items, bad = everything(Fasta(name="f", path=str(tmp_path)))
    assert [(item.locator, item.text) for item in items] == [
        ("x.fasta.gz#sp|P1|A_B", "MKVLL"),
        ("x.fasta.gz#P1", "MK*"),
        ("x.fasta.gz#P1", "MM"),
    ]
    assert items[0].meta == {
        "at": 16,
        "id": "sp|P1|A_B",
        "description": "Some protein",
        "OS": "Homo sapiens",
        "OX": "9606",
        "GN": "ABC",
    }
    assert items[1].meta["gene"] == "abc" and items[1].meta["kingdom"] == "Archaea" and items[1].title == "Thing A"
    assert all((item.language, Fasta(name="f", path="x").domain) == ("und", "proteins") for item in items)
    assert {where: reason.split()[0] for where, reason in bad.items()} == {
        "x.fasta.gz@0": "a", "x.fasta.gz@81": "a", "x.fasta.gz@140": "byte",
    }  # fmt: skip
    assert parse("only") == {"id": "only"}


ENTRIES = st.lists(
    st.sampled_from([b">a one", b">b", b">", b"MKV", b"ACDEFGHIKLMNPQRSTVWY" * 4, b";x", b"", b"M1", b" M K "]),
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=ENTRIES, size=st.integers(1, 120), end=st.sampled_from([b"\n", b"\r\n"]))
def test_each_entry_of_a_fasta_file_is_read_once_whatever_the_cuts(tmp_path, lines, size, end):
    (tmp_path / "x.fa").write_bytes(end.join(lines) + b"\n")
    source = Fasta(name="f", path=str(tmp_path / "x.fa"))
    with pytest.MonkeyPatch.context() as patch:
        whole = everything(source)
        patch.setattr(ranges, "SIZE", size)
        parts = source.partitions()
        assert everything(source) == whole
        assert len(parts) == max(1, -(-(tmp_path / "x.fa").stat().st_size // size))
    places = [item.meta["at"] for item in whole[0]]
    assert places == sorted(set(places))


def test_a_sequence_that_breaks_off_is_named_and_not_taken_for_whole(tmp_path):
    letters = random.Random(1).randbytes(8_000_000).hex().encode().translate(None, b"0123456789")
    packed = gzip.compress(b">a\nMKV\n>b\n" + letters, 1)
    (tmp_path / "x.fa.gz").write_bytes(packed[: len(packed) * 9 // 10])
    items, bad = everything(Fasta(name="f", path=str(tmp_path)))
    assert [item.text for item in items] == ["MKV"] and "breaks off" in next(iter(bad.values()))


def test_a_sequence_of_one_long_line_is_whole(tmp_path):
    (tmp_path / "x.fa").write_bytes(b">a\n" + b"ACGT" * 700_000 + b"\n>b\nAC\n")
    items, _ = everything(Fasta(name="f", path=str(tmp_path)))
    assert [len(item.text) for item in items] == [2_800_000, 2]


def episode(steps: int = 5, seed: int = 0, last: bool = True) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    done = np.zeros(steps, bool)
    done[-1] = True
    return {
        "observations": rng.normal(size=(steps + last, 3)).astype(np.float32),
        "actions": rng.integers(0, 4, steps),
        "rewards": rng.normal(size=steps),
        "terminations": done,
        "truncations": np.zeros(steps, bool),
    }


def test_episodes_come_back_whole_and_pack_to_the_same_bytes():
    one = episode()
    again = unpack(pack(one))
    assert again.keys() == one.keys() and all(np.array_equal(again[name], one[name]) for name in one)
    assert pack(dict(reversed(one.items()))) == pack(one)
    assert np.load(io.BytesIO(pack(one)))["actions"].tolist() == one["actions"].tolist()


def test_npz_files_are_cut_where_episodes_end(tmp_path):
    parts = [episode(steps, seed, last=False) for seed, steps in enumerate((4, 7, 3))]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    joined["terminals"], joined["timeouts"] = joined.pop("terminations"), joined.pop("truncations")
    np.savez(tmp_path / "d4rl.npz", **joined)
    np.savez_compressed(tmp_path / "one.npz", mission=np.array("open the door"), **episode())
    items, bad = everything(Trajectories(name="t", path=str(tmp_path), environment="Door-v0"))
    assert [(item.locator, item.meta["steps"]) for item in items] == [
        ("d4rl.npz#0", 4), ("d4rl.npz#1", 7), ("d4rl.npz#2", 3), ("one.npz#0", 5),
    ]  # fmt: skip
    assert not bad and items[3].text == "open the door" and items[0].meta["environment"] == "Door-v0"
    for item, part in zip(items, parts, strict=False):
        assert np.array_equal(unpack(item.media)["observations"], part["observations"])
        assert item.meta["return"] == pytest.approx(part["rewards"].sum(), abs=1e-5) and item.meta["terminated"]


def test_a_minari_file_gives_an_episode_a_group(tmp_path):
    with h5py.File(tmp_path / "main_data.hdf5", "w") as file:
        for number in (0, 1, 10, 2):
            group = file.create_group(f"episode_{number}")
            for name, array in episode(3 + number, number).items():
                if name == "observations":
                    group.create_group(name)["image"] = array
                else:
                    group[name] = array
            group.create_group("infos")["secret"] = np.zeros(1)
        del file["episode_2"]["rewards"]
        file["episode_3"] = h5py.SoftLink("/episode_0")
        file.create_group("episode_4")["observations"] = h5py.ExternalLink("/etc/passwd", "/")
    (tmp_path / "metadata.json").write_text(
        json.dumps({"dataset_id": "door-v0", "license": "CC-BY-4.0", "env_spec": '{"id": "Door-v0"}'})
    )
    items, bad = everything(Trajectories(name="t", path=str(tmp_path)))
    assert [(item.locator.rpartition("#")[2], item.meta["steps"]) for item in items] == [
        ("0", 3),
        ("1", 4),
        ("3", 3),
        ("10", 13),
    ]
    assert all(
        (item.licence, item.meta["dataset"], item.meta["environment"]) == ("CC-BY-4.0", "door-v0", "Door-v0")
        for item in items
    )
    assert sorted(unpack(items[0].media)) == ["actions", "observations/image", "rewards", "terminations", "truncations"]
    assert bad["main_data.hdf5#2"] == "an episode without rewards" and "link" in bad["main_data.hdf5#4"]
    items, _ = everything(Trajectories(name="t", path=str(tmp_path), rewards="optional"))
    assert len(items) == 5


def test_an_episode_that_holds_no_numbers_does_not_stop_the_reading_of_those_behind_it(tmp_path):
    good = {name: array.tolist() for name, array in episode().items()}
    texts = {"observations": [["a"]] * 5, "actions": ["go"] * 5, "rewards": ["1"] * 5}
    lines = [good | {name: one} for name, one in texts.items()] + [good | {"rewards": [1e308] * 5}, good]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    items, bad = everything(Trajectories(name="t", path=str(tmp_path)))
    assert [item.locator for item in items] == ["x.jsonl#5"]
    assert [bad[f"x.jsonl#{number}"] for number in (1, 2, 3)] == [
        "observations holds str32, and no real numbers",
        "actions holds str64, and no real numbers",
        "rewards holds str32, and no real numbers",
    ]
    assert "more than a number can hold" in bad["x.jsonl#4"]


def test_a_clip_is_video_whatever_else_its_bytes_could_be(tmp_path):
    (tmp_path / "moves.gif").write_bytes(animation())
    (tmp_path / "a.mp4").write_bytes(clip())
    items, bad = everything(Video(name="v", path=str(tmp_path)))
    assert not bad and [(item.locator, item.media_type) for item in items] == [
        ("a.mp4", "video/mp4"),
        ("moves.gif", "video/x-gif"),
    ]


def test_bad_episodes_are_named_and_nothing_pickled_is_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "exploded",)

    good = {name: array.tolist() for name, array in episode().items()}
    lines = [
        good | {"mission": "go"},
        {key: value for key, value in good.items() if key != "rewards"},
        good | {"actions": [1, 2]},
        good | {"rewards": [0, 0, float("nan"), 0, 0]},
        good | {"observations": [[1], [1, 2]]},
        good | {"actions": [], "observations": [], "rewards": []},
        [1],
    ]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "{broken\n")
    np.savez(tmp_path / "y.npz", observations=np.array([Bomb()], object), actions=np.array([0]))
    (tmp_path / "z.npz").write_bytes(pack(episode())[:-40])
    items, bad = everything(Trajectories(name="t", path=str(tmp_path)))
    assert [(item.locator, item.text) for item in items] == [("x.jsonl#1", "go")]
    assert sorted(bad) == [*(f"x.jsonl#{n}" for n in range(2, 9)), "y.npz#0", "z.npz#0"]
    assert bad["x.jsonl#2"] == "an episode without rewards" and "not finite" in bad["x.jsonl#4"]
    assert "pickled" in bad["y.npz#0"] and not (tmp_path / "exploded").exists()


def test_the_data_pack_reads_whole(data_pack):
    items, bad = everything(
        ImageText(name="e", path=str(data_pack / "image-text/emoji.tar"), fields={"text": "captions"})
    )
    assert len({item.locator.partition("#")[0] for item in items}) == 1650 and not bad
    assert len({item.language for item in items}) == 10
    assert pictures.picture(items[0].media).shape == (72, 72, 3)
    items, bad = everything(Images(name="c", path=str(data_pack / "images/cifar10-test.tar")))
    assert len(items) == 1000 and len({item.text for item in items}) == 10 and not bad
    items, bad = everything(Images(name="m", path=str(data_pack / "images/mnist/t10k-images-idx3-ubyte.gz")))
    assert len(items) == 5000 and {item.text for item in items} == set("0123456789") and not bad
    items, bad = everything(Audio(name="a", path=str(data_pack / "audio/spoken-digits.tar")))
    assert len(items) == 800 and not bad and sounds.sound(items[0].media)[1] == 8000
    items, bad = everything(Fasta(name="p", path=str(data_pack / "proteins")))
    assert len(items) == 7322 and list(bad.values()) == ["a header without its sequence"]
