"""What the families over texts and other symbols come to, from what their runs have on record."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from figures import Figures, record

HERE = Path(__file__).resolve().parent.parent


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
