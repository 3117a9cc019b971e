"""Minimal script for a token classifier of transformers: load it and tag the lines of standard input."""

import sys

from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

folder = sys.argv[1]
model = AutoModelForTokenClassification.from_pretrained(folder)
tagger = pipeline("token-classification", model, tokenizer=AutoTokenizer.from_pretrained(folder))
for line in sys.stdin:
    print(tagger(line.strip()))
