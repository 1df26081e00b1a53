"""Precision and recall of personal data, secrets aside, on real text with planted values; and the speed.

    SEEDSTOCK_DATA=... python benchmarks/personal_data.py [--peers PYTHON]

No labelled set of spans comes with the data pack, so one is made: paragraphs of books, proposals and code, one planted
value or near miss in each of half of them, at a random place between words. Planted values are valid by their rules
and nobody's (tests/corpus/planted.py); near misses are what careless patterns take for them. What is found in the real
text itself is printed for reading, and judged below by hand. ``--peers`` runs datafog's patterns on the same paragraphs
with the interpreter of a virtual environment that has it, and phonenumbers.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
from datapack import data_pack

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "corpus"))
from batches import documents
from planted import KINDS, Planter

from seedstock.corpus.signals.personal import Personal

FILES = ("text/books.jsonl.zst", "text/specs.jsonl.zst", "code/thealgorithms.jsonl.zst", "multilingual/udhr.jsonl.zst")
DATAFOG = """
import json, sys, time
from datafog.processing.text_processing.regex_annotator import RegexAnnotator
texts = json.load(open(sys.argv[1]))
annotator = RegexAnnotator()
start, found = time.process_time(), []
for text in texts:
    _, result = annotator.annotate_with_spans(text)
    found.append([[span.start, span.end, span.label] for span in result.spans])
json.dump({"seconds": time.process_time() - start, "found": found}, open(sys.argv[2], "w"))
"""
EXAMPLES = """
import json, sys
import phonenumbers as p
kinds, forms = (p.PhoneNumberType.FIXED_LINE, p.PhoneNumberType.MOBILE), p.PhoneNumberFormat
numbers = [p.example_number_for_type(region, kind) for region in sorted(p.SUPPORTED_REGIONS) for kind in kinds]
json.dump([[p.format_number(one, form) for form in (forms.INTERNATIONAL, forms.E164, forms.NATIONAL)]
           for one in numbers if one], open(sys.argv[1], "w"))
