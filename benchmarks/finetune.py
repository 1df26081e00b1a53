"""Is a base worth its pretraining? The same networks, fine-tuned from their base and from random weights.

Each base (a run of any recipe with text: encoder, encoder-decoder or decoder) learns SST-2 sentences, TREC and
Banking77 from 100, 1,000 and all labels (``--sizes``), with several seeds, each of which draws other labels; from all
labels with one (``--all-seeds``). A tenth of the labels that are given chooses the best step; the official test sets
are looked at once, by the chosen step. Every run is a whole run of Seedstock, at the command's own learning rates; with
``--search`` at the one of three that has the best validation on 1,000 labels that no reported run has the same draw
of, for each task, each base and random weights (``--search TASK``: others than those named take the first one's).

Results are lines of ``OUT/results.jsonl``: a run that is there is not done again. ``--table`` prints them. Needs
SEEDSTOCK_DATA. Bases are runs in the folder of ``--runs``; one that is not there and has a recipe of its name is
pretrained first, where the recipe asks for them on the training sentences of the three tasks without their classes
(SEEDSTOCK_TASKS, which ``--texts FILE`` writes for other uses). The whole: ``python benchmarks/finetune.py --search``.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

from datapack import data_pack

TASKS = ("sst2", "trec", "banking77")
SIZES = (100, 1000, 0)
BASES = ("bert-tasks:classify", "t5-tasks:classify")
RATES = (0.33, 1.0, 3.0)  # times the command's own
EPOCHS = {100: 40.0, 1000: 20.0, 0: 4.0}  # 5 of 1,000 labels leave 77 classes at chance, from a base or not
BATCH = {100: 16, 1000: 32, 0: 32}
RECIPES = Path(__file__).parents[1] / "recipes"
KEPT = 5  # checkpoints to choose from
_WORDS = {
    "sst2": {"0": "negative", "1": "positive"},
    "trec": dict(zip("012345", ("description", "entity", "abbreviation", "human", "number", "location"), strict=True)),
}


def rows(task: str, split: str) -> list[dict[str, str]]:
    """Texts with their classes in words, as the data pack has them."""
    files = {"sst2": "stsa.binary.{}.zst", "trec": "TREC.{}.all.zst", "banking77": "banking77-{}.csv.zst"}
    path = data_pack() / "labelled" / files[task].format(split)
    text = subprocess.run(["zstd", "-dc", str(path)], check=True, capture_output=True).stdout.decode("utf-8", "replace")
    if task == "banking77":
        found = csv.DictReader(io.StringIO(text))
        return [{"text": " ".join(row["text"].split()), "label": row["category"].replace("_", " ")} for row in found]
    pairs = (line.split(" ", 1) for line in text.splitlines() if line.strip())
    return [{"text": sentence.strip(), "label": _WORDS[task][label]} for label, sentence in pairs]


def subset(task: str, size: int, seed: int, folder: Path) -> Path:
    """A file of ``size`` labelled texts (0: all) that the seed draws; a smaller one is part of a larger."""
    path = folder / f"{task}-{size or 'all'}-{seed if size else 0}.jsonl"
    if not path.exists():
        chosen = rows(task, "train")
        random.Random(f"{task} {seed}").shuffle(chosen)
        write(path, chosen[: size or None])
    return path


def write(path: Path, chosen: list[dict[str, str]]) -> Path:
    """JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chosen), encoding="utf-8")
    part.replace(path)
    return path


def unlabelled(path: Path) -> Path:
    """A file of the training texts of all tasks, without their classes: what a base may learn from."""
    return write(path, [{"text": row["text"]} for task in TASKS for row in rows(task, "train")])


def pretrained(name: str, options: argparse.Namespace) -> None:
    """Trains the base of a recipe's name, where there is no such run."""
    recipe = RECIPES / f"{name}.yaml"
    if (options.runs / name).exists() or not recipe.is_file():
        return
    texts = unlabelled((options.out / "data" / "texts.jsonl").resolve())
    command = [sys.executable, "-m", "seedstock", "run", str(recipe), "--runs", str(options.runs)]
    subprocess.run(command, check=True, env={**os.environ, "SEEDSTOCK_TASKS": str(texts)})


