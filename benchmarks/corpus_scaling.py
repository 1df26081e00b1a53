"""Time and memory of a corpus build over 1, 2 and 4 times the input: ``python benchmarks/corpus_scaling.py IN``.

IN is the input of corpus_job.py. A copy of it has every fourth word of its documents changed, so that copies are no
duplicates of each other and dedup has as much to do in each. ``--plot FILE`` draws the figures.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "peers"))

import watch  # noqa: E402


def grow(folder: Path, out: Path, copies: int) -> None:
    """Writes ``copies`` of the input, each with words of its own."""
    for path in sorted(folder.glob("*.jsonl")):
        for copy in range(copies):
            with (out / f"{copy}-{path.name}").open("w", encoding="utf-8") as file:
                for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
                    record = json.loads(line)
                    record["text"] = changed(record["text"], copy)
                    file.write(json.dumps({**record, "id": f"{record['id']}-{copy}"}, ensure_ascii=False) + "\n")


def changed(text: str, copy: int) -> str:
    """The text with every fourth space-separated word marked with the copy's number."""
    words = text.split(" ")
    if copy:
        words[::4] = [f"{word}q{copy}" if word.isalpha() else word for word in words[::4]]
    return " ".join(words)


def draw(path: Path, figures: list[tuple[int, float, float, float]]) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    times = [row[0] for row in figures]
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
    left.plot(times, [row[1] for row in figures], "o-", color="#3a7d44", label="wall")
    left.plot(times, [figures[0][1] * time for time in times], ":", color="#888888", label="in proportion")
    left.set(xlabel="times the input", ylabel="seconds", xticks=times, ylim=0)
    left.legend(frameon=False)
    right.plot(times, [row[3] for row in figures], "o-", color="#b4532a")
    right.set(xlabel="times the input", ylabel="peak memory, GB", xticks=times, ylim=0)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("--times", default="1,2,4")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    figures = []
    for times in map(int, options.times.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            grow(options.input, Path(folder), times)
            command = [sys.executable, str(HERE / "peers/corpus_seedstock.py"), folder, "--workers", "2"]
            best = min((watch.run(command) for _ in range(options.rounds)), key=lambda cost: cost.wall)
        found = json.loads(best.out.splitlines()[-1])
        figures.append((times, best.wall, best.cpu, best.peak / 1e9))
        shown = f"| {best.wall:.1f} | {best.cpu:.1f} | {best.peak / 1e9:.2f} | {found['kept']:,} |"
        print(f"| {times} × | {found['read']:,} {shown}", flush=True)
    if options.plot:
        draw(options.plot, figures)


if __name__ == "__main__":
    main()
