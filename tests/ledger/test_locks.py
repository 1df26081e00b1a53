"""Who holds a lock, and for how long."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing import get_context

import pytest

from seedstock.errors import SeedstockError
from seedstock.ledger.store import Store


def _build_and_die(runs, forked):
    with Store(runs).build("corpus", {"one": 1}, resumable=True):
        if (pid := os.fork()) == 0:
            time.sleep(60)
            os._exit(0)
        forked.put(pid)
        forked.close()
        forked.join_thread()
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_worker_that_outlives_a_killed_build_does_not_keep_the_next_one_out(tmp_path):
    context = get_context("spawn")
    forked = context.Queue()
    process = context.Process(target=_build_and_die, args=(tmp_path, forked))
    process.start()
    worker = forked.get(timeout=60)
    process.join()
    try:
        with Store(tmp_path).build("corpus", {"one": 1}, resumable=True) as folder:
            (folder / "a").write_text("a")
            with (
                pytest.raises(SeedstockError, match="another process is building"),
                Store(tmp_path).build("corpus", {"one": 1}),
            ):
                pass
    finally:
        os.kill(worker, signal.SIGKILL)
