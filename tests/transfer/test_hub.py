"""A checkpoint of the hub is one commit, and computes here what it computes there."""

from __future__ import annotations

import json
import socket
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from seedstock import weights
from seedstock.cli import main
from seedstock.errors import SeedstockError
from seedstock.models.configs.encoder import EncoderConfig
from seedstock.transfer.export import export
from seedstock.transfer.hub import fetch
from seedstock.transfer.importing import import_model

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (seedstock[hub])")
pytest.importorskip("transformers", reason="transformers is not installed (seedstock[hf])")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small BERT as the ecosystem has it, with a pickle beside it that nobody may fetch."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("checkpoint") / "bert"
    network = EncoderConfig(shape="bert", context=16, width=32, layers=2, heads=2, mlp_width=64).build(128, 5)
    export(network, None, folder)
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    return folder, network


class _Hub(BaseHTTPRequestHandler):
    """The few routes of the hub that a download of one model asks."""

    folder = None
    asked: list[str] = []  # noqa: RUF012 - one server a test

    def _answer(self, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        files = sorted(file.name for file in self.folder.iterdir())
        if path.startswith("/api/models/owner/bert"):
            if path.rsplit("/", 1)[-1] not in ("main", COMMIT, "bert"):
                self.send_response(404)
                self.send_header("X-Error-Code", "RevisionNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if "/tree/" in path:
                tree = [{"type": "file", "path": name, "size": 1, "oid": "0"} for name in files]
                return self._answer(json.dumps(tree).encode())
            about = {"id": "owner/bert", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
            return self._answer(json.dumps(about).encode())
        name = path.removeprefix(f"/owner/bert/resolve/{COMMIT}/")
        if name not in files:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.asked.append(name)
        body = (self.folder / name).read_bytes()
        mark = f'"{sha256(body).hexdigest()}"'
        self._answer(body, "application/octet-stream", ETag=mark, X_Repo_Commit=COMMIT)

    do_HEAD = do_GET

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def hub(checkpoint, monkeypatch, tmp_path):
    """A hub of this machine, and an empty cache."""
    handler = type("Hub", (_Hub,), {"folder": checkpoint[0], "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    yield handler, tmp_path / "cache"
    server.shutdown()
    server.server_close()


def test_a_branch_becomes_its_commit_and_computes_the_same(hub, checkpoint, capsys):
    assert main(["import", "hf:owner/bert@main", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] and found["class"] == "BertForMaskedLM"
    assert found["hub"]["commit"] == COMMIT and found["hub"]["revision"] == "main"
    digest = sha256((checkpoint[0] / "model.safetensors").read_bytes()).hexdigest()
    assert found["hub"]["files"]["model.safetensors"] == digest


def test_the_weights_are_those_of_there_and_no_pickle_is_fetched(hub, checkpoint):
    handler, cache = hub
    fetched = fetch(f"hf:owner/bert@{COMMIT}", cache=cache)
    theirs = import_model(fetched.folder, parity=False).network.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in checkpoint[1].state_dict().items())
    assert "model.safetensors" in handler.asked and "pytorch_model.bin" not in handler.asked


def test_what_was_fetched_is_there_without_a_network(hub, monkeypatch):
    handler, cache = hub
    first = fetch("hf:owner/bert", cache=cache)
    handler.asked.clear()
    again = fetch("hf:owner/bert", cache=cache, offline=True)
    assert again.folder == first.folder and again.commit == COMMIT and not handler.asked


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("hf:bert", "not a checkpoint of the hub"),
        ("hf:owner/bert@nowhere", "no such checkpoint"),
        ("hf:owner/other", "no such checkpoint"),
    ],
)
def test_what_is_not_there_is_told(hub, given, words):
    with pytest.raises(SeedstockError, match=words) as caught:
        weights.import_folder(given)
    assert given in str(caught.value.where)


def test_a_cache_that_lacks_it_is_told(tmp_path):
    with pytest.raises(SeedstockError, match="no such checkpoint"):
        fetch("hf:owner/bert", cache=tmp_path, offline=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["google-bert/bert-base-uncased", "openai-community/gpt2", "google-t5/t5-small"])
def test_a_public_checkpoint_computes_the_same(name):
    try:
        socket.create_connection(("huggingface.co", 443), timeout=3).close()
    except OSError as error:
        pytest.skip(f"there is no way to the hub: {error}")
    report = weights.import_folder(f"hf:{name}")
    assert report["passed"] and len(report["hub"]["commit"]) == 40
