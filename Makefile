# Everything a user or developer does. `make help` lists it.
# PYTHON may name another interpreter (3.11 or newer): make PYTHON=python3.12 setup

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVERS := .servers

# As in kiosk/cli: children that are started must not be ended by gRPC before they begin.
export GRPC_ENABLE_FORK_SUPPORT := 0

.DEFAULT_GOAL := help
.PHONY: burst test-monitoring page test-page test-browser screenshots help setup setup-formats setup-train test-train demo up test test-all lint bench bench-measure bench-slide bench-volumes bench-linking chaos chaos-short compare fuzz fuzz-coverage audit protos lock train clean simulate

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.done $(SERVERS)/.done ## make .venv (the kiosk) and .servers (Triton, Redis)

$(VENV)/.done: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "The kiosk needs Python 3.11 or newer; this is $$($(PYTHON) -V). Try make PYTHON=python3.12 setup"; exit 1; }
	@echo "Setting up $(VENV): the kiosk and what its tests need (a few minutes the first time)"
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(SERVERS)/.done: deploy/servers/install.py deploy/servers/requirements.lock
	@echo "Setting up $(SERVERS): Triton Inference Server and Redis (a few minutes the first time)"
	@$(PYTHON) deploy/servers/install.py $(SERVERS)
	@touch $@

demo: setup ## start a kiosk, segment a sample movie, print the figures, stop it
	@$(BIN)/kiosk demo

up: setup ## start a kiosk and keep it running until Ctrl-C
	@$(BIN)/kiosk up

test: setup ## all tests but the slow ones
	@$(BIN)/python -m pytest -m "not slow"

test-all: setup ## all tests
	@$(BIN)/python -m pytest

frontend/node_modules: frontend/package-lock.json
	@command -v npm >/dev/null || { echo "The page is built with Node.js 20 or newer: https://nodejs.org"; exit 1; }
	@npm --prefix frontend ci --no-audit --no-fund --loglevel=error
	@touch $@

page: frontend/node_modules ## build the web page anew after a change in frontend/src (needs Node.js)
	@npm --prefix frontend run --silent build

test-page: frontend/node_modules ## types and tests of the page, and whether the built page is made of its sources
	@npm --prefix frontend run --silent build
	@npm --prefix frontend test --silent
	@test -z "$$(git status --porcelain -- frontend/dist)" || { echo "frontend/dist was not built anew: make page, and commit it"; exit 1; }

test-browser: setup frontend/node_modules ## the page in Chromium against a real kiosk (apt-get install chromium)
	@npm --prefix frontend run --silent test:browser

screenshots: setup frontend/node_modules ## a picture of every page into frontend/screenshots, light, dark and narrow
	@SCREENSHOTS=1 npm --prefix frontend run --silent test:browser -- screenshots

lint: setup ## style, types and layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

chaos: setup ## a whole kiosk under random kills and stops; SEED=number; 6 to 9 minutes
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),1)

chaos-short: setup ## a minute of it, as in make test
	@$(BIN)/python -m tests.chaos --short --seed $(or $(SEED),1)

bench: setup ## the kiosk against bare ONNX Runtime, in one run
	@$(BIN)/python tests/benchmarks/bench.py

bench-slide: setup ## a 20,000 x 20,000 plane: memory of the consumer, s per gigapixel, seams (half an hour)
	@$(BIN)/python tests/benchmarks/slides.py

bench-measure: setup ## the table of 8,000 cells against scikit-image's regionprops, in one run
	@$(BIN)/python tests/benchmarks/measurements.py

bench-volumes: setup ## a z-stack of 5,000 cells joined to volumes and measured: F1, seconds, memory
	@$(BIN)/python -m tests.benchmarks.volumes

bench-linking: setup ## linking of sequences with truth: DATA=folder of sequences; speed of long made-up movies
	@$(BIN)/python -m tests.benchmarks.linking --growth --model model_repository/linking/1/model.onnx $(if $(DATA),--data $(DATA))

burst: setup ## the autoscaler follows a burst of jobs on this machine: burst.csv and burst.png
	@$(BIN)/python -m tests.burst

