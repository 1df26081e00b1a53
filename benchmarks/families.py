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
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Figures:
    """What one family came to. ``floors`` by name, in the unit of ``result``; ``target`` is what it is to be below."""

    what: str
    result: float
    floors: dict[str, float]
    target: float
    error: float | None = None
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """``runs``: name of the run → recipe and overrides (``--set``)."""

    runs: dict[str, tuple[str, ...]]
    read: Callable[[dict[str, Path]], Figures]
    before: Callable[[Path], None] | None = None
    """Makes in a folder what the recipes read besides the pack."""


def record(run: Path, name: str) -> Any:
    """A JSON file of a run's evaluation."""
    return json.loads((run / "evaluation" / f"{name}.json").read_text())


def hidden_tokens(runs: dict[str, Path]) -> Figures:
    """Nats of hidden tokens beside counts that know nothing, one neighbour, both."""
    (run,) = runs.values()
    scores, floors = record(run, "scores"), record(run, "floors")
    orders = {f"order {n}": one["nats_per_token"] for n, one in floors["tokens"]["orders"].items()}
    both = floors["beside"]["nats_per_token"]
    hidden, extra = scores["metrics"]["hidden"], {}
    if "next_right" in scores["metrics"]:
        extra["next sentence right"] = scores["metrics"]["next_right"]["mean"]
    extra["hidden tokens found"] = of_hidden_tokens(run)["accuracy"]
    return Figures(
        "nats a hidden token",
        hidden["mean"],
        {**orders, "both neighbours": both},
        min(orders["order 0"], orders["order 1"]),
        hidden["standard_error"],
        extra,
    )


def hidden_tokens_and_grammar(runs: dict[str, Path]) -> Figures:
    """The same, and minimal pairs of grammar by pseudo-log-likelihood."""
    found = hidden_tokens(runs)
    (run,) = runs.values()
    pairs = grammar(run)
    found.more["BLiMP"] = {name: pairs[name] for name in ("accuracy", "standard_error", "pairs")}
    return found


def hidden_spans(runs: dict[str, Path]) -> Figures:
    """Nats of the tokens that a source does not show, beside counts."""
    (run,) = runs.values()
    scores, floors = record(run, "scores"), record(run, "floors")
    orders = {f"order {n}": one["nats_per_token"] for n, one in floors["tokens"]["orders"].items()}
    hidden, more = scores["metrics"]["hidden"], {name: one["mean"] for name, one in scores["losses"].items()}
    target = min(orders["order 0"], orders["order 1"])
    return Figures("nats a hidden token", hidden["mean"], orders, target, hidden["standard_error"], more)


def left_to_right(runs: dict[str, Path]) -> Figures:
    """Bits per byte from left to right, beside counts of bytes, and beside next-token prediction if that was run."""
    path, *_ = runs.values()
    held, floors = record(path, "scores")["held_out"], record(path, "floors")
    orders = {f"order {n}": one["bits_per_byte"] for n, one in floors["bytes"]["orders"].items()}
    more = {name: record(one, "scores")["held_out"]["bits_per_byte"] for name, one in runs.items() if one != path}
    best = min(orders.values())
    return Figures("bits per byte", held["bits_per_byte"], orders, best, held["standard_error"], more)


def residues(runs: dict[str, Path]) -> Figures:
    """Hidden residues, against the best of all counts."""
    found = hidden_tokens(runs)
    return replace(found, target=min(found.floors.values()))


def next_token(runs: dict[str, Path]) -> Figures:
    """Nats a token beside n-grams of the same tokens."""
    from seedstock.evaluation.token_floors import token_floors
    from seedstock.runs import Run

    (path,) = runs.values()
    scores, run = record(path, "scores"), Run.open(path.parent, path.name)
    floors = {f"order {n}": one["nats_per_token"] for n, one in token_floors(run.shards)["tokens"]["orders"].items()}
    held = scores["held_out"]
    return Figures("nats a token", held["nats_per_token"], floors, min(floors.values()), held["nats_per_token_error"])


