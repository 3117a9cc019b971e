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
	for seed in 2 3 4 5; do \
		python results/measure.py --config configs/notes/bilstm.yaml $(PATHS) seed=$$seed || exit 1; \
	done
	python results/measure.py --name notes-bilstm-defaults --config configs/notes/bilstm.yaml $(PATHS) \
		encoder.deviation=null encoder.unknown_rate=0.5 context.initial=orthogonal
	$(MAKE) results

results: ## docs/results.md and the table of docs/notes.md from results/*.json
	python results/render.py
