"""The corpus reader's contract over texts in memory, with strata and a manifest as a real corpus has them."""

from __future__ import annotations

import hashlib
import sysconfig
from pathlib import Path

import pyarrow as pa

from seedstock.ledger import manifest

SCRIPTS = {
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "zh": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "ar": "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق.",
}


SCORES = {
    "letters.share": lambda text: sum(map(str.isalpha, text)) / len(text),
    "lines.mean": lambda text: len(text) / text.count("\n") if text.isascii() else None,
    "none.given": lambda text: None,
    "broken.ratio": lambda text: float("nan") if text.isascii() else 1.0,
}
"""What signals would have found, by their names in recipes."""


def real_texts():
    """(source, domain, language, text, split) of small modules, and of one sentence in four scripts."""
    library = Path(sysconfig.get_paths()["stdlib"])
    names = ["this", "keyword", "bisect", "colorsys", "heapq", "queue", "sched", "shlex", "textwrap", "stat", "token"]
    rows = [
        ("python", "code", "en", (library / f"{name}.py").read_text(), "held_out" if name == "stat" else "train")
        for name in names
    ]
    rows += [
        ("declaration", "law", code, f"{number}. {text}\n" * 9, "train")
        for number in range(3)
        for code, text in SCRIPTS.items()
    ]
    return rows


class TextsCorpus:
    def __init__(self, folder, rows, batch=5, part=9):
        self.folder, self.batch, self.part = Path(folder), batch, part
        names = sorted({row[:3] for row in rows})
        self.rows = [
            {
                "id": hashlib.blake2b(repr((n, row)).encode(), digest_size=16).digest(),
                "stratum": names.index(row[:3]),
                **dict(zip(("source", "domain", "language", "text", "split"), row, strict=True)),
                "locator": f"file-{n}",
                "url": f"https://example.org/{n}",
                "licence": "PSF-2.0",
            }
            for n, row in enumerate(rows)
        ]
        self.strata = []
        for number, name in enumerate(names):
            sizes = {"train": [], "held_out": []}
            for row in self.rows:
                if row["stratum"] == number:
                    sizes[row["split"]].append(len(row["text"].encode()))
            self.strata.append(
                dict(zip(("source", "domain", "language"), name, strict=True))
                | {"stratum": number, "documents": len(sizes["train"]), "bytes": sum(sizes["train"])}
                | {"held_out_documents": len(sizes["held_out"]), "held_out_bytes": sum(sizes["held_out"])}
            )
        (self.folder / "rows.txt").write_text(repr(self.rows))
        manifest.seal(self.folder, "corpus", {})

    @property
    def parts(self):
        return [f"part-{number:05d}" for number in range(-(-len(self.rows) // self.part))]

    def content(self, part):
        names = ("source", "domain", "language", "text", "split")
        return hashlib.sha256(repr([[row[name] for name in names] for row in self._of(part)]).encode()).hexdigest()

    def _of(self, part):
        return self.rows[int(part[-5:]) * self.part :][: self.part]

    def texts(self, split, stratum=None, batch=None, parts=None, media=None, scores=()):
        chosen = [row for part in (self.parts if parts is None else parts) for row in self._of(part)]
        rows = [r for r in chosen if r["split"] == split and stratum in (None, r["stratum"])]
        for first in range(0, len(rows), batch or self.batch):
            piece = pa.RecordBatch.from_pylist(rows[first : first + (batch or self.batch)])
            for name in scores:
                piece = piece.append_column(name, pa.array([SCORES[name](t) for t in piece["text"].to_pylist()]))
            yield piece.append_column("media", pa.nulls(len(piece), pa.large_binary())) if media else piece

    def document(self, id):
        return next((row for row in self.rows if row["id"] == id), None)

    def find(self, url):
        return [row["id"] for row in self.rows if row["url"] == url]
