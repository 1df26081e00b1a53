"""What the families over pictures, sounds, clips and episodes come to, from what their runs have on record."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from figures import Figures, record

HERE = Path(__file__).resolve().parent.parent


def found_pictures(runs: dict[str, Path]) -> Figures:
    """Pictures that are not among the ten nearest to their caption, mean over languages, beside a linear map; of the
    last run, to which others may be parents."""
    *_, run = runs.values()
    found = record(run, "scores")["retrieval"]

    def mean(way: str, name: str) -> float:
        return sum(one[way][name] for one in found.values()) / len(found)

    names = [f"{kind} R@{k}" for kind in ("picture", "caption") for k in (1, 5, 10)]
    more: dict[str, Any] = {name: {"model": mean("model", name), "linear": mean("linear", name)} for name in names}
    more |= {language: {way: one[way] for way in ("model", "linear")} for language, one in found.items()}
    if compared := record(run, "scores").get("retrieval_beside_linear"):
        more["beside a linear map"] = compared
    if written := record(run, "scores").get("captions"):
        more["captions"] = written
    floors = {"a linear map": 1 - mean("linear", "picture R@10")}
    return Figures("pictures not found in ten", 1 - mean("model", "picture R@10"), floors, *floors.values(), more=more)


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
