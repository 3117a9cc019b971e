"""``python train.py --config configs/bert_crf.yaml``: the same as ``ner train``."""

import sys

from ner.commands.train import main

if __name__ == "__main__":
    sys.exit(main())