def diffusion(runs: dict[str, Path]) -> Figures:
    """Bits a character at most, whole texts and blocks, beside the next-token model of the same network and budget."""
    bound = record(runs["diffusion"], "scores")["bound"]
    blocks = record(runs["diffusion-blocks"], "scores")["bound"]
    causal = record(runs["diffusion-causal"], "scores")["held_out"]["bits_per_byte"]
    bits, error = bound["bits_per_byte_at_most"], bound["standard_error"]
    more: dict[str, Any] = {"draws a window": bound["draws"], "over next token": bits / causal - 1}
    more["blocks of four"] = {name: blocks[name] for name in ("bits_per_byte_at_most", "standard_error")}
    more["blocks over next token"] = blocks["bits_per_byte_at_most"] / causal - 1
    floors = {"next token, same network and budget": causal, "that and 25 %": 1.25 * causal}
    return Figures("bits a character, at most", bits, floors, 1.25 * causal, error, more)


def characters(runs: dict[str, Path]) -> Figures:
    """Bits a character of every family that gives some, over one text with one budget, beside counts."""
    found, more = {}, {}
    for name, run in runs.items():
        scores = record(run, "scores")
        one = scores.get("bound") or scores["held_out"]
        found[name] = one.get("bits_per_byte_at_most", one.get("bits_per_byte"))
        more[name.removeprefix("characters-")] = {"bits": found[name], "error": one["standard_error"]}
    causal = runs["characters-causal"]
    orders = record(causal, "floors")["bytes"]["orders"]
    floors = {f"order {n}": one["bits_per_byte"] for n, one in orders.items()}
    result = found["characters-causal"]
    return Figures("bits a character, left to right", result, floors, min(floors.values()), None, more)


def mixture(runs: dict[str, Path]) -> Figures:
    """Bits a byte beside a dense network of the same FLOPs a token, over the same tokens."""
    import decoder_families

    moe, dense = (record(runs[name], "scores")["held_out"]["bits_per_byte"] for name in ("moe", "moe-dense"))
    difference, error = decoder_families.paired(runs["moe"], runs["moe-dense"])
    more = {"less the dense one": difference, **decoder_families.load_of_experts(runs["moe"])}
    return Figures("bits a byte", moe, {"dense, same FLOPs a token": dense}, dense, error, more)


def taught(runs: dict[str, Path]) -> Figures:
    """Bits a byte of a student beside the same network that learned from the text alone, over the same tokens."""
    import decoder_families

    bits = {name: record(run, "scores")["held_out"]["bits_per_byte"] for name, run in runs.items()}
    alone, (stored, online) = (
        runs["distillation-causal"],
        (runs[name] for name in ("distillation", "distillation-online")),
    )
    more: dict[str, Any] = {"teacher": bits["distillation-teacher"], "teacher beside": bits["distillation-online"]}
    difference, error = decoder_families.paired(stored, alone)
    pairs = {"beside less text alone": (online, alone), "stored less beside": (stored, online)}
    more |= {"less text alone": difference}
    for name, (one, other) in pairs.items():
        more[name] = dict(zip(("difference", "error"), decoder_families.paired(one, other), strict=True))
    causal = bits["distillation-causal"]
    return Figures("bits a byte", bits["distillation"], {"text alone": causal}, causal, error, more)


def word_vectors(runs: dict[str, Path]) -> Figures:
    """Nats a pair of neighbours beside what frequencies alone give."""
    (run,) = runs.values()
    scores = record(run, "scores")
    pairs, floor = scores["losses"]["pairs"], scores["expected"]["collapse_at"]["pairs"]
    return Figures("nats a pair", pairs["mean"], {"frequencies alone": floor}, floor, pairs["standard_error"])


def look_ahead(runs: dict[str, Path]) -> Figures:
    """Bits a byte beside next-token prediction alone, and how many drafts of the further heads are accepted."""
    import decoder_families

    several, one = (record(run, "scores")["held_out"]["bits_per_byte"] for run in runs.values())
    difference, error = decoder_families.paired(*runs.values())
    more = {"less next token": difference, **decoder_families.acceptance(runs["multi-token"])}
    return Figures("bits a byte", several, {"next token alone": one}, 1.02 * one, error, more)


