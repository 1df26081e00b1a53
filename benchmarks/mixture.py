"""Does a mixture proposed from small runs beat the natural one? Novels, proposals and programs of the data pack.

``python benchmarks/mixture.py [--proxies 16] [--steps 100] [--verify 3] [--runs DIR]``, with SEEDSTOCK_DATA set. The
proposal and the natural mixture are trained with other seeds than the search had: other held-out documents, another
tokenizer, another order.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from datapack import data_pack

from seedstock import mixtures, recipe
from seedstock.cli.console import Console
from seedstock.cli.mixture import told

RECIPE = """\
name: three-domains
seed: 1
sources:
  - {{name: books, kind: jsonl, path: {data}/text/books.jsonl.zst, domain: books, language: en}}
  - {{name: specs, kind: jsonl, path: {data}/text/specs.jsonl.zst, domain: specs, language: en}}
  - {{name: code, kind: jsonl, path: {data}/code/thealgorithms.jsonl.zst, domain: code, language: en}}
corpus: {{policy: none, dedup: {{kind: exact}}, held_out: 3 %}}
mixture: {{by: [source]}}
tokenizer: {{kind: bpe, vocab_size: 1024}}
model: {{kind: decoder, shape: qwen3, size: 500k, context: 128}}
training: {{steps: 1000, batch_tokens: 2k}}
evaluation: {{limit: 120 kB}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("proxies", 16), ("steps", 100), ("verify", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--runs", type=Path, default=None)
    options = parser.parse_args()
    runs = options.runs or Path(tempfile.mkdtemp(prefix="mixture-"))
    result = mixtures.propose(
        recipe.parse(RECIPE.format(data=data_pack())),
        runs=runs,
        proxies=options.proxies,
        steps=options.steps,
        size=500_000,
        part="source",
        verify=options.verify,
        reporter=Console(quiet=False),
    )
    print(told(result))
    (runs / "result.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
