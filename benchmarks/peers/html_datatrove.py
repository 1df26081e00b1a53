"""HTML to Parquet by datatrove: WARC in, trafilatura, Parquet out. ``python html_datatrove.py IN OUT [precision]``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.readers import WarcReader
from datatrove.pipeline.writers import ParquetWriter

if __name__ == "__main__":
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    steps = [
        WarcReader(str(source), glob_pattern="*.warc.gz"),
        Trafilatura(favour_precision="precision" in sys.argv, timeout=10),
        ParquetWriter(str(target / "out"), output_filename="${rank}.parquet"),
    ]
    tasks = len(list(source.glob("*.warc.gz")))
    began = time.perf_counter()
    LocalPipelineExecutor(pipeline=steps, tasks=tasks, workers=2, logging_dir=str(target / "logs")).run()
    print(f"seconds {time.perf_counter() - began:.3f}")
