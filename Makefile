# Every target sets up .venv by itself, from the locked versions.
PYTHON ?= python3
BIN := .venv/bin


.PHONY: demo run test fast engines lock docs-assets clean
.DELETE_ON_ERROR:

demo: .venv/ready  ## play honest and dishonest deliveries against a real service
	@$(BIN)/counterfoil demo

run: .venv/ready  ## leave a development service running, with the lines to paste
	@$(BIN)/counterfoil dev

test: .venv/ready  ## everything that CI runs
	@BIN=$(BIN) scripts/test

fast: .venv/ready  ## the tests alone, without the slow ones and without coverage
	@$(BIN)/python -m pytest tests -m "not slow"

engines:  ## set up what some tests need beside Python packages: the AWS emulator, the CDK
	@PYTHON=$(PYTHON) scripts/engines

COMPILE := $(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-emit-find-links --no-annotate --no-header

lock: .venv/ready  ## resolve the locked versions anew
	@$(BIN)/python -m pip install --quiet uv
	@$(COMPILE) --group dev pyproject.toml --output-file requirements.lock
	@$(COMPILE) infra/emulation/requirements.in --output-file infra/emulation/requirements.lock
	@$(COMPILE) infra/requirements.in --output-file infra/requirements.lock

docs-assets:  ## fetch the documentation page's library again
	@scripts/fetch-docs-assets

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Counterfoil needs Python 3.11 or newer")'
	@echo "Setting up .venv (once) ..."
	@$(PYTHON) -m venv --clear .venv
	@# The lock is whole, so there is nothing to resolve; a resolver reads an extra such as coverage[toml] as not locked.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip check --quiet --disable-pip-version-check
	@touch .venv/ready

clean:  ## forget .venv and what tools left behind
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* build dist
