"""Makes ``corpus/rights/licences.npz`` from the licence texts of the SPDX list.

    npm pack spdx-license-list && tar xzf spdx-license-list-*.tgz
    python benchmarks/licence_fingerprints.py package/licenses

The list is CC0-1.0; what is stored are hashes of three words in a row, not the texts. Kept are licences that are
approved by the OSI, Creative Commons' and a few others that sources meet; of GNU names that share a text, "only".
"""

import argparse
import json
from pathlib import Path

from seedstock.corpus.rights import licence_text

OTHERS = {
    "0BSD", "Artistic-1.0-Perl", "Beerware", "BSD-3-Clause-Clear", "BSD-4-Clause", "BSD-4-Clause-UC", "CC-PDDC",
    "CDLA-Permissive-1.0", "CDLA-Permissive-2.0", "CDLA-Sharing-1.0", "CNRI-Python", "curl", "GFDL-1.1-only",
    "GFDL-1.2-only", "GFDL-1.3-only", "HPND", "IJG", "ImageMagick", "JSON", "Libpng", "libpng-2.0", "libtiff",
    "MIT-CMU", "MIT-enna", "MIT-feh", "ODbL-1.0", "ODC-By-1.0", "OFL-1.0", "OpenSSL", "PDDL-1.0", "PHP-3.01",
    "PSF-2.0", "Python-2.0.1", "Ruby", "SSPL-1.0", "BUSL-1.1", "TCL", "Unicode-DFS-2015", "Unicode-DFS-2016", "Vim",
    "WTFPL", "X11", "ZPL-2.0", "LPPL-1.3a", "LPPL-1.3c", "OGL-UK-3.0", "etalab-2.0", "DL-DE-BY-2.0", "Elastic-2.0",
    "PolyForm-Noncommercial-1.0.0", "Hippocratic-2.1", "Apache-1.0", "BlueOak-1.0.0", "zlib-acknowledgement",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    texts = {}
    for path in sorted(folder.glob("*.json")):
        name, record = path.stem, json.loads(path.read_text(encoding="utf-8"))
        gnu = name.startswith(("GPL", "LGPL", "AGPL", "GFDL"))
        wanted = record["osiApproved"] or name.startswith("CC") or name in OTHERS
        if wanted and "xception" not in name and "RFN" not in name and not (gnu and not name.endswith("-only")):
            texts[name] = record["licenseText"]
    # It is printed with the licence that it adds to; the fingerprint is of its own part.
    lesser = texts["LGPL-3.0-only"]
    texts["LGPL-3.0-only"] = lesser[: lesser.index("GNU GENERAL PUBLIC LICENSE", 200)]
    licence_text.make(texts)
    size = licence_text.STORED.stat().st_size
    print(f"{len(texts)} licences, {sum(map(len, texts.values()))} characters, {size} bytes of fingerprints")


if __name__ == "__main__":
    main()