def longer(runs: dict[str, Path]) -> Figures:
    """Bits a byte of the same tokens of proposals after more and more of the text; pass keys and copies by length."""
    import decoder_families

    short, long = runs.values()
    curve = decoder_families.by_context(long, "proposals")
    after = {name: value for name, value in curve.items() if name.startswith("after")}
    *_, half, last = after
    error = curve[f"{last.split()[1]} less {half.split()[1]}"]["error"]
    more: dict[str, Any] = {"differences": {name: value for name, value in curve.items() if " less " in name}}
    more |= {name: curve[name] for name in ("windows", "documents")}
    more["before the second phase"] = decoder_families.far_back(short, (128,), "proposals")
    more |= decoder_families.far_back(long, (128, 192, 256), "proposals")
    floors = {name: value for name, value in after.items() if name != last}
    return Figures(f"bits a byte {last} tokens", after[last], floors, after[half], error, more)


def of_hidden_tokens(path: Path) -> dict[str, Any]:
    """How often the first choice for a hidden token is right, on held-out windows."""
    from seedstock import weights
    from seedstock.evaluation.pseudo_likelihood import masked_accuracy
    from seedstock.inputs.held_out import HeldOut
    from seedstock.runs import Run

    run = Run.open(path.parent, path.name)
    nets, objective, _ = weights.load_nets(run)
    window = objective.window(run.recipe.model.context)
    options = {"window": window, "raw_length": objective.raw_length(window), "prepare": objective.prepare}
    windows = HeldOut(run.shards, **options, partners=objective.partners, seed=run.recipe.seed)
    return masked_accuracy(nets, objective, windows, batch=32)


def grammar(path: Path, each: int = 20) -> dict[str, Any]:
    """BLiMP: ``each`` minimal pairs of every paradigm in the pack."""
    from collections import Counter

    import zstandard

    from seedstock import weights
    from seedstock.evaluation.pseudo_likelihood import minimal_pairs, pseudo_log_likelihood
    from seedstock.runs import Run

    run = Run.open(path.parent, path.name)
    nets, _, _ = weights.load_nets(run)
    specials, tokenizer = run.tokenizer.specials, run.tokenizer
    ends = "sep" if "sep" in specials else "eos"
    with Path(os.environ["SEEDSTOCK_DATA"], "eval/blimp-34.jsonl.zst").open("rb") as file:
        lines = zstandard.ZstdDecompressor().stream_reader(file).read().decode().splitlines()
    rows, seen = [], Counter()
    for row in map(json.loads, lines):
        seen[row["UID"]] += 1
        if seen[row["UID"]] <= each:
            rows.append((row["UID"], row["sentence_good"], row["sentence_bad"]))

    def score(texts: list[str]) -> list[float]:
        ids = [one.tolist() for one in tokenizer.encode_batch(texts)]
        frame = {"mask": specials["mask"], "before": [specials["bos"]], "after": [specials[ends]]}
        return pseudo_log_likelihood(nets["network"], ids, **frame)

    return minimal_pairs(score, rows)


def scored_tweets(folder: Path) -> None:
    """What recipes/alignment-tags.yaml and alignment-style.yaml read: tweets, what scores them, and Python."""
    import alignment

    os.environ["SEEDSTOCK_ALIGNMENT"] = str((folder / "alignment").resolve())
    if not all((folder / "alignment" / name).exists() for name in ("judge", "sympy.jsonl")):
        alignment.prepare(folder / "alignment")


def safer(runs: dict[str, Path]) -> Figures:
    """Toxicity of continuations with the good tag, beside next tokens alone; and after fine-tuning."""
    import alignment

    from seedstock.runs import Run

    found, first = {}, None
    for name, path in runs.items():
        found[name], own = alignment.toxicity(Run.open(path.parent, path.name), beside=first)
        first = first or own
    ways = {f"{name}, {way}": one for name, own in found.items() for way, one in own.items()}
    result, error = ways.pop("alignment-tags, good")["toxicity"]
    plain = ways["alignment-plain, no tag"]["toxicity"][0]
    more = {name: dict(zip(("toxicity", "error"), one["toxicity"], strict=True)) for name, one in ways.items()}
    kept = found["alignment-tags"]["good"]
    more |= {key: dict(zip(("bits a byte", "error"), one, strict=True)) for key, one in kept.items() if "less" in key}
    return Figures("toxicity", result, {"next token": plain}, plain, error, more)