"""
LABELS = {"EMAIL": "email", "PHONE": "phone", "SSN": "id", "CREDIT_CARD": "card", "IP_ADDRESS": "ip", "IBAN": "iban"}


def texts(data: Path, name: str) -> list[str]:
    import zstandard

    raw = zstandard.decompress((data / name).read_bytes(), max_output_size=1 << 28)
    return [json.loads(line)["text"] for line in raw.splitlines()]


def planted(paragraphs: list[str], seed: int) -> list[tuple[str, int, int, str]]:
    """(text, start, end, kind) with the place of the planted value in characters; a near miss is ``near KIND``."""
    rng, planter, result = random.Random(seed), Planter(seed), []
    for at, paragraph in enumerate(paragraphs):
        kind = KINDS[at % len(KINDS)]
        spaces = [place for place, sign in enumerate(paragraph) if sign == " "]
        place = rng.choice(spaces) + 1
        if (at // len(KINDS)) % 2:
            text, value, label = planter.near_miss(kind), "", f"near {kind}"
        else:
            text, value = planter.valid(kind)
            label = kind
        whole = f"{paragraph[:place]}{text} {paragraph[place:]}"
        start = place + text.index(value)
        result.append((whole, start, start + len(value), label))
    return result


def scores(made: list[tuple[str, int, int, str]], found: list[list[tuple[int, int, str]]]) -> dict[str, dict[str, int]]:
    """By kind: planted, found (a span that overlaps, of that kind), exact, near misses, taken (by any kind)."""
    table = {kind: dict.fromkeys(("planted", "found", "exact", "near misses", "taken"), 0) for kind in KINDS}
    for (_, start, end, label), spans in zip(made, found, strict=True):
        row = table[label.removeprefix("near ")]
        if label.startswith("near "):
            row["near misses"] += 1
            row["taken"] += any(kind == label[5:] for *_, kind in spans)
        else:
            row["planted"] += 1
            row["found"] += any(s < end and e > start and kind == label for s, e, kind in spans)
            row["exact"] += (start, end, label) in spans
    return table


def ours(made: list[str]) -> tuple[list[list[tuple[int, int, str]]], float]:
    batch = documents(made)
    begin = time.process_time()
    rows = Personal().compute(batch).to_pylist()
    seconds = time.process_time() - begin
    result = []
    for text, row in zip(made, rows, strict=True):
        data = text.encode()
        spans = [(len(data[: s["start"]].decode()), len(data[: s["end"]].decode())) for s in row["spans"]]
        result.append([(*span, kind) for span, kind in zip(spans, row["kinds"], strict=True)])
    return result, seconds


def datafog(python: str, made: list[str], work: Path) -> tuple[list[list[tuple[int, int, str]]], float]:
    work.mkdir(parents=True, exist_ok=True)
    (work / "in.json").write_text(json.dumps(made))
    subprocess.run([python, "-c", DATAFOG, str(work / "in.json"), str(work / "out.json")], check=True)
    answer = json.loads((work / "out.json").read_text())
    found = [[(s, e, LABELS[kind]) for s, e, kind in row if kind in LABELS] for row in answer["found"]]
    return found, answer["seconds"]


def examples(python: str, work: Path) -> None:
    """The example numbers of libphonenumber, which nobody here chose: two a region, in three forms."""
    subprocess.run([python, "-c", EXAMPLES, str(work / "phones.json")], check=True)
    numbers = json.loads((work / "phones.json").read_text())
    for at, name in enumerate(("international", "E.164", 'national, after "Tel."')):
        before = "Tel. " if at == 2 else "it is "
        found = Personal(find=("phone",)).compute(documents([f"{before}{row[at]} said he" for row in numbers]))
        held = pa.compute.sum(pa.compute.greater(found.column("phones"), 0)).as_py()
        print(f"libphonenumber's examples, {name}: {held} of {len(numbers)} found")


def show(name: str, table: dict[str, dict[str, int]], seconds: float, size: int) -> None:
    print(f"\n{name}: {size / seconds / 1e6:.1f} MB/s of CPU time")
    print("| kind | recall | exact span | near misses taken |\n|---|---|---|---|")
    for kind, row in table.items():
        recall, exact = row["found"] / row["planted"], row["exact"] / row["planted"]
        print(f"| {kind} | {recall:.3f} | {exact:.3f} | {row['taken']} of {row['near misses']} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="the interpreter of an environment with datafog")
    parser.add_argument("--paragraphs", type=int, default=6000)
    parser.add_argument("--work", type=Path, default=Path("personal-data"))
    parser.add_argument("--print", action="store_true", help="prints what is found in the real text, for reading")
    args = parser.parse_args()
    data = data_pack()
    paragraphs: list[str] = []
    for name in FILES[:3]:
        for text in texts(data, name):
            paragraphs += [part for part in text.split("\n\n") if 200 < len(part) < 2000 and part.count(" ") > 20]
    random.Random(1).shuffle(paragraphs)
    clean, _ = ours(paragraphs[: args.paragraphs * 4])
    paragraphs = [text for text, row in zip(paragraphs, clean, strict=False) if not row][: args.paragraphs]
    made = planted(paragraphs, 2)
    whole = [text for text, *_ in made]
    size = sum(len(text.encode()) for text in whole)
    found, seconds = ours(whole)
    show("ours", scores(made, found), seconds, size)
    if args.peers:
        theirs, seconds = datafog(args.peers, whole, args.work)
        show("datafog, patterns alone", scores(made, theirs), seconds, size)
        examples(args.peers, args.work)
    print("\nreal text, nothing planted:")
    for name in FILES:
        real = texts(data, name)
        size = sum(len(text.encode()) for text in real)
        array = pa.array(real, pa.large_string())
        best = 1e9
        for _ in range(3):
            begin = time.process_time()
            table = Personal().compute(documents(real))
            best = min(best, time.process_time() - begin)
        counts = {kind: pa.compute.sum(table.column(f"{kind}s")).as_py() for kind in KINDS}
        print(f"{name}: {len(array)} documents, {size / 1e6:.1f} MB, {size / best / 1e6:.0f} MB/s, {counts}")
        if args.print:
            for text, row in zip(real, table.to_pylist(), strict=True):
                raw = text.encode()
                for span, kind in zip(row["spans"], row["kinds"], strict=True):
                    if kind != "email":
                        print(f"   {kind}: {raw[max(0, span['start'] - 30) : span['end'] + 15]!r}")


if __name__ == "__main__":
    main()
