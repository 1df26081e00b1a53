"""Questions to a run without a checkpoint are answered with the command that makes one."""

import pytest

from seedstock import weights
from seedstock.errors import DataError
from seedstock.runs import Run


def test_a_run_that_is_not_trained_says_how_to_go_on(tmp_path):
    (tmp_path / "early").mkdir()
    with pytest.raises(DataError) as error:
        weights.load(Run(tmp_path, "early"))
    assert "`seedstock resume early`" in error.value.fix