def tidier(runs: dict[str, Path]) -> Figures:
    """Violations a line of generated Python with the good tag, beside next tokens alone and the bad tag."""
    import alignment

    from seedstock.runs import Run

    found = {name: alignment.style(Run.open(path.parent, path.name)) for name, path in runs.items()}
    ways = {f"{name}, {way}": one["violations_a_line"] for name, own in found.items() for way, one in own.items()}
    result, error = ways["style-tags, good"]
    plain = ways["style-plain, no tag"][0]
    more: dict[str, Any] = {name: dict(zip(("violations", "error"), one, strict=True)) for name, one in ways.items()}
    more["before the first mistake"] = {
        f"{name}, {way}": dict(zip(("violations", "error"), one["before the first mistake"], strict=True))
        for name, own in found.items()
        for way, one in own.items()
    }
    return Figures("violations a line", result, {"next token": plain}, plain, error, more)


def found_pictures(runs: dict[str, Path]) -> Figures:
    """Pictures that are not among the ten nearest to their caption, mean over languages, beside a linear map."""
    (run,) = runs.values()
    found = record(run, "scores")["retrieval"]

    def mean(way: str, name: str) -> float:
        return sum(one[way][name] for one in found.values()) / len(found)

    names = [f"{kind} R@{k}" for kind in ("picture", "caption") for k in (1, 5, 10)]
    more: dict[str, Any] = {name: {"model": mean("model", name), "linear": mean("linear", name)} for name in names}
    more |= {language: {way: one[way] for way in ("model", "linear")} for language, one in found.items()}
    if written := record(run, "scores").get("captions"):
        more["captions"] = written
    floors = {"a linear map": 1 - mean("linear", "picture R@10")}
    return Figures("pictures not found in ten", 1 - mean("model", "picture R@10"), floors, *floors.values(), more=more)


DENSE = ("shape=qwen3", "experts=null", "experts_per_token=null", "expert_width=null", "balance=null")

PLAIN, TOXICITY = "objective={kind: causal}", "score: toxicity.score, threshold: 0.5"
AFTER = (  # fine-tuning on novels
    *(PLAIN, "mixture.weights={books: 100 %}", "training.steps=200", "training.batch_tokens=1k"),
    *("training.optimizer.learning_rate=0.005", "training.optimizer.rest.learning_rate=0.001"),
)


def drawn_again(runs: dict[str, Path]) -> Figures:
    """The squared error of a pixel from -1 to 1, beside linear codes: of as many numbers, and of as many bits."""
    (run,) = runs.values()
    scores, floors = record(run, "scores"), record(run, "floors")["items"]
    one = scores["losses"]["pixels"]
    more = {name: value["mean"] for name, value in scores["metrics"].items()}
    return Figures("squared error of a pixel", one["mean"], floors, floors["PCA"], one["standard_error"], more)


def played_again(runs: dict[str, Path]) -> Figures:
    """The distance of spectra of sounds played again from their codes, beside silence."""
    (run,) = runs.values()
    scores, floors = record(run, "scores"), record(run, "floors")["items"]
    one = scores["losses"]["spectra"]
    more = {name: value["mean"] for name, value in (scores["losses"] | scores["metrics"]).items()}
    return Figures("distance of spectra", one["mean"], floors, floors["silent spectra"], one["standard_error"], more)


def heard(runs: dict[str, Path]) -> Figures:
    """Errors of a linear probe for the digit with each speaker left out in turn, beside one on pooled spectra."""
    (run,) = runs.values()
    scores = record(run, "scores")
    probes = scores["probes"]
    own, plain = (1 - probes["left_out"][name]["accuracy"] for name in ("features", "raw"))
    more = {"never heard speaker": 1 - probes["features"]["linear"]["accuracy"]}
    more["never heard speaker, spectra"] = 1 - probes["raw"]["linear"]["accuracy"]
    more |= {name: one["mean"] for name, one in (scores["losses"] | scores["metrics"]).items()}
    error = probes["left_out"]["features"]["standard_error"]
    return Figures("share of digits not found", own, {"pooled spectra": plain}, plain, error, more)


def written_down(runs: dict[str, Path]) -> Figures:
    """Digits of a speaker who was never heard that are not written down right, beside a probe on pooled spectra."""
    (run,) = runs.values()
    scores = record(run, "scores")
    plain, exact = 1 - scores["probes"]["raw"]["linear"]["accuracy"], scores["metrics"]["exact"]["mean"]
    error = (exact * (1 - exact) / scores["metrics"]["exact"]["terms"]) ** 0.5
    return Figures("share of digits not written right", 1 - exact, {"pooled spectra": plain}, plain, error)


