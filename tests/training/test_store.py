"""Copies of checkpoints in a store: a machine that has nothing goes on from them."""

from __future__ import annotations

import threading

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from small_run import small_config, small_fit
from test_resume import Listener, StopAt, assert_same

from seedstock.errors import DataError, Interrupted
from seedstock.ledger import manifest


@pytest.fixture
def bucket():
    """An empty store in memory: (its URL, what is in it)."""
    system = MemoryFileSystem()
    if system.exists("/bucket"):
        system.rm("/bucket", recursive=True)
    return "memory://bucket/run", lambda: {path.split("/")[3] for path in system.find("/bucket")}


def config(url, **changes):
    return small_config(**{"steps": 20, "checkpoint_every": 4, "keep": 2, "store": url} | changes)


def test_a_machine_that_has_nothing_goes_on_from_the_store(tmp_path, bucket):
    url, _ = bucket
    small_fit(tmp_path / "whole", small_config(steps=20, checkpoint_every=4))
    with pytest.raises(Interrupted):
        small_fit(tmp_path / "first", config(url), callbacks=[StopAt(10)])
    listener = Listener()
    small_fit(tmp_path / "second", config(url), reporter=listener)
    assert any("step-00000010 was fetched from memory://bucket/run" in text for text in listener.said)
    assert_same(tmp_path / "whole", tmp_path / "second")


def test_in_the_store_is_what_stays_here(tmp_path, bucket):
    url, there = bucket
    small_fit(tmp_path / "run", config(url, schedule={"kind": "wsd", "decay": 8}, guard="stop"))
    here = {path.name for path in (tmp_path / "run" / "checkpoints").glob("step-*")}
    assert there() == here == {"step-00000012", "step-00000016", "step-00000020"}  # the first is before the fall


def test_a_copy_that_is_damaged_or_was_cut_off_is_passed_over(tmp_path, bucket):
    url, _ = bucket
    small_fit(tmp_path / "whole", small_config(steps=20, checkpoint_every=4))
    with pytest.raises(Interrupted):
        small_fit(tmp_path / "first", config(url, keep=9), callbacks=[StopAt(14)])
    system = MemoryFileSystem()
    system.rm(f"/bucket/run/step-00000014/{manifest.NAME}")
    victim = "/bucket/run/step-00000012/optimizer.safetensors"
    system.pipe_file(victim, system.cat_file(victim)[:-1] + b"?")
    listener = Listener()
    small_fit(tmp_path / "second", config(url), reporter=listener)
    assert any("step-00000012 in memory://bucket/run is damaged" in text for text in listener.said)
    assert any("step-00000008 was fetched" in text for text in listener.said)
    assert_same(tmp_path / "whole", tmp_path / "second")


def test_a_store_that_refuses_costs_no_step(tmp_path, bucket, monkeypatch):
    url, there = bucket
    refused = threading.Event()

    def refuse(self, *_, **__):
        refused.set()
        raise PermissionError("no right to write")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "put_file", refuse)
        listener = Listener()
        assert small_fit(tmp_path / "run", config(url), reporter=listener).step == 20
    assert refused.is_set() and not there()
    assert any("no right to write" in text and "checkpoints are here" in text for text in listener.said)


def test_a_store_that_does_not_answer_is_named_before_the_first_step(tmp_path, bucket, monkeypatch):
    def refuse(self, *_, **__):
        raise ConnectionError("no route")

    monkeypatch.setattr(MemoryFileSystem, "ls", refuse)
    with pytest.raises(DataError, match=r"training\.store: memory://bucket/run does not answer.*no route"):
        small_fit(tmp_path / "run", config(bucket[0]))
    assert not list((tmp_path / "run" / "checkpoints").glob("step-*"))


def test_what_is_here_is_not_replaced_by_what_is_older(tmp_path, bucket):
    url, _ = bucket
    small_fit(tmp_path / "first", config(url))
    listener = Listener()
    small_fit(tmp_path / "first", config(url), reporter=listener)
    assert not any("fetched" in text for text in listener.said)


def test_a_store_that_nobody_knows_is_named(tmp_path):
    with pytest.raises(DataError, match=r"training\.store: nowhere://bucket/run"):
        small_fit(tmp_path / "run", config("nowhere://bucket/run"))
