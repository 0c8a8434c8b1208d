# make run        bring the whole chain up to date and show the win-rates
# make test       all tests
# make test-fast  those that start no server and take no more than some seconds each
# make check      formatting, lint, types, import layers
# make wheel      builds the wheel and uses it in a clean environment as the README shows
# make docs       the site, in build/site; a dead link or a request to another host is an error
# make lint-files workflows, container files, shell scripts, schemas
# make licences   docs/licences.md, from what is installed
# Each makes the environment in .venv first, once for every requirements.lock; tests and checks add requirements-dev.lock.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := run
.DELETE_ON_ERROR:
.PHONY: run test test-fast check docs lint-files licences format install system browser postgres lock lock-tools wheel \
	clean

VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	if command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))'; \
	then command -v $$p; break; fi; done)
# where the environment stands is part of the key: environments cannot be moved
KEY := $(shell (pwd; cat requirements.lock requirements-cuda.lock pyproject.toml) | sha256sum | cut -c1-16)
STAMP := $(VENV)/.installed-$(KEY)
# what tests and checks need comes on top of what runs, when one of them is called first
DEV := $(VENV)/.dev-$(shell (pwd; cat requirements.lock requirements-dev.lock pyproject.toml) | sha256sum | cut -c1-16)
UV := build/uv/bin/uv

# $(call apt,PACKAGES) installs Debian packages as root or with a sudo that asks nothing; otherwise it fails
apt = if [ "$$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo="sudo -n"; else false; fi \
	&& command -v apt-get >/dev/null \
	&& { $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(1) \
	  || { $$sudo apt-get update -q \
	    && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(1); }; }

run: install
	@$(PY) -m verdict3d run

# Files are spread over the cores, the long ones first (tests/conftest.py says which), and tests come in a new
# order every time; the head says the seed. `-p no:randomly` keeps the order, `PYTEST_OPTIONS=-n0` one process.
# There is one process more than cores, up to four: those that wait for servers leave theirs to the others.
WORKERS = $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 4 ? cores + 1 : 4)))
PYTEST = $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --randomly-dont-reset-seed
PYTEST_OPTIONS ?=

test: install $(DEV) browser postgres
	@$(PYTEST) $(PYTEST_OPTIONS)

test-fast: install $(DEV) browser
	@$(PYTEST) -m "not services and not slow" $(PYTEST_OPTIONS)

check: install $(DEV)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) $(VENV)/bin/lint-imports

# what mkdocs and the linters need comes on top of the environment, when one of them is called first
TOOLS := $(VENV)/.tools-$(shell (pwd; cat requirements.lock requirements-tools.lock) | sha256sum | cut -c1-16)

$(TOOLS): requirements-tools.lock | install
	$(PY) -m pip install -q --require-hashes -r requirements-tools.lock
	@rm -f $(VENV)/.tools-*; touch $@

docs: install $(TOOLS)
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

# nothing is asked of other hosts: schemas and rules are those of the tools
lint-files: install $(TOOLS)
	$(VENV)/bin/shellcheck .ci/run containers/start.sh containers/cluster/slurm.sh
	$(VENV)/bin/hadolint containers/Dockerfile
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec containers/compose*.yaml
	$(VENV)/bin/zizmor --offline --persona pedantic --quiet .github
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

licences: install $(DEV) $(TOOLS)
	$(PY) docs/licences.py

format: install $(DEV)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

install: system $(STAMP)

# the renderer draws through EGL; without a GPU Mesa does it in software
system:
	@missing=(); \
	ldconfig -p 2>/dev/null | grep -q 'libEGL\.so\.1' || missing+=(libegl1); \
	ldconfig -p 2>/dev/null | grep -q 'libGL\.so\.1' || missing+=(libgl1); \
	compgen -G '/usr/lib*/*/dri/*_dri.so' >/dev/null || compgen -G '/usr/lib*/*/libgallium*' >/dev/null \
	  || compgen -G '/usr/lib*/dri/*_dri.so' >/dev/null \
	  || ldconfig -p 2>/dev/null | grep -q 'libEGL_nvidia' || missing+=(libgl1-mesa-dri); \
	if [ "$${#missing[@]}" -gt 0 ]; then \
	  echo "installing $${missing[*]}"; \
	  { $(call apt,$${missing[*]}); } || { echo; \
	    echo "OpenGL is missing and cannot be installed from here. Type:"; \
	    echo "    sudo apt-get update && sudo apt-get install -y libegl1 libgl1 libgl1-mesa-dri"; exit 1; } >&2; \
	fi

$(DEV): requirements-dev.lock | install
	$(PY) -m pip install --quiet --require-hashes --no-deps -r requirements-dev.lock
	$(PY) -m pip check
	@rm -f $(VENV)/.dev-*; touch $@

# some tests open pages in Chromium; they say why they were skipped where there is none
browser:
	@if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null \
	    && ! command -v google-chrome >/dev/null; then \
	  { $(call apt,chromium); } >/dev/null 2>&1 \
	    || echo "no Chromium, and it cannot be installed from here: the tests that open pages are skipped"; \
	fi

# one test runs MLflow and Prefect on PostgreSQL; it says why it was skipped where there is none
postgres:
	@compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null \
	  || { $(call apt,postgresql); } >/dev/null 2>&1 \
	  || echo "no PostgreSQL, and it cannot be installed from here: the test that runs on it is skipped"

$(STAMP): | system
	@if [ -z "$(PYTHON)" ]; then \
	  echo "Python 3.11 or newer is needed. Type:  sudo apt-get install -y python3 python3-venv" >&2; exit 1; fi
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { $(call apt,python3-venv); } || { \
	  echo "Python cannot make environments here. Type:  sudo apt-get install -y python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@# pip takes what an index names by hash before a file in --find-links, so a build of torch there comes first
	@sed -n '/^torch==/,/[^\\]$$/p' requirements.lock > $(VENV)/torch.txt
	$(PY) -m pip install --quiet --no-index --require-hashes --no-deps -r $(VENV)/torch.txt 2>/dev/null || true
	$(PY) -m pip install --require-hashes --no-deps -r requirements.lock
	case "$$($(PY) -c 'from importlib.metadata import version; print(version("torch"))')" in *+cpu) ;; \
	  *) $(PY) -m pip install --require-hashes --no-deps -r requirements-cuda.lock ;; esac
	$(PY) -m pip install --no-deps --no-build-isolation -e .
	$(PY) -m pip check
	@rm -f $(VENV)/.installed-*; touch $@

# writes down what is installed, with the hashes of all files of each version: requirements.lock, -dev and -cuda
lock: install $(DEV) $(UV)
	$(PY) .ci/lock.py $(UV)

$(UV): | install
	$(PY) -m venv build/uv
	build/uv/bin/python -m pip install -q uv

# builds the wheel, and uses it in an environment of its own as the README shows
wheel: install
	rm -rf build/lib build/bdist.* dist
	$(PY) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	$(PY) .ci/wheel.py dist/*.whl

# the same for requirements-tools.lock, with uv, which finds the digests of every platform's files
lock-tools: install $(UV)
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --custom-compile-command 'make lock-tools' --constraint requirements.lock --group tools -o requirements-tools.lock

# what tools leave behind; results (data, mlflow.db, mlruns, .dvc/cache) and the environment stay
clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find verdict3d tasks flows tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
