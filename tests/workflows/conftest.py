"""The models of tests/inference and tests/package, and the scans of tests/formats, serve here."""

import sys
from pathlib import Path

for room in ("inference", "package", "formats"):
    sys.path.append(str(Path(__file__).parents[1] / room))
