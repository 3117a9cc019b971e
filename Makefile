# `make check` runs the checks of CI in the active environment.
.PHONY: check format lint types test test-thorough schema site documents sample results figures
.PHONY: figures-tasks crashes experiments gate reliability
.PHONY: bench bench-short bench-environments bench-models bench-extra

check: lint types schema test

lint:
	ruff check .
	ruff format --check .
	python tools/check_language.py

format:
	ruff check --fix .
	ruff format .

types:
	mypy

test:
	pytest

test-thorough: ## also long tests, and those that repeat others with further settings
	pytest --thorough

schema: ## fail if a generated file is out of date
	ner schema | diff -q configs/schema.json - || (echo "run: make documents"; exit 1)
	ner schema --markdown | diff -q docs/configuration.md - || (echo "run: make documents"; exit 1)
	python results/render.py --check || (echo "run: make results"; exit 1)
	python benchmarks/render.py --check || (echo "run: python benchmarks/render.py"; exit 1)

site: ## build the documentation site and run its code blocks (extra docs)
	mkdocs build --strict --site-dir build/site
	python tools/run_documentation.py

documents:
	ner schema > configs/schema.json
	ner schema --markdown > docs/configuration.md

sample: ## regenerate the bundled corpora
	python data/sample/generate.py
	python data/sample/convqa/generate.py
	python data/sample/intent/generate.py
	python data/sample/reviews/generate.py

# Results of docs/results.md. CONLL is the folder of the two-column files. One thread each; about eight hours in total.
CONLL ?= data/conll2003
PATHS = data.train=$(CONLL)/train.txt data.valid=$(CONLL)/valid.txt data.test=$(CONLL)/test.txt

figures:
	for config in conll2003/bilstm_crf conll2003/minilm_crf conll2003/minilm_fast notes/bilstm notes/wordpiece_bilstm; do \
		python results/measure.py --config configs/$$config.yaml $(PATHS) || exit 1; \
	done
	for seed in 2 3 4 5; do \
		for config in conll2003/bilstm_crf conll2003/minilm_crf; do \
			python results/measure.py --config configs/$$config.yaml $(PATHS) seed=$$seed || exit 1; \
		done || exit 1; \
	done
	for seed in 2 3; do \
		python results/measure.py --config configs/conll2003/minilm_fast.yaml $(PATHS) seed=$$seed || exit 1; \
	done
	python results/learning_curve.py --train $(CONLL)/train.txt --test $(CONLL)/test.txt
	for seed in 2 3 4 5; do \
		python results/measure.py --config configs/notes/bilstm.yaml $(PATHS) seed=$$seed || exit 1; \
	done
	python results/measure.py --name notes-bilstm-defaults --config configs/notes/bilstm.yaml $(PATHS) \
		encoder.init_std=null encoder.singleton_unk_rate=0.5 context.init=orthogonal
	$(MAKE) results

# Results of the other corpora and tasks. DATA contains the folders weibo, cluener, atis, chnsenticorp, cmrc2018 and
# vectors of data/README.md. One thread each; about eight hours in total.
DATA ?= data
CHARACTERS = encoder.vectors=$(DATA)/vectors/tencent_char.200d.npz
MEASURE = python results/measure.py --config configs

figures-tasks:
	for seed in 1 2 3; do \
		$(MEASURE)/weibo/bilstm_crf.yaml data.train=$(DATA)/weibo/weiboNER_2nd_conll.train \
			data.valid=$(DATA)/weibo/weiboNER_2nd_conll.dev data.test=$(DATA)/weibo/weiboNER_2nd_conll.test \
			$(CHARACTERS) seed=$$seed && \
		$(MEASURE)/cluener/bilstm_crf.yaml data.train=$(DATA)/cluener/train.json data.test=$(DATA)/cluener/dev.json \
			$(CHARACTERS) seed=$$seed && \
		for model in bilstm minilm; do \
			$(MEASURE)/atis/$${model}_joint.yaml data.train=$(DATA)/atis/train data.valid=$(DATA)/atis/dev \
				data.test=$(DATA)/atis/test seed=$$seed || exit 1; \
		done || exit 1; \
	done
	python results/measure.py --name one_recipe/weibo --config configs/conll2003/bilstm_crf.yaml \
		data.train=$(DATA)/weibo/weiboNER_2nd_conll.train data.valid=$(DATA)/weibo/weiboNER_2nd_conll.dev \
		data.test=$(DATA)/weibo/weiboNER_2nd_conll.test data.format.name=conll data.format.strip_position_digit=true \
		data.word_split=characters
	python results/measure.py --name one_recipe/atis --config configs/conll2003/bilstm_crf.yaml \
		data.train=$(DATA)/atis/train data.valid=$(DATA)/atis/dev data.test=$(DATA)/atis/test \
		data.format.name=slot_filling
	python results/measure.py --name one_recipe/cluener --config configs/conll2003/bilstm_crf.yaml \
		data.train=$(DATA)/cluener/train.json data.valid=null data.test=$(DATA)/cluener/dev.json \
		data.format='{name: jsonl, spans: label, end: inclusive, on_misaligned: expand}' data.word_split=characters \
		training.keep_epoch=last
	$(MEASURE)/chnsenticorp/bilstm.yaml --unseen data.train=$(DATA)/chnsenticorp/train.tsv \
		data.valid=$(DATA)/chnsenticorp/dev.tsv data.test=$(DATA)/chnsenticorp/test.tsv $(CHARACTERS)
	$(MEASURE)/cmrc2018/minilm.yaml data.train=$(DATA)/cmrc2018/cmrc2018_trial.json \
		data.test=$(DATA)/cmrc2018/cmrc2018_dev.json training.precision=bf16
	for config in notes/intent notes/intent_rates; do $(MEASURE)/$$config.yaml || exit 1; done
	for config in convqa/minilm convqa/generator notes/unilm; do \
		$(MEASURE)/$$config.yaml training.precision=bf16 || exit 1; \
	done
	python results/notes_answers.py training.precision=bf16
	$(MAKE) results

