# `make check` does what CI does, in the environment that is active.
.PHONY: check format lint types test schema documents sample results figures

check: lint types schema test

lint:
	ruff check .
	ruff format --check .

format:
	ruff check --fix .
	ruff format .

types:
	mypy

test:
	pytest

schema: ## the JSON Schema beside the configurations is that of the classes
	ner schema | diff -q configs/schema.json - || (echo "run: make documents"; exit 1)
	ner schema --markdown | diff -q docs/configuration.md - || (echo "run: make documents"; exit 1)
	python results/render.py --check || (echo "run: make results"; exit 1)

documents:
	ner schema > configs/schema.json
	ner schema --markdown > docs/configuration.md

sample: ## write the bundled corpora again
	python data/sample/generate.py

# The figures of docs/results.md: CONLL is where the two-column files lie. One thread each; about an hour in all.
CONLL ?= data/conll2003
PATHS = data.train=$(CONLL)/train.txt data.valid=$(CONLL)/valid.txt data.test=$(CONLL)/test.txt

figures:
	for config in conll2003/bilstm_crf conll2003/minilm_crf notes/bilstm notes/wordpiece_bilstm; do \
		python results/measure.py --config configs/$$config.yaml $(PATHS) || exit 1; \
	done
	$(MAKE) results

results: ## docs/results.md and the table of docs/notes.md from results/*.json
	python results/render.py
