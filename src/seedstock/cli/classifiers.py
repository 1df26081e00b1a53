"""Commands for what a policy rests on: classifier train and score; perplexity train; thresholds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from seedstock.cli import options as shared


def add(commands: Any) -> None:
    """Adds these commands to the parser."""
    text = "train a classifier of documents, or score texts with one"
    classifier = commands.add_parser("classifier", help=text, description=text)
    parts = classifier.add_subparsers(dest="what", metavar="WHAT", required=True)
    text = "tell documents like POSITIVE from documents like NEGATIVE; prints how well, on a held-out part"
    train = parts.add_parser("train", help=text, description=text)
    for name in ("positive", "negative"):
        train.add_argument(f"--{name}", nargs="+", required=True, metavar="FILES", help="JSON lines, Parquet or text")
    _shared(train)
    train.add_argument("--labels", nargs=2, default=("negative", "positive"), metavar=("NEGATIVE", "POSITIVE"))
    train.add_argument("--words", type=int, default=2, choices=range(1, 6), help="words of the longest n-gram (2)")
    train.add_argument("--bits", type=int, default=20, choices=range(10, 27), help="the table has 2^BITS weights (20)")
    train.set_defaults(run=_train)
    text = "print the scores that a model gives the documents of files, the highest first"
    score = parts.add_parser("score", help=text, description=text)
    score.add_argument("model", metavar="MODEL", help="a folder of `classifier train`, or a fastText model")
    score.add_argument("files", nargs="+", metavar="FILES")
    score.add_argument("--label", help="the label whose probability is shown")
    score.add_argument("--json", action="store_true", help="print the result as one JSON object")
    score.set_defaults(run=_score)
    text = "train an n-gram model for the signal 'perplexity'"
    perplexity = commands.add_parser("perplexity", help=text, description=text)
    train = perplexity.add_subparsers(dest="what", metavar="WHAT", required=True).add_parser(
        "train", help="count words in files; prints the perplexity of a held-out tenth"
    )
    train.add_argument("files", nargs="+", metavar="FILES", help="JSON lines, Parquet or text")
    _shared(train)
    train.add_argument("--order", type=int, default=3, choices=range(1, 7), help="words of the longest n-gram (3)")
    train.add_argument("--rare", type=int, default=2, metavar="N", help="words seen less often are unknown (2)")
    train.add_argument("--prune", type=int, default=1, metavar="N", help="drop longer n-grams seen at most N times (1)")
    train.set_defaults(run=_perplexity)
    text = "propose bounds by language for the rules of a run's policy, from what its corpus measured"
    thresholds = shared.run(commands.add_parser("thresholds", help=text, description=text))
    thresholds.add_argument("--reference", default="en", metavar="LANGUAGE", help="whose bounds are right (en)")
    thresholds.add_argument(
        "--fewest", type=int, default=100, metavar="N", help="documents that a language needs (100)"
    )
    thresholds.set_defaults(run=_thresholds)


def _shared(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder for the model")
    command.add_argument("--limit", type=int, default=200_000, metavar="N", help="documents of each (200,000)")
    command.add_argument("--json", action="store_true", help="print the result as one JSON object")


def _train(options: argparse.Namespace) -> None:
    from seedstock.corpus.classify import examples, linear, train

    reporter = shared.reporter(options)
    texts = [examples.read(getattr(options, name), options.limit, name) for name in ("positive", "negative")]
    low, high = options.labels
    model, report = train.train(*texts, labels=(low, high), order=options.words, bits=options.bits, say=reporter.say)
    digest = linear.save(model, options.out, report)
    result = {"model": str(options.out), "sha256": digest, **report}
    shared.show(options, result, lambda: _told(result, options.labels))


def _told(result: dict[str, Any], labels: tuple[str, str]) -> str:
    held = result["held_out"]
    lines = [
        f"{result['model']} (model.json has SHA-256 {result['sha256'][:16]}…)",
        f"held out: {held[labels[1]]} {labels[1]}, {held[labels[0]]} {labels[0]}",
        f"AUC {held['auc']:.4f}, accuracy {held['accuracy']:.4f}, precision {held['precision']:.4f}, "
        f"recall {held['recall']:.4f} at 0.5",
        f"calibration error {held['calibration_error']:.4f} (before calibration "
        f"{held['calibration_error_before']:.4f}); by score:",
    ]
    for row in held["reliability"]:
        lines.append(
            f"  {row['from']:.1f}…  {row['documents']:7} documents, score {row['score']:.3f}, "
            f"{labels[1]} {row['positive']:.3f}"
        )
    for label, rows in result["features"].items():
        lines.append(f"speaks for {label}: " + ", ".join(f"{name} ({weight:+.1f})" for name, weight, _ in rows))
    return "\n".join(lines)


def _score(options: argparse.Namespace) -> None:
    import pyarrow as pa

    from seedstock.corpus.classify import examples
    from seedstock.corpus.signals.classifier import Classifier

    texts = examples.read(options.files)
    try:
        signal = Classifier(model=options.model, label=options.label)
    except ValueError as error:
        from seedstock.errors import RecipeError

        raise RecipeError(str(error), where=options.model) from error
    batch = pa.RecordBatch.from_pydict({"text": pa.array(texts, pa.large_string())})
    found = signal.compute(batch).to_pylist()
    rows = sorted(zip(found, texts, strict=True), key=lambda row: -row[0]["score"])
    shown = [{**row, "text": " ".join(text[:200].split())[:100]} for row, text in rows]
    shared.show(
        options, {"documents": shown}, "\n".join(f"{row['score']:.4f}  {row['top']}  {row['text']}" for row in shown)
    )


def _perplexity(options: argparse.Namespace) -> None:
    import pyarrow as pa

    from seedstock.corpus.classify import examples, kneser_ney

    reporter = shared.reporter(options)
    texts = examples.read(options.files, options.limit)
    kept = [text for at, text in enumerate(texts) if at % 10 != 9]
    model = kneser_ney.train(kept, options.order, options.rare, options.prune, reporter.say)
    apart = pa.array(texts[9::10], pa.large_string())
    logp, words, known = model.score(apart)
    single = kneser_ney.Model(model.words, model.tables[:1]).score(apart)[0]
    held = {
        "documents": len(apart),
        "words": int(words.sum()),
        "known": float(known.sum() / max(1, words.sum())),
        "perplexity": kneser_ney.perplexity(logp, words),
        "perplexity_of_single_words": kneser_ney.perplexity(single, words),
    }
    report = {"held_out": held, "ngrams": [len(table.keys) for table in model.tables]}
    digest = kneser_ney.save(model, options.out, report)
    told = (
        f"{options.out}: {report['ngrams']} n-grams\nheld out: {held['words']} words, {held['known']:.1%} known, "
        f"perplexity {held['perplexity']:.1f} (of single words {held['perplexity_of_single_words']:.1f})"
    )
    shared.show(options, {"model": str(options.out), "sha256": digest, **report}, told)


def _thresholds(options: argparse.Namespace) -> None:
    from seedstock.corpus.thresholds import propose

    run = shared.open_run(options)
    rules = propose(run.corpus, run.recipe.corpus.policy.rules, options.reference, options.fewest)
    shared.show(options, {"rules": rules}, lambda: _yaml({"rules": rules}))


def _yaml(value: Any) -> str:
    import io

    from ruamel.yaml import YAML

    writer, text = YAML(typ="safe", pure=True), io.StringIO()
    writer.width, writer.sort_base_mapping_type_on_output = 120, False  # type: ignore[assignment]
    writer.dump(value, text)
    return text.getvalue().rstrip()
