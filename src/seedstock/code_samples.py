"""What a network that reads media as codes makes of held-out documents, to look at while it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seedstock.errors import SeedstockError
from seedstock.runs import Run

SHOWN, EACH = 8, 2
"""Documents that are shown, and how often their media are drawn from their texts."""
LOOKED_AT = 2_000  # held-out documents among which texts that differ are sought
WORDS = 40  # tokens of a text that is written after media


def available(run: Run) -> bool:
    """Whether the run's tokens hold the codes of pictures or sounds, and documents with some are held out."""
    coded: Any = getattr(run.recipe.input, "coded", None)
    return hasattr(coded, "run") and bool(run.shards.strata("held_out"))


def drawn(run: Run, nets: Any, objective: Any, path: Path, *, seed: int) -> str:
    """As ``made``; where the run that codes is gone, why nothing is drawn, which is no reason to end a training."""
    try:
        return made(run, nets, objective, path, seed=seed)
    except SeedstockError as error:
        return f"nothing is drawn: {error}"


def made(run: Run, nets: Any, objective: Any, path: Path, *, seed: int) -> str:
    """Writes a picture, one column for each of a few held-out documents: on top its medium through the codes, below
    what is drawn after its text (of sounds: their spectra). Returns what is written after each medium, and where the
    picture is. An order that a run never reads is not asked for: it knows nothing of it."""
    import numpy as np

    from seedstock import coders
    from seedstock.evaluation import pictures

    config, coder, tokenizer = run.recipe.input.coded, coders.on_record(run), run.tokenizer
    writer = coders.writer(config, coder, tokenizer.specials)
    room = run.recipe.model.context
    texts, found = _documents(run, coder, writer.media, room - 3)
    if not texts:
        return ""
    special, codes = tokenizer.specials, set(writer.ids.tolist())
    begin, end = writer.ids[:2].tolist()
    rows, said = [coder.look(found)], []
    if config.order in ("either", "caption"):
        others = set(range(run.vocab_size)) - (codes - {begin, end} if writer.whole else codes - {begin})
        for draw in range(EACH):
            written = []
            for column, text in enumerate(texts):
                prompt = [special["bos"], *tokenizer.encode(text).tolist(), begin]
                most = writer.size(coder.most())
                options = {"seed": seed + SHOWN * draw + column, "stop": {end}, "forbidden": others}
                written.append(writer.codes(objective.generate(nets, prompt, most, **options)))
            rows.append(coder.look(written))
    if config.order != "caption":
        for text, one in zip(texts, found, strict=True):
            prompt = [special["bos"], *writer.tokens(one).tolist()]
            if len(prompt) >= room:
                continue
            options = {"seed": seed, "temperature": 0.0, "stop": {special["eos"]}, "forbidden": codes}
            said.append(f"{text!r}: {tokenizer.decode(objective.generate(nets, prompt, WORDS, **options))!r}")
    pictures.write(path, np.stack(rows))
    return "\n".join([*(["written after media: " + ", ".join(said)] if said else []), f"picture: {path}"])


def _documents(run: Run, coder: Any, media: str, most: int) -> tuple[list[str], list[Any]]:
    """Texts of at most so many tokens, and codes, of the first held-out documents; each has a text of its own."""
    chosen, looked = dict[str, Any](), 0
    for batch in run.corpus.texts("held_out", media=media):
        for row in batch.to_pylist():
            if row["media"] is None or row["text"] in chosen or len(run.tokenizer.encode(row["text"])) > most:
                continue
            (codes,) = coder([row["media"]])
            if codes is not None:
                chosen[row["text"]] = codes
            if len(chosen) == SHOWN:
                return [*chosen], [*chosen.values()]
        looked += len(batch)
        if looked >= LOOKED_AT:
            break
    return [*chosen], [*chosen.values()]
