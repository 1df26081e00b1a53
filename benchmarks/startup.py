"""How long ``seedstock --help`` takes: the median of ten starts."""

import statistics
import subprocess
import sys
import time


def main() -> None:
    taken = []
    for _ in range(10):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "seedstock", "--help"], capture_output=True, check=True)
        taken.append(time.perf_counter() - began)
    print(f"seedstock --help: median {statistics.median(taken):.3f} s, worst {max(taken):.3f} s of {len(taken)}")


if __name__ == "__main__":
    main()