# Experiments of docs/training.md. WEIBO contains train.conll, valid.conll and test.conll without
# position digits; two hours in total.
WEIBO ?= data/weibo

crashes:
	rm -f results/training/crashes.json
	python results/crashes.py
	python results/render.py

reliability: ## experiments of docs/reliability.md, about an hour
	for name in $(basename $(notdir $(filter-out %/__init__.py %/report.py %/test_%,$(wildcard tests/reliability/*.py)))); do \
		python -m tests.reliability.$$name; \
	done
	python results/render.py

gate: ## results/gate/sample.json: thresholds of the sample configurations and what they detect; about half an hour
	python results/gate.py train

experiments:
	rm -f results/training/regularisation.json
	python results/notes_training.py
	python results/regularisation.py --data $(WEIBO)
	python benchmarks/large_training.py --train
	$(MAKE) results

results: ## update docs/results.md and the tables of docs/notes.md and docs/training.md
	python results/render.py

# Benchmarks of docs/performance.md. CONLL as above; one thread; an hour and a half on an idle machine, after
# bench-environments (a few minutes) and bench-models (an hour and a half of training).
BENCH = crf finetuning finetuning_alike bilstm_training bilstm_tagging encoder_tagging scoring reading startup arithmetic compiling
SHORT = crf scoring reading startup
SYSTEMS = benchmarks/systems
VENV = benchmarks/.venv
MODELS = benchmarks/models
ENCODER = $(shell python -c "from ner.model.pretrained import resolve; print(resolve('all-MiniLM-L6-v2'))")

bench-environments:
	for name in hf flair spacy; do \
		python -m venv $(VENV)/$$name && \
		$(VENV)/$$name/bin/pip install -q -r benchmarks/requirements-$$name.txt || exit 1; \
	done

bench-models: export OMP_NUM_THREADS = 1
bench-models:
	python train.py --config configs/conll2003/bilstm_crf.yaml $(PATHS) --run $(MODELS)/bilstm_crf
	ner export --run $(MODELS)/bilstm_crf --output $(MODELS)/bilstm_crf_fp32
	for name in minilm_crf minilm_fast; do \
		python train.py --config configs/conll2003/$$name.yaml $(PATHS) --run $(MODELS)/$$name && \
		ner export --run $(MODELS)/$$name --output $(MODELS)/$${name}_int8 --precision int8 || exit 1; \
	done
	python train.py --config configs/bert_crf.yaml --run $(MODELS)/bert_crf
	ner export --run $(MODELS)/bert_crf --output $(MODELS)/bert_crf_int8 --precision int8
	$(VENV)/spacy/bin/python $(SYSTEMS)/spacy_ner.py train $(CONLL)/train.txt $(CONLL)/valid.txt $(CONLL)/test.txt $(MODELS)/spacy
	$(VENV)/flair/bin/python $(SYSTEMS)/flair_tagger.py train $(CONLL)/train.txt $(CONLL)/valid.txt $(CONLL)/test.txt $(MODELS)/flair 12
	$(VENV)/hf/bin/python $(SYSTEMS)/hf.py train $(ENCODER) $(CONLL)/train.txt $(CONLL)/test.txt $(MODELS)/hf

bench:
	for name in $(BENCH); do python benchmarks/run.py $$name --conll $(CONLL) || exit 1; done
	$(MAKE) bench-extra
	python benchmarks/chart.py
	python benchmarks/render.py

bench-extra: ## benchmarks without a baseline
	python benchmarks/trained.py
	python benchmarks/accuracy.py
	python benchmarks/flops.py
	python benchmarks/growth.py
	python benchmarks/time_to_score.py --conll $(CONLL)
	python benchmarks/latency.py --run $(MODELS)/bilstm_crf --export $(MODELS)/bilstm_crf_fp32 \
		--spacy $(MODELS)/spacy/model-best --test $(CONLL)/test.txt
	python benchmarks/export.py conll2003/minilm_crf=$(MODELS)/minilm_crf=$(CONLL)/test.txt \
		conll2003/minilm_fast=$(MODELS)/minilm_fast=$(CONLL)/test.txt --pipeline conll2003/minilm_crf
	python benchmarks/raw_text.py --run $(MODELS)/bilstm_crf $(CONLL)/test.txt
	python benchmarks/large_file.py --run $(MODELS)/bilstm_crf --source $(CONLL)/train.txt

bench-short: ## short benchmarks of CI; half of each goal is required
	for name in $(SHORT); do python benchmarks/run.py $$name --short --check || exit 1; done
