"""Puts a release together: model, tokenizer, papers and evidence, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from seedstock.ledger import manifest
from seedstock.ledger.chain import Chain
from seedstock.ledger.files import atomic_folder, write_json, write_text
from seedstock.ledger.ids import sha256_file
from seedstock.progress import Reporter, Silent
from seedstock.release import evidence, papers, private
from seedstock.release.facts import collect
from seedstock.release.loading import beside_of, exported_class
from seedstock.release.missing import missing
from seedstock.release.records import Records

FOLDER = "release"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "report.json")


def write(
    run_folder: Path,
    *,
    model_export: Callable[[Path], object] | Path | None,
    chain: Chain | None = None,
    reporter: Reporter | None = None,
) -> Path:
    """Writes ``release/`` of a run, seals it and records it in the chain; returns the folder.

    ``model_export`` fills a new folder with the exported model when it is called, or is the folder of one that is
    copied; None leaves the model out. What nobody has said is in ``missing.json`` and is reported, and keeps nothing
    from being released. An earlier release stays until the new one is whole. Raises DataError while a stage is
    missing, SeedstockError where a private path would be made public.
    """
    run_folder, reporter = Path(run_folder), reporter or Silent()
    records = Records(run_folder, chain)
    facts = collect(records)
    lacking = missing(records, facts["data"]["sources"])
    target = run_folder / FOLDER
    for path in run_folder.glob(f".{FOLDER}.*"):
        shutil.rmtree(path, ignore_errors=True)  # what a killed attempt left
    with atomic_folder(target) as folder:
        if isinstance(model_export, Path):
            shutil.copytree(model_export, folder / "model")
        elif model_export is not None:
            model_export(folder / "model")
        if model_export is not None:  # an objective's own heads may have made it another class of the same shape
            facts["model"]["class"] = exported_class(folder / "model") or facts["model"]["class"]
        for name in TOKENIZER if facts["tokenizer"] else ():
            (folder / "tokenizer").mkdir(exist_ok=True)
            shutil.copyfile(records.stage("tokenizer") / name, folder / "tokenizer" / name)
        beside = beside_of(folder / "model")
        written, _ = papers.render(facts, records.config, lacking, exported=model_export is not None, beside=beside)
        for name, text in written.items():
            write_text(folder / name, text)
        write_json(folder / "facts.json", facts)
        write_json(folder / "missing.json", lacking)
        evidence.write(folder / "evidence", records)
        private.refuse(folder, run_folder)
        manifest.seal(folder, FOLDER, {"head": facts["head"], "checkpoint": facts["training"]["digest"]})
    body = {
        "folder": FOLDER,
        "manifest_sha256": sha256_file(target / manifest.NAME),
        "root": manifest.read(target).root,
    }
    records.chain.append("release", body | {"step": facts["training"]["step"], "missing": len(lacking)})
    if lacking:
        reporter.say(f"   {len(lacking)} fields of the papers only a person can fill ({target / 'missing.json'}):")
        for one in lacking:
            reporter.say(f"     {one['field']}: {one['question']}")
    return target