test-monitoring: ## dashboard and alert rules against a real Prometheus that watches a real kiosk
	@test -x $(BIN)/python -a -e $(SERVERS)/servers.json || { echo "The kiosk is not set up: make setup"; exit 1; }
	@for tool in prometheus promtool; do command -v $$tool >/dev/null \
	  || { echo "$$tool is missing. On Debian and Ubuntu: apt-get install prometheus (and stop its service)"; exit 1; }; done
	@$(BIN)/python -m pytest tests/guards/test_monitoring.py tests/integration/test_alerts.py tests/integration/test_prometheus.py

simulate: setup ## four days and weeks of work under five scaling policies: waits, GPU hours, dollars, pictures in simulation/
	@$(BIN)/kiosk simulate --out simulation

load: setup ## jobs per second, latency under watchers, memory of 100,000 jobs; arq and taskiq beside it
	@test -d .venv-load || $(PYTHON) -m venv .venv-load
	@.venv-load/bin/pip install --quiet --disable-pip-version-check -r tests/load/requirements.txt
	@$(BIN)/python -m tests.load --peers .venv-load/bin/python

compare: ## our post-processing beside other libraries'; DATA=folder of labelled images adds real maps
	@test -d .venv-compare || $(PYTHON) -m venv .venv-compare
	@.venv-compare/bin/pip install --quiet -r requirements.lock
	@.venv-compare/bin/pip install --quiet --no-deps -r tests/comparison/requirements.txt
	@.venv-compare/bin/pip install --quiet --no-deps --no-build-isolation --ignore-requires-python \
	  deepcell-toolbox==0.12.1 || echo "deepcell-toolbox cannot be installed here; it is left out"
	@.venv-compare/bin/python -m tests.comparison.compare $(if $(DATA),--data $(DATA))

fuzz: setup ## hostile uploads and requests for SECONDS (300): inputs, errors by reason, crashes, slowest
	@$(BIN)/python tests/fuzz/fuzzing.py --seconds $(or $(SECONDS),300) $(if $(SEED),--seed $(SEED)) --keep fuzz-found
	@HYPOTHESIS_PROFILE=search $(BIN)/python -m pytest -s --timeout 3600 tests/unit/test_api_at_random.py

fuzz-coverage: setup ## the same in one process, led by coverage (atheris), for SECONDS (300)
	@$(BIN)/pip install --quiet atheris
	@$(BIN)/python tests/fuzz/coverage_guided.py -max_total_time=$(or $(SECONDS),300)

audit: setup ## whether a pinned version has a known vulnerability; asks the Python Package Index's advisories
	@$(BIN)/pip-audit --strict --disable-pip --no-deps -r requirements.lock -r requirements-formats.lock

protos: setup ## generate kiosk/_proto from protos/
	@$(BIN)/python -m grpc_tools.protoc -I kiosk/_proto=protos/kiosk/v1 --python_out=. --grpc_python_out=. --pyi_out=. kiosk/_proto/kiosk.proto

lock: setup ## pin the newest versions that pyproject.toml allows
	@$(BIN)/pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes --extra dev pyproject.toml --upgrade -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes --extra formats -c requirements.lock pyproject.toml --upgrade -o requirements-formats.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes --extra cluster -c requirements.lock pyproject.toml --upgrade -o requirements-cluster.lock

setup-formats: $(VENV)/.formats ## add to .venv the readers of CZI, ND2 and LIF

$(VENV)/.formats: $(VENV)/.done requirements-formats.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-formats.lock
	@touch $@

setup-train: $(VENV)/.train ## add to .venv what training needs (PyTorch)

$(VENV)/.train: $(VENV)/.done training/requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check -r training/requirements.lock
	@touch $@

train: setup-train ## train a model; DATA="folder ..." of labelled images, OUT=where the run is kept
	@$(BIN)/python -m training.train --data $(DATA) --out $(OUT) $(ARGS)

test-train: setup-train ## tests of the training code, which need PyTorch
	@$(BIN)/python -m pytest tests/training

clean: ## remove what setup and demo have made
	rm -rf $(VENV) .venv-compare $(SERVERS) demo
