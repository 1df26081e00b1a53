import json
from pathlib import Path

import pytest

from seedstock.errors import SeedstockError
from seedstock.progress import Events


def test_events_are_lines_of_json_with_their_time(tmp_path):
    events = Events(tmp_path / "events.jsonl")
    events.event("step", loss=1.5)
    events.event("sample", text="ä\n")
    lines = [json.loads(line) for line in events.path.read_text().splitlines()]
    assert [line.pop("time") > 0 for line in lines] == [True, True]
    assert lines == [{"event": "step", "loss": 1.5}, {"event": "sample", "text": "ä\n"}]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_is_one_message():
    with pytest.raises(SeedstockError, match="No space left on device") as caught:
        Events(Path("/dev/full")).event("step", loss=1.5)
    assert "make room" in str(caught.value) and "/dev/full" in str(caught.value)
