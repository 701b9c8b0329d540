"""`python -m tomos` is `tomos`."""

import sys

from tomos.cli import main

sys.exit(main())
