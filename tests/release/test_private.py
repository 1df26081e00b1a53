"""A release names neither this machine nor its owner's folders; an ordinary word names no machine."""

import getpass
import socket
from pathlib import Path

import pytest

from seedstock.release import private

TEXT = "The model was trained on linux with Python and torch on zaphod-7; see /home/anna/notes and /Users/ben."


@pytest.mark.parametrize("host", ["model", "linux", "Python", "python", "torch", "seedstock", "see", "zaphod"])
def test_an_ordinary_word_is_no_machines_name(monkeypatch, host):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert private.find(TEXT, Path("/somewhere/runs/one"), paper=True) is None


def test_a_machines_name_is_found_in_papers(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "zaphod-7.example.org")
    assert private.find(TEXT, Path("/somewhere/runs/one"), paper=True) == "zaphod-7"
    assert private.find(TEXT, Path("/somewhere/runs/one"), paper=False) is None


@pytest.mark.parametrize(
    ("user", "found"), [("anna", "/home/anna"), ("ben", "/Users/ben"), ("ann", None), ("model", None)]
)
def test_a_users_folder_is_found_wherever_home_lies(monkeypatch, user, found):
    monkeypatch.setattr(getpass, "getuser", lambda: user)
    assert private.find(TEXT, Path("/somewhere/runs/one"), paper=False) == found
