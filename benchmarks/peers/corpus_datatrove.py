"""The same job by datatrove: Gopher's filters, MinHash of 14 bands of 8, zstd Parquet, two workers.

``--whitespace`` puts ``str.split`` in the place of its tokenizer of words, which takes most of its time; ``--plain``
puts the filter that the other engines run in the place of its own, which are stricter on this text.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter, LambdaFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter, ParquetWriter
from datatrove.utils import word_tokenizers
from plain_gopher import keep


class Whitespace:
    """A tokenizer that splits at white space."""

    def word_tokenize(self, text: str) -> list[str]:
        return text.split()


# Worker processes import this file again, so the choice is in the environment.
if "--whitespace" in sys.argv or os.environ.get("WHITESPACE"):
    os.environ["WHITESPACE"] = "1"
    word_tokenizers.load_word_tokenizer = lambda language: Whitespace()


def passes(document: Document) -> bool:
    return keep(document.text)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("input")
    parser.add_argument("--whitespace", action="store_true")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--filter-only", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    tasks = len(list(Path(options.input).glob("*.jsonl")))
    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
    with tempfile.TemporaryDirectory() as folder:

        def run(name: str, count: int, *pipeline: object) -> None:
            LocalPipelineExecutor(
                pipeline=list(pipeline), tasks=count, workers=options.workers, logging_dir=f"{folder}/logs/{name}"
            ).run()

        own = [GopherRepetitionFilter(), GopherQualityFilter()]
        filters = [JsonlReader(options.input), *([LambdaFilter(passes)] if options.plain else own)]
        if options.filter_only:
            run("filter", tasks, *filters, ParquetWriter(f"{folder}/out", compression="zstd"))
        else:
            run("filter", tasks, *filters, JsonlWriter(f"{folder}/kept", compression=None))
            kept = JsonlReader(f"{folder}/kept")
            run("sign", tasks, kept, MinhashDedupSignature(output_folder=f"{folder}/sign", config=config))
            run(
                "buckets",
                config.num_buckets,
                MinhashDedupBuckets(input_folder=f"{folder}/sign", output_folder=f"{folder}/pairs", config=config),
            )
            run(
                "cluster",
                1,
                MinhashDedupCluster(input_folder=f"{folder}/pairs", output_folder=f"{folder}/remove", config=config),
            )
            write = ParquetWriter(f"{folder}/out", compression="zstd")
            run("write", tasks, kept, MinhashDedupFilter(input_folder=f"{folder}/remove"), write)
        import pyarrow.parquet as pq

        rows = sum(pq.ParquetFile(path).metadata.num_rows for path in Path(folder, "out").rglob("*.parquet"))
        print(json.dumps({"kept": rows}))


if __name__ == "__main__":
    main()