def classes(runs: dict[str, Path], by: str = "linear", margin: float = 0.0) -> Figures:
    """Errors of a probe of frozen features, beside the same of pixels; the other probe, losses and floors besides."""
    (run,) = runs.values()
    scores = record(run, "scores")
    probes = scores["probes"]
    other = "knn" if by == "linear" else "linear"
    own, plain = (1 - probes[name][by]["accuracy"] for name in ("features", "raw"))
    more = {f"{other}, {name}": 1 - probes[name][other]["accuracy"] for name in ("features", "raw")}
    more |= {name: one["mean"] for name, one in (scores["losses"] | scores["metrics"]).items()}
    more |= {f"floor, {name}": value for name, value in (record(run, "floors").get("items") or {}).items()}
    error = probes["features"][by]["standard_error"]
    what = f"share of pictures of which a probe errs ({by})"
    return Figures(what, own, {"pixels": plain}, plain - margin, error, more)


def neighbours(runs: dict[str, Path]) -> Figures:
    """Errors of nearest neighbours, which are to be ten points below those over pixels."""
    return classes(runs, "knn", 0.1)


def turns(runs: dict[str, Path]) -> Figures:
    """Turns that are not found, beside chance; the probes for classes besides."""
    (run,) = runs.values()
    right, probed = record(run, "scores")["metrics"]["right"], classes(runs)
    more = {"linear, features": probed.result, "linear, raw": probed.floors["pixels"], **probed.more}
    return Figures("turns not found", 1 - right["mean"], {"chance": 0.75}, 0.75, right["standard_error"], more)


def restored(runs: dict[str, Path]) -> Figures:
    """The squared error of a spoilt pixel from -1 to 1, beside what fills and linear filters come to."""
    (run,) = runs.values()
    one, floors = record(run, "scores")["losses"]["pixels"], record(run, "floors")["items"]
    return Figures("squared error of a pixel", one["mean"], floors, min(floors.values()), one["standard_error"])


def drawn(runs: dict[str, Path]) -> Figures:
    """Samples of the averaged weights that a judge of real digits does not take for what was asked for."""
    import drawn_digits

    from seedstock.runs import Run

    *_, path = runs.values()
    run = Run.open(path.parent, path.name)
    found = drawn_digits.measure(run, 50)
    own = found["averaged"][f"guidance {run.recipe.objective.guidance:g}"]
    floors = {"real ones": 1 - found["real, held out"]["share"], "by chance": 1 - found["real, by chance"]}
    return Figures("share of samples not recognised", 1 - own["share"], floors, 0.1, own["error"], found)


def acted(runs: dict[str, Path]) -> Figures:
    """Nats of an action, beside as many as likely; and returns of playing by what was asked for."""
    import gato

    from seedstock.runs import Run

    (path,) = runs.values()
    scores = record(path, "scores")
    one, floors = scores["losses"]["actions"], {"each as likely": scores["expected"]["collapse_at"]["actions"]}
    more = gato.measure(Run.open(path.parent, path.name), 50, [15, 50, 100, 200, 350, 500])
    return Figures("nats of an action", one["mean"], floors, min(floors.values()), one["standard_error"], more)


def spoken(runs: dict[str, Path]) -> Figures:
    """Sounds drawn from codes after their texts that a probe of real ones does not tell, beside real ones."""
    import codec_language

    from seedstock.runs import Run

    *_, path = runs.values()
    found = codec_language.measure(Run.open(path.parent, path.name), 20)
    own, real = found["text to sound"], found["real sounds"]
    floors = {"real ones": 1 - real["share"], "by chance": 1 - found["chance"]}
    return Figures("share of sounds not told", 1 - own["share"], floors, floors["by chance"], own["error"], found)


def hidden_tubes(runs: dict[str, Path]) -> Figures:
    """Squared error of hidden pixels (from -1 to 1), beside copies and means; motion's direction read by a probe."""
    (run,) = runs.values()
    scores, floors = record(run, "scores"), record(run, "floors")["items"]
    found, probes = scores["losses"]["patches"], scores["probes"]
    more = {f"direction, {name}": probes[name]["linear"]["accuracy"] for name in ("features", "raw")}
    target = min(floors["temporal mean"], floors["nearest seen"])
    return Figures("error of a hidden pixel", found["mean"], floors, target, found["standard_error"], more)