def one(cell: dict[str, Any], runs: str, out: str) -> dict[str, Any]:
    """One run from data to scores, which is then removed; its line of the results."""
    import fcntl

    import torch

    from seedstock import finetuning, judging
    from seedstock.runs import Run
    from seedstock.transfer.finetune.plan import Task, learning_rate

    torch.set_num_threads(1)
    name, _, step = cell["base"].partition("@")
    base, data = Run.open(runs, name), Path(out) / "data"
    train = subset(cell["task"], cell["size"], cell["seed"], data)
    test = data / f"{cell['task']}-test.jsonl"
    if not test.exists():
        write(test, rows(cell["task"], "test"))
    sources = [finetuning.source_of(str(train), "task", "text")]
    width = base.recipe.model.resolved().width
    task = Task(
        name="finetune." + "-".join(str(value) for key, value in cell.items() if key != "kind").replace("@", "."),
        sources=sources,
        texts=sum(1 for _ in train.open()),
        objective=cell["objective"],
        test=[finetuning.source_of(str(test), "test", "text")],
        seed=cell["seed"],
        epochs=EPOCHS[cell["size"]],
        batch=BATCH[cell["size"]],
        learning_rate=cell["rate"] * learning_rate(width),
        random=cell["start"] == "random",
    )
    fixed = [f"training.{key}={value}" for key, value in (("threads", 1), ("precision", "fp32"), ("micro_batch", 32))]
    steps = EPOCHS[cell["size"]] * 0.9 * task.texts / task.batch
    quiet = ["training.validate_every=null", f"training.checkpoint_every={-(-int(steps) // KEPT)}"]
    begun = partial(finetuning.finetune, base, task, step=int(step) if step else None, overrides=[*fixed, *quiet])
    with (Path(out) / f".{train.stem}.lock").open("w") as file:  # two runs at once would build one corpus
        fcntl.flock(file, fcntl.LOCK_EX)
        begun(until="shards")
    run = begun(until="evaluation")
    scores = finetuning.summary(run)
    lines = (run.folder / "evaluation" / judging.PREDICTIONS).read_text().splitlines()
    said = [json.loads(line) for line in lines]
    test_scores = {key: value for key, value in scores["test"]["test"].items() if key != "classes"}
    shutil.rmtree(run.folder)
    return {
        **cell,
        "validation": scores["validation"]["accuracy"],
        "test": test_scores,
        "step": scores["chosen"]["step"],
        "steps": scores["steps"],
        "right": "".join("1" if row["label"] == row["predicted"] else "0" for row in said if row["set"] == "test"),
    }


def cells(options: argparse.Namespace, rates: dict[tuple[str, str, str, str], float]) -> list[dict[str, Any]]:
    """Every run that is wanted: all of a seed, then the next; those with all labels, which take longest, last."""
    wanted = [
        {
            "kind": "score",
            "base": base,
            "objective": objective,
            "start": start,
            "task": task,
            "size": size,
            "seed": seed,
            "rate": rates[base, objective, start, task],
        }
        for seed in range(1, max(options.seeds, options.all_seeds) + 1)
        for size in options.sizes
        if seed <= (options.seeds if size else options.all_seeds)
        for base, objective in options.bases
        for start in ("base", "random")
        for task in options.tasks
    ]
    return sorted(wanted, key=lambda cell: cell["size"] == 0)


