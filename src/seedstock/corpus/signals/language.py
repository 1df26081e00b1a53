"""The language that a document is written in: a natural one, or for code the programming language."""

from __future__ import annotations

import json
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from seedstock.corpus.languages import normalise
from seedstock.corpus.signals.trained import Trained

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from seedstock.corpus.classify.fasttext import FastText

UNDETERMINED = "und"  # ISO 639-2

# File suffixes of programming languages, under the names that GitHub Linguist uses, in lower case.
SUFFIXES = {
    "bash": "shell",
    "c": "c",
    "cc": "c++",
    "clj": "clojure",
    "cpp": "c++",
    "cs": "c#",
    "css": "css",
    "cu": "cuda",
    "cxx": "c++",
    "dart": "dart",
    "erl": "erlang",
    "ex": "elixir",
    "f90": "fortran",
    "go": "go",
    "h": "c",
    "hpp": "c++",
    "hs": "haskell",
    "html": "html",
    "java": "java",
    "jl": "julia",
    "js": "javascript",
    "jsx": "javascript",
    "kt": "kotlin",
    "lua": "lua",
    "m": "objective-c",
    "ml": "ocaml",
    "mjs": "javascript",
    "php": "php",
    "pl": "perl",
    "ps1": "powershell",
    "py": "python",
    "pyi": "python",
    "pyx": "cython",
    "r": "r",
    "rb": "ruby",
    "rs": "rust",
    "scala": "scala",
    "sh": "shell",
    "sol": "solidity",
    "sql": "sql",
    "swift": "swift",
    "tex": "tex",
    "ts": "typescript",
    "tsx": "typescript",
    "zig": "zig",
}

# What py3langid's model can say, normalised: checked against the model by a test, so that a recipe is read without it.
_NATURAL = """
ace af am an ar ary arz as az ba bcl be bg bn br bs ca crh cs cy da de dz el en eo es et eu ext fa ff fi fo fr fy ga
gcf gcr gd gl gn gom grc gu guw ha hbo he hi hr ht hu hy id ig is it ja jv ka kab ki kk km kn ko ku ky la lb lg lij
ln lo lt ltg lv mg mk ml mn mr ms mt my ne nl nn no nso oc om or pa pcm pl ps pt qu ro ru rw sa sdh se si sk sl sn
so sq sr st sv sw ta te tg th tk tl tr tt ug uk ur uz uzs vec vi vo wa wuu xh yo yue zh zu zxx
"""
NATURAL = tuple(_NATURAL.split())
LANGUAGES = (UNDETERMINED, *NATURAL, *dict.fromkeys(SUFFIXES.values()))
QUICK = 300  # characters that are looked at first
SURE = 0.95  # a confidence from which the rest of the sample never changed the label


