"""Ask a running `tomos serve` about files, with nothing but Python's own library.

python examples/client.py http://127.0.0.1:8080 FILE...
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path


def read(server: str, file: Path) -> dict:
    """The answer to one file. Raises OSError where the server refuses, with its reason."""
    asked = urllib.request.Request(
        f"{server}/api/read?picture=false&heat=false",
        data=file.read_bytes(),
        headers={"Content-Type": "application/octet-stream"},
    )
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        raise OSError(json.load(refusal)["error"]) from None


def main(server: str, files: list[str]) -> int:
    failed = 0
    for file in files:
        try:
            found = read(server.rstrip("/"), Path(file))["prediction"]
        except OSError as error:
            print(f"{file}: {error}", file=sys.stderr)
            failed = 2
            continue
        print(f"{file}: {found['verdict']}, {found['reason']}")
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
