"""Shared fixtures: the data pack, a fixed project key, and a run of a tiny recipe."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How fast examples are made says something about the machine's other work, and nothing about the property.
quiet = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("seedstock", quiet, derandomize=True)  # the same commit gives the same answer
settings.register_profile("search", quiet)  # new examples each time: `make search`
settings.load_profile("seedstock")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="slow: runs with --slow")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def project_key(monkeypatch):
    """Every test has the same key, and none touches the user's own."""
    monkeypatch.setenv("SEEDSTOCK_KEY", "5e" * 32)
    return bytes.fromhex("5e" * 32)


@pytest.fixture(scope="session")
def data_pack() -> Path:
    """The folder of real data sets; tests that need it are skipped where it is absent."""
    folder = os.environ.get("SEEDSTOCK_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SEEDSTOCK_DATA does not name a folder of data sets")
    return Path(folder)
