"""Every family's recipe beside its floor: the figures of docs/objectives.md.

Needs SEEDSTOCK_DATA. ``--only NAME`` runs some (the names are the keys of ``FAMILIES``); a run that was cut off goes
on, one that is in the results is left out (``--again`` reads its figures again). Results are merged into
``families.json`` in ``--folder``, and ``families.md`` is drawn from that: floors, result, whether it is below its
target, seconds on this machine; the runs' curves lie beside.

A family is one entry: its runs (recipe and overrides), and a function from their folders to ``Figures``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import item_figures as of_items
import text_figures as of_texts
from figures import Figures

HERE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Family:
    """``runs``: name of the run → recipe and overrides (``--set``)."""

    runs: dict[str, tuple[str, ...]]
    read: Callable[[dict[str, Path]], Figures]
    before: Callable[[Path], None] | None = None
    """Makes in a folder what the recipes read besides the pack."""


DENSE = ("shape=qwen3", "experts=null", "experts_per_token=null", "expert_width=null", "balance=null")

PLAIN, TOXICITY = "objective={kind: causal}", "score: toxicity.score, threshold: 0.5"
AFTER = (  # fine-tuning on novels
    *(PLAIN, "mixture.weights={books: 100 %}", "training.steps=200", "training.batch_tokens=1k"),
    *("training.optimizer.learning_rate=0.005", "training.optimizer.rest.learning_rate=0.001"),
)


FAMILIES: dict[str, Family] = {
    "video": Family({"videomae": ("videomae",)}, of_items.hidden_tubes, of_items.moving_digits),
    **{name: Family({name: (name,)}, of_items.classes) for name in ("mae", "byol", "ijepa")},
    "rotation": Family({"rotation": ("rotation",)}, of_items.turns),
    **{name: Family({name: (name,)}, of_items.neighbours) for name in ("simclr", "dino")},
    **{name: Family({name: (name,)}, of_items.restored) for name in ("inpainting", "denoising-pictures")},
    "dit": Family({"dit": ("dit",)}, of_items.drawn),
    "latent-diffusion": Family({"kl": ("kl",), "latent-diffusion": ("latent-diffusion",)}, of_items.drawn),
    "codec-language": Family({"codec": ("codec",), "codec-language": ("codec-language",)}, of_items.spoken),
    "gato": Family({"gato": ("gato",)}, of_items.acted),
    "vq": Family({"vq": ("vq",)}, of_items.drawn_again),
    "kl": Family({"kl": ("kl",)}, of_items.drawn_again),
    "codec": Family({"codec": ("codec",)}, of_items.played_again),
    "hubert": Family({"hubert": ("hubert",)}, of_items.heard),
    "wav2vec2": Family({"wav2vec2": ("wav2vec2",)}, of_items.heard),
    "whisper": Family({"whisper": ("whisper",)}, of_items.written_down),
    "moe": Family(
        {"moe": ("moe",), "moe-dense": ("moe", *(f"model.{key}" for key in (*DENSE, "tied_embeddings=false")))},
        of_texts.mixture,
    ),
    "multi-token": Family(
        {"multi-token": ("multi-token",), "multi-token-causal": ("multi-token", "objective.weight=0")},
        of_texts.look_ahead,
    ),
    "distillation": Family(
        {
            "distillation-teacher": ("distillation-teacher",),
            "distillation": ("distillation",),
            "distillation-online": ("distillation", "objective.stored=null"),
            "distillation-causal": ("distillation", PLAIN),
        },
        of_texts.taught,
    ),
    "image-text": Family({"image-text": ("image-text",)}, of_items.found_pictures),
    "image-text-locked": Family(
        {"image-text-eyes": ("image-text-eyes",), "image-text-locked": ("image-text-locked",)}, of_items.found_pictures
    ),
    "siglip": Family({"siglip": ("siglip",)}, of_items.found_pictures),
    "siglip-locked": Family(
        {
            "siglip-eyes": ("image-text-eyes", "model.shape=siglip", "training.steps=800"),
            "siglip-locked": ("siglip-locked",),
        },
        of_items.found_pictures,
    ),
    "captioner": Family({"captioner": ("captioner",)}, of_items.found_pictures),
    "captioner-locked": Family(
        {"image-text-eyes": ("image-text-eyes",), "captioner-locked": ("captioner-locked",)}, of_items.found_pictures
    ),
    "skip-gram": Family({"skip-gram": ("skip-gram",)}, of_texts.word_vectors),
    "long-context": Family(
        {"long-context-short": ("long-context-short",), "long-context": ("long-context",)}, of_texts.longer
    ),
    "long-context-text-alone": Family(
        {
            "text-alone-short": ("long-context-short", "mixture.weights.near=0"),
            "text-alone": (
                *("long-context", "training.start=run:text-alone-short"),
                *("mixture.weights.near=0", "mixture.weights.far=0"),
            ),
        },
        of_texts.longer,
    ),
    "bert": Family({"bert": ("bert",)}, of_texts.hidden_tokens),
    "modernbert": Family({"modernbert": ("modernbert",)}, of_texts.hidden_tokens_and_grammar),
    "t5": Family({"t5": ("t5",)}, of_texts.hidden_spans),
    "ul2": Family({"ul2": ("ul2",)}, of_texts.hidden_spans),
    "bart": Family({"bart": ("bart",)}, of_texts.hidden_spans),
    "prefix": Family(
        {"prefix": ("prefix",), "prefix-causal": ("prefix", "objective.kind=causal")}, of_texts.left_to_right
    ),
    "fim": Family({"fim": ("fim",), "fim-causal": ("fim", "objective.rate=0")}, of_texts.left_to_right),
    "alignment-tags": Family(
        {
            "alignment-plain": ("alignment-tags", PLAIN),
            "alignment-tags": ("alignment-tags",),
            "alignment-unlikelihood": ("alignment-tags", f"objective={{kind: unlikelihood, {TOXICITY}}}"),
            "alignment-reward": ("alignment-tags", f"objective={{kind: reward-weighted, {TOXICITY}, beta: 0.25}}"),
            "alignment-plain-after": ("alignment-tags", *AFTER, "training.start=run:alignment-plain@600"),
            **{
                f"alignment-{one}-after": ("alignment-tags", *AFTER, f"training.start=run:alignment-{one}@600")
                for one in ("tags", "unlikelihood", "reward")
            },
        },
        of_texts.safer,
        of_texts.scored_tweets,
    ),
    "alignment-style": Family(
        {"style-plain": ("alignment-style", PLAIN), "style-tags": ("alignment-style",)},
        of_texts.tidier,
        of_texts.scored_tweets,
    ),
    "metadata": Family({"metadata": ("metadata",), "metadata-causal": ("metadata", PLAIN)}, of_texts.left_to_right),
    "proteins-masked": Family({"proteins-masked": ("proteins-masked",)}, of_texts.residues),
    "proteins-causal": Family({"proteins-causal": ("proteins-causal",)}, of_texts.next_token),
    "diffusion": Family(
        {
            "diffusion": ("diffusion",),
            "diffusion-blocks": ("diffusion", "objective.block=4"),
            "diffusion-causal": ("diffusion", "objective.kind=causal"),
        },
        of_texts.diffusion,
    ),
    "characters": Family(
        {
            "characters-causal": ("diffusion", "objective.kind=causal"),
            "characters-prefix": ("diffusion", "objective.kind=prefix"),
            "characters-fim": ("diffusion", "objective.kind=fim", "objective.split=tokens"),
            "characters-multi-token": ("diffusion", "objective.kind=multi-token", "objective.weight=0.3"),
            "characters-moe": (
                *("diffusion", "objective.kind=causal", "model.shape=mixtral", "model.experts=8"),
                *("model.experts_per_token=2", "model.expert_width=192", "model.balance=0.01"),
            ),
            "characters-blocks": ("diffusion", "objective.block=4"),
            "characters-diffusion": ("diffusion",),
        },
        of_texts.characters,
    ),
}


def measure(family: Family, folder: Path) -> dict[str, Any]:
    """Runs what is not done yet, and reads the figures."""
    if family.before:
        family.before(folder)
    runs, trained, began = {}, {}, time.monotonic()
    for name, (recipe, *overrides) in family.runs.items():
        sets = [part for override in overrides for part in ("--set", override)]
        path = HERE / "recipes" / f"{recipe}.yaml"
        command = [sys.executable, "-m", "seedstock", "run", str(path), "--name", name, *sets]
        subprocess.run([*command, "--runs", str(folder / "runs")], check=True, stdout=subprocess.DEVNULL)
        runs[name] = folder / "runs" / name
        chain = [json.loads(line) for line in (runs[name] / "ledger/chain.jsonl").read_text().splitlines()]
        last = [one["body"] for one in chain if one["kind"] == "trained"][-1]
        trained[name] = {key: last[key] for key in ("step", "tokens", "seconds", "tokens_per_second")}
    seconds = time.monotonic() - began
    figures = family.read(runs)
    curves = {name: str(run / "evaluation/curve.png") for name, run in runs.items()}
    return (
        asdict(figures)
        | {"below": figures.result < figures.target, "trained": trained, "seconds": seconds}
        | {"curves": curves}
    )


def table(results: dict[str, Any]) -> str:
    """The results as a Markdown table."""
    rows = ["| family | measured | floors | result | below target | training s | besides |", "|" + "---|" * 7]
    for name, one in sorted(results.items()):
        floors = "; ".join(f"{key} {value:.3f}" for key, value in one["floors"].items())
        error = f" ± {one['error']:.3f}" if one["error"] else ""
        below = f"{'yes' if one['below'] else 'no'} ({one['target']:.3f})"
        seconds = " + ".join(f"{run['seconds']:.0f}" for run in one["trained"].values())
        more = "; ".join(f"{key} {_shown(value)}" for key, value in one["more"].items())
        rows.append(
            f"| {name} | {one['what']} | {floors} | {one['result']:.3f}{error} | {below} | {seconds} | {more} |"
        )
    return "\n".join(rows) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(one)}" for key, one in value.items())
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=FAMILIES, default=list(FAMILIES), metavar="NAME")
    parser.add_argument("--folder", type=Path, default=Path("families"), help="where runs and results lie")
    parser.add_argument("--again", action="store_true", help="read the figures of families that are in the results too")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    target = options.folder / "families.json"
    for name in options.only:
        known = json.loads(target.read_text()) if target.exists() else {}
        if name not in known or options.again:
            try:
                found = measure(FAMILIES[name], options.folder)
            except subprocess.CalledProcessError as error:  # the run has said why
                sys.exit(error.returncode)
            known = json.loads(target.read_text()) if target.exists() else {}  # another process may have written
            known[name] = found
            partial = target.with_suffix(f".{os.getpid()}")
            partial.write_text(json.dumps(known, indent=1, sort_keys=True))
            partial.replace(target)
        (options.folder / "families.md").write_text(table(known))
        print(table({name: known[name]}), flush=True)


if __name__ == "__main__":
    main()
