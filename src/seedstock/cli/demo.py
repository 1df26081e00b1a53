"""``seedstock demo``: from the files of this Python installation to a base model with its papers."""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from seedstock.cli import options as shared
from seedstock.errors import SeedstockError

PROMPT = "def "


def run(options: argparse.Namespace) -> Any:
    """Installs what training needs, runs the quickstart, and ends with a text and whom it resembles."""
    from seedstock import answers, environment, pipeline, views, weights

    began = time.monotonic()
    reporter = shared.reporter(options)
    try:
        environment.install(say=reporter.say)
    except RuntimeError as error:
        raise SeedstockError(str(error), fix="install torch and transformers, then start again") from error
    installed = time.monotonic()
    recipe = shared.load_recipe(options)
    done = pipeline.run(recipe, runs=options.runs, reporter=reporter)
    text = weights.generate(done, PROMPT, tokens=80)
    near = answers.nearest(done, text)
    ended = time.monotonic()
    result = {
        **done.summary(),
        "text": text,
        "nearest": near,
        "seconds": round(ended - installed, 1),
        "peak_memory_bytes": peak_memory(),
        "install": _installation(installed - began),
    }
    reporter.say("── a text by this model, and the training documents nearest to it")
    if options.json:
        return result
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    console.print(views.passage(text, near))
    console.print()
    console.print(_ending(done, result))
    return result


def peak_memory() -> int:
    """The largest resident set of this process or of one of its workers, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _installation(seconds: float) -> dict[str, Any]:
    """How long since the clone's ``make`` began, and what pip fetched, where make left that to be known."""
    from seedstock.environment import LOG, downloaded

    logs = [Path(sys.prefix) / name for name in ("pip.log", LOG)]
    fetched = sum(downloaded(log.read_text(errors="replace")) for log in logs if log.is_file())
    started = os.environ.get("SEEDSTOCK_STARTED", "")
    since = time.time() - float(started) if started.isdigit() else None
    return {"seconds": round(seconds, 1), "fetched_bytes": fetched, "seconds_since_make": since and round(since, 1)}


def _ending(run: Any, result: dict[str, Any]) -> str:
    install = result["install"]
    lines = [
        f"files to model in {result['seconds']:.0f} s, at most {result['peak_memory_bytes'] / 2**30:.1f} GiB of memory"
    ]
    if install["seconds_since_make"]:
        lines.append(
            f"from `make demo` to here in {install['seconds_since_make']:.0f} s, "
            f"{install['fetched_bytes'] / 1e6:,.0f} MB fetched by pip"
        )
    folder, command = run.folder, _command()
    lines += [
        f"the papers:  {folder / 'release'}",
        f"the curve:   {folder / 'evaluation' / 'curve.png'}",
        f"now try:     {command} doctor quickstart",
        f"             {command} trace quickstart --step 100",
        f"             {command} verify quickstart",
        f"             {command} generate quickstart --prompt 'import ' --trace",
    ]
    return "\n".join(lines)


def _command() -> str:
    """How to start this program again from here."""
    if shutil.which("seedstock"):
        return "seedstock"
    started = Path(sys.argv[0])
    near = Path(os.path.relpath(started))
    return str(near if len(str(near)) < len(str(started)) else started)
