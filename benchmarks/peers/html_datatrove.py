"""HTML to Parquet by datatrove: WARC in, trafilatura, Parquet out.

``python html_datatrove.py IN OUT WORKERS [precision]``. With one worker its CPU seconds are all of its processes'.
"""

from __future__ import annotations

import resource
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
    LocalPipelineExecutor(pipeline=steps, tasks=tasks, workers=int(sys.argv[3]), logging_dir=str(target / "logs")).run()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(f"seconds {time.perf_counter() - began:.3f} cpu {sum(one.ru_utime + one.ru_stime for one in used):.3f}")
