"""``python evaluate.py --split test``: the same as ``ner evaluate``."""

import sys

from ner.commands.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
