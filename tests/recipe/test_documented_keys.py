"""docs/recipes.md names every key that the sections that it tabulates can have, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seedstock import recipe

PAGE = (Path(__file__).parents[2] / "docs/recipes.md").read_text(encoding="utf-8")
TABLES = {
    "## Every key": None,
    "### `corpus`": "CorpusConfig",
    "### `corpus.policy`": "Policy",
    "### `corpus.policy.rules`": "Rule",
    "### `corpus.dedup`, written out": "DedupConfig",
    "### `mixture`": "MixtureConfig",
    "### `training`": "TrainingConfig",
    "### `evaluation`": "EvaluationConfig",
    "### `release`": "ReleaseConfig",
}


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_has_the_keys_of_the_schema(heading):
    schema = recipe.model().model_json_schema()
    name = TABLES[heading]
    wanted = (schema["$defs"][name] if name else schema)["properties"]
    begin = PAGE.index(f"\n{heading}\n") + len(heading)
    section = PAGE[begin : PAGE.find("\n#", begin + 2)]
    rows = re.findall(r"(?m)^\| (`.*?`) \|", section)
    keys = [key for row in rows for key in re.findall(r"`([^`]+)`", row)]
    assert sorted(keys) == sorted(wanted), "docs/recipes.md and `seedstock schema` differ"