def moving_digits(folder: Path) -> None:
    """The clips of the recipe."""
    clips = folder / "moving-digits"
    os.environ["MOVING_DIGITS"] = str(clips)
    if not clips.is_dir():
        command = [sys.executable, str(HERE / "benchmarks/moving_digits.py"), "--folder", str(clips)]
        subprocess.run(command, check=True)


FAMILIES: dict[str, Family] = {
    "video": Family({"videomae": ("videomae",)}, hidden_tubes, moving_digits),
    **{name: Family({name: (name,)}, classes) for name in ("mae", "byol", "ijepa")},
    "rotation": Family({"rotation": ("rotation",)}, turns),
    **{name: Family({name: (name,)}, neighbours) for name in ("simclr", "dino")},
    **{name: Family({name: (name,)}, restored) for name in ("inpainting", "denoising-pictures")},
    "dit": Family({"dit": ("dit",)}, drawn),
    "latent-diffusion": Family({"kl": ("kl",), "latent-diffusion": ("latent-diffusion",)}, drawn),
    "codec-language": Family({"codec": ("codec",), "codec-language": ("codec-language",)}, spoken),
    "gato": Family({"gato": ("gato",)}, acted),
    "vq": Family({"vq": ("vq",)}, drawn_again),
    "kl": Family({"kl": ("kl",)}, drawn_again),
    "codec": Family({"codec": ("codec",)}, played_again),
    "hubert": Family({"hubert": ("hubert",)}, heard),
    "wav2vec2": Family({"wav2vec2": ("wav2vec2",)}, heard),
    "whisper": Family({"whisper": ("whisper",)}, written_down),
    "moe": Family(
        {"moe": ("moe",), "moe-dense": ("moe", *(f"model.{key}" for key in (*DENSE, "tied_embeddings=false")))}, mixture
    ),
    "multi-token": Family(
        {"multi-token": ("multi-token",), "multi-token-causal": ("multi-token", "objective.weight=0")}, look_ahead
    ),
    "distillation": Family(
        {
            "distillation-teacher": ("distillation-teacher",),
            "distillation": ("distillation",),
            "distillation-online": ("distillation", "objective.stored=null"),
            "distillation-causal": ("distillation", PLAIN),
        },
        taught,
    ),
    "image-text": Family({"image-text": ("image-text",)}, found_pictures),
    "siglip": Family({"siglip": ("siglip",)}, found_pictures),
    "captioner": Family({"captioner": ("captioner",)}, found_pictures),
    "skip-gram": Family({"skip-gram": ("skip-gram",)}, word_vectors),
    "long-context": Family({"long-context-short": ("long-context-short",), "long-context": ("long-context",)}, longer),
    "long-context-text-alone": Family(
        {
            "text-alone-short": ("long-context-short", "mixture.weights.near=0"),
            "text-alone": (
                *("long-context", "training.start=run:text-alone-short"),
                *("mixture.weights.near=0", "mixture.weights.far=0"),
            ),
        },
        longer,
    ),
    "bert": Family({"bert": ("bert",)}, hidden_tokens),
    "modernbert": Family({"modernbert": ("modernbert",)}, hidden_tokens_and_grammar),
    "t5": Family({"t5": ("t5",)}, hidden_spans),
    "ul2": Family({"ul2": ("ul2",)}, hidden_spans),
    "bart": Family({"bart": ("bart",)}, hidden_spans),
    "prefix": Family({"prefix": ("prefix",), "prefix-causal": ("prefix", "objective.kind=causal")}, left_to_right),
    "fim": Family({"fim": ("fim",), "fim-causal": ("fim", "objective.rate=0")}, left_to_right),
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
        safer,
        scored_tweets,
    ),
    "alignment-style": Family(
        {"style-plain": ("alignment-style", PLAIN), "style-tags": ("alignment-style",)}, tidier, scored_tweets
    ),
    "metadata": Family({"metadata": ("metadata",), "metadata-causal": ("metadata", PLAIN)}, left_to_right),
    "proteins-masked": Family({"proteins-masked": ("proteins-masked",)}, residues),
    "proteins-causal": Family({"proteins-causal": ("proteins-causal",)}, next_token),
    "diffusion": Family(
        {
            "diffusion": ("diffusion",),
            "diffusion-blocks": ("diffusion", "objective.block=4"),
            "diffusion-causal": ("diffusion", "objective.kind=causal"),
        },
        diffusion,
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
        characters,
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