def searched(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The runs that choose a rate."""
    return [
        {
            "kind": "rate",
            "base": base,
            "objective": objective,
            "start": start,
            "task": task,
            "size": 1000,
            "seed": 0,
            "rate": rate,
        }
        for base, objective in options.bases
        for task in options.search
        for start in ("base", "random")
        for rate in RATES
    ]


def known(path: Path) -> list[dict[str, Any]]:
    """The results that are there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def done(wanted: list[dict[str, Any]], options: argparse.Namespace) -> list[dict[str, Any]]:
    """The results of cells, those that are missing made first."""
    path = options.out / "results.jsonl"
    there = known(path)
    missing = [cell for cell in wanted if not any(cell.items() <= result.items() for result in there)]
    with ProcessPoolExecutor(options.workers) as pool:
        waiting = [pool.submit(one, cell, str(options.runs), str(options.out)) for cell in missing]
        for number, made in enumerate(as_completed(waiting), 1):
            try:
                result = made.result()
            except Exception as error:
                print(f"{number} of {len(missing)}: {type(error).__name__}: {error}", flush=True)
                continue
            with path.open("a") as file:
                file.write(json.dumps(result) + "\n")
            shown = " ".join(str(result[key]) for key in ("base", "objective", "start", "task", "size", "seed", "rate"))
            print(f"{number} of {len(missing)}: {shown}: {result['test']['accuracy']:.3f}", flush=True)
    return [result for result in known(path) if any(cell.items() <= result.items() for cell in wanted)]


def settled(options: argparse.Namespace) -> dict[tuple[str, str, str, str], float]:
    """For each base, objective, start and task the rate of the best validation, of equal ones the lowest; the command's
    own where none is searched for. A task that is not searched takes those of the first."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for result in sorted(done(searched(options), options), key=lambda one: one["rate"]):
        key = result["base"], result["objective"], result["start"], result["task"]
        if key not in found or result["validation"] > found[key]["validation"]:
            found[key] = result
    rates = {}
    for base, objective in options.bases:
        for start in ("base", "random"):
            for task in options.tasks:
                asked = task if task in options.search or not options.search else options.search[0]
                best = found.get((base, objective, start, asked))
                rates[base, objective, start, task] = best["rate"] if best else 1.0
    return rates


def table(results: list[dict[str, Any]]) -> str:
    """Means over seeds with their standard deviations; the difference of pairs (same labels, seed and test texts) with
    its standard error over seeds."""
    lines = [
        "| base | objective | task | labels | seeds | from random | from the base | difference | texts won : lost |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str, str, int], dict[int, dict[str, dict[str, Any]]]] = {}
    for result in results:
        if result["kind"] == "score":
            key = result["base"], result["objective"], result["task"], result["size"]
            groups.setdefault(key, {}).setdefault(result["seed"], {})[result["start"]] = result
    order = {task: place for place, task in enumerate(TASKS)}
    for key in sorted(groups, key=lambda one: (one[0], one[1], order[one[2]], one[3] or 10**9)):
        pairs = [pair for pair in groups[key].values() if len(pair) == 2]
        if not pairs:
            continue
        ours, theirs = ([pair[start]["test"]["accuracy"] for pair in pairs] for start in ("base", "random"))
        gaps = [one - other for one, other in zip(ours, theirs, strict=True)]
        won = sum(a > b for pair in pairs for a, b in zip(pair["base"]["right"], pair["random"]["right"], strict=True))
        lost = sum(a < b for pair in pairs for a, b in zip(pair["base"]["right"], pair["random"]["right"], strict=True))
        error = statistics.stdev(gaps) / len(gaps) ** 0.5 if len(gaps) > 1 else float("nan")
        base, objective, task, size = key
        lines.append(
            f"| {base} | {objective} | {task} | {f'{size:,}' if size else 'all'} | {len(pairs)} | {spread(theirs)} |"
            f" {spread(ours)} | {statistics.mean(gaps):+.1%} ± {error:.1%} | {won:,} : {lost:,} |"
        )
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.1%} ± {deviation:.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=Path("runs/finetune-benchmark"))
    parser.add_argument("--bases", nargs="+", default=list(BASES), metavar="RUN[@STEP]:OBJECTIVE")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="numbers of labels; 0 is all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--all-seeds", type=int, default=1, help="seeds with all labels")
    parser.add_argument("--workers", type=int, default=2, help="runs at once, of one thread each")
    parser.add_argument(
        "--search", nargs="*", choices=TASKS, metavar="TASK", help="choose learning rates on these tasks"
    )
    parser.add_argument("--texts", type=Path, metavar="FILE", help="write the tasks' texts there, and do nothing else")
    parser.add_argument("--table", action="store_true", help="print what is there, and do nothing")
    options = parser.parse_args()
    if options.texts:
        print(unlabelled(options.texts))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.table:
        options.bases = [tuple((base if ":" in base else f"{base}:classify").split(":")) for base in options.bases]
        for base, _ in options.bases:
            pretrained(base.partition("@")[0], options)
        options.search = [] if options.search is None else options.search or list(options.tasks)
        rates = settled(options)
        print({" ".join(key): rate for key, rate in rates.items()}, flush=True)
        done(cells(options, rates), options)
    print(table(known(options.out / "results.jsonl")))


if __name__ == "__main__":
    main()