class Language(Trained):
    """The language of ``sample`` characters from the middle, how sure that is, and their script.

    language    ISO 639 code, of two letters where there is one (see corpus/languages.py); where the domain is ``code``,
                the programming language by the name of the file or as declared (meta's ``language``); ``und`` where
                there is nothing to go by
    confidence  probability over the identifier's languages (calibrated for length); 1 for a programming language
    script      ISO 15924 code of most letters; ``Zyyy`` without letters
    programming whether ``language`` names a programming language
    declared    the language that the source declares, spelled alike; null where it declares none. It stands before
                ``language`` in strata and mixtures: a rule for some languages alone should look at both

    The identifier is py3langid's model (Lui and Baldwin 2012: naive Bayes over byte n-grams), in a kernel of our own.
    The middle of the sample is looked at first; where that leaves a doubt, all of it. Menus and notices stand at the
    ends of a page; where there is no letter in the middle, the beginning is the sample. ``model`` puts a fastText model
    in its place (lid.176, GlotLID, OpenLID: ``.bin`` or ``.ftz``), whose labels are spelled as above.
    """

    version: ClassVar[int] = 3
    columns: ClassVar[dict[str, str]] = {
        "language": "string",
        "confidence": "float32",
        "script": "string",
        "programming": "bool",
        "declared": "string",
    }
    kind: Literal["language"] = "language"
    sample: Annotated[int, Field(ge=50)] = 1000
    advice: ClassVar[str] = "name a fastText model for language identification, FILE.bin"

    @property
    def languages(self) -> tuple[str, ...]:
        """Every value that the column ``language`` can have; rules are checked against it."""
        if self.model is None:
            return LANGUAGES
        from seedstock.corpus.classify.fasttext_file import labels

        return tuple(dict.fromkeys([UNDETERMINED, *map(normalise, labels(self.path())), *SUFFIXES.values()]))

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Identifies the language of each text of a batch."""
        code = _programming(batch)
        languages, confidence, scripts = self.identify(batch.column("text"), [name is not None for name in code])
        return self.batch(
            language=[name or found for name, found in zip(code, languages, strict=True)],
            confidence=[1.0 if name else found for name, found in zip(code, confidence, strict=True)],
            script=scripts,
            programming=[name is not None for name in code],
            declared=[normalise(name) or None for name in map(_stated, batch.column("meta").to_pylist())],
        )

    def identify(self, text: pa.Array, skip: list[bool] | None = None) -> tuple[list[str], list[float], list[str]]:
        """(languages, confidences, scripts) of a large_string array; ``skip`` says of which rows no
        language is looked for.
        """
        from seedstock.corpus.signals.language_kernel import classify
        from seedstock.corpus.signals.scripts import NO_SCRIPT, scripts

        parts = [_sample(whole, self.sample) for whole in text.to_pylist()]
        written = scripts(parts)
        languages, confidence = [UNDETERMINED] * len(parts), [0.0] * len(parts)
        rows = [row for row, script in enumerate(written) if script != NO_SCRIPT or _has_letter(parts[row])]
        rows = [row for row in rows if not (skip and skip[row])]
        if self.model is not None:
            classify = partial(_fasttext, str(self.path()))
        for size in (QUICK, self.sample):
            found = classify([_middle(parts[row], size) for row in rows])
            for row, label, sure in zip(rows, *found, strict=True):
                languages[row], confidence[row] = label, float(sure)
            rows = [row for row in rows if confidence[row] < SURE and len(parts[row]) > size]
        return languages, confidence, written


def _fasttext(path: str, texts: list[str]) -> tuple[list[str], np.ndarray]:
    import numpy as np
    import pyarrow as pa

    model = _model(path)
    found = model.probabilities(pa.array(texts, pa.large_string()))
    best = found.argmax(axis=1) if len(texts) else np.zeros(0, int)
    return [normalise(model.labels[at]) for at in best], np.minimum(found[np.arange(len(best)), best], 1)


@lru_cache(maxsize=1)
def _model(path: str) -> FastText:
    from seedstock.corpus.classify.fasttext import FastText

    return FastText(Path(path))


def _sample(text: str, size: int) -> str:
    middle = _middle(text, size)
    return middle if len(text) <= size or _has_letter(middle) else text[:size]


def _has_letter(text: str) -> bool:
    return any(map(str.isalpha, text))


def _middle(text: str, size: int) -> str:
    start = max(0, (len(text) - size) // 2)
    return text[start : start + size]


def _programming(batch: pa.RecordBatch) -> list[str | None]:
    """The programming language of each document, None for natural text."""
    columns = (batch.column(name).to_pylist() for name in ("domain", "locator", "meta"))
    return [
        _declared(locator, meta) if domain == "code" else None for domain, locator, meta in zip(*columns, strict=True)
    ]


def _declared(locator: str, meta: str | None) -> str | None:
    suffix = locator.rpartition("/")[2].rpartition(".")[2].lower()
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    declared = _stated(meta).lower()
    return declared if declared in SUFFIXES.values() else None


def _stated(meta: str | None) -> str:
    return str(json.loads(meta or "{}").get("language") or "")
