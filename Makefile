# Every target sets up .venv by itself, from the locked versions.
PYTHON ?= python3
BIN := .venv/bin


.PHONY: demo run test checks fast adversity evidence-check mutants engines demo-aws cost bench bench-quick bench-long bench-lambda synth deploy destroy lock settings-page manual-page package docs-assets console-assets site clean
.DELETE_ON_ERROR:

demo: .venv/ready  ## play honest and dishonest deliveries against a real service
	@$(BIN)/counterfoil demo

run: .venv/ready  ## leave a development service running, with the lines to paste; RUN_OPTIONS="--port 0" takes a free port
	@$(BIN)/counterfoil dev $(RUN_OPTIONS)

test: .venv/ready  ## everything that CI runs
	@BIN=$(BIN) scripts/test

checks: .venv/ready  ## the static ones of them
	@BIN=$(BIN) CHECKS_ONLY=yes scripts/test

fast: .venv/ready  ## the tests alone, without the slow ones and without coverage
	@$(BIN)/python -m pytest tests -m "not slow"

adversity: .venv/ready engines  ## every campaign at full size (hours; goes on where it was cut off), then docs/evidence.md
	@$(BIN)/python -m tests.adversity.evidence

evidence-check: .venv/ready  ## play 20 random seeds of the published simulation again and compare
	@$(BIN)/python -m tests.adversity.evidence_check

mutants: .venv/ready  ## change the code that holds the promises in every small way and see tests fail (hours; goes on): docs/mutants.md
	@$(BIN)/python -m tests.adversity.mutants $(MUTANTS_OPTIONS)

engines:  ## set up what some tests need beside Python packages: the AWS emulator, the CDK, the packages' linters, a browser and its rules
	@PYTHON=$(PYTHON) scripts/engines

demo-aws: .venv/ready engines  ## the demo's story against the AWS stack, on an emulator
	@$(BIN)/python -m infra.emulation.demo

cost: .venv/ready engines  ## count the AWS calls of a transaction and write docs/cost.md
	@$(BIN)/python -m bench.cost >/dev/null

bench: .venv/ready  ## measure speed beside peers and write docs/performance.md (about half an hour, on a quiet machine)
	@PYTHON=$(PYTHON) scripts/engines bench
	@$(BIN)/python -m bench.performance $(BENCH_OPTIONS)

bench-quick: .venv/ready  ## the two headline ratios (a minute)
	@PYTHON=$(PYTHON) scripts/engines wrk
	@$(BIN)/python -m bench.performance --quick $(BENCH_OPTIONS)

bench-long: .venv/ready  ## growth to 10 million rows, memory over 10 million operations (hours; goes on where it was cut off)
	@PYTHON=$(PYTHON) scripts/engines bench
	@$(BIN)/python -m bench.growth $(BENCH_OPTIONS)

bench-lambda: .venv/ready engines  ## CPU time of a function's cold start, beside the sample's approach
	@PYTHON=$(PYTHON) scripts/engines sample
	@$(BIN)/python -m bench.lambda_start

# -- AWS: docs/operations.md says what each does --

INFRA_BUILD := infra/build
CDK_PYTHON := .engines/cdk/bin/python
CDK_CLI := infra/node_modules/.bin/cdk

synth: .venv/ready engines  ## the CloudFormation template, in infra/build/cdk.out
	@$(BIN)/python infra/package.py $(INFRA_BUILD)/package --architecture $$($(CDK_PYTHON) infra/setting.py deployment architecture) \
	    --python $$($(CDK_PYTHON) infra/setting.py deployment runtime | sed s/python//)
	@cd infra && JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=1 ../$(CDK_PYTHON) app.py
	@echo "synthesised into $(INFRA_BUILD)/cdk.out"

deploy: synth $(CDK_CLI)  ## deploy to the AWS account that the environment names
	@cd infra && node_modules/.bin/cdk deploy --app build/cdk.out --outputs-file build/outputs.json $(CDK_OPTIONS)

destroy: synth $(CDK_CLI)  ## take the stack down; tables and key stay, unless DELETE_DATA=yes
	@cd infra && node_modules/.bin/cdk destroy --app build/cdk.out $(CDK_OPTIONS)
	@if [ "$(DELETE_DATA)" = yes ]; then $(BIN)/python -m infra.delete_data infra/build/outputs.json; \
	    else echo "The tables and the key are retained; docs/operations.md says how to remove them too."; fi

$(CDK_CLI): infra/package.json infra/package-lock.json
	@cd infra && npm ci --silent --no-audit --no-fund && touch node_modules/.bin/cdk

COMPILE := $(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-emit-find-links --no-annotate --no-header

lock: .venv/ready  ## resolve the locked versions anew
	@$(BIN)/python -m pip install --quiet uv
	@$(COMPILE) --group dev pyproject.toml --output-file requirements.lock
	@$(COMPILE) pyproject.toml --constraint requirements.lock --output-file packaging/runtime.lock
	@$(COMPILE) packaging/console.in --constraint requirements.lock --output-file packaging/console.lock
	@$(COMPILE) packaging/builder.in --constraint requirements.lock --output-file packaging/builder.lock
	@$(COMPILE) .ci/uv.in --output-file .ci/uv.lock
	@$(COMPILE) packaging/tools.in --output-file packaging/tools.lock
	@$(COMPILE) infra/emulation/requirements.in --output-file infra/emulation/requirements.lock
	@$(COMPILE) infra/requirements.in --output-file infra/requirements.lock
	@$(COMPILE) bench/sample_approach.in --output-file bench/sample_approach.lock
	@$(COMPILE) bench/peers/requirements.in --output-file bench/peers/requirements.lock
	@$(COMPILE) bench/measuring.in --output-file bench/measuring.lock

settings-page: .venv/ready  ## docs/settings.md from the settings in the code
	@$(BIN)/python -m counterfoil.settings_page > docs/settings.md

SITE := build/site

site: .venv/ready  ## the documentation as a site, in build/site; a warning, such as of a broken link, is an error
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet --fresh-env --builder html docs $(SITE)
	@echo "open $(SITE)/index.html"

manual-page: .venv/ready  ## packaging/man/counterfoil.1 from the commands and settings in the code
	@$(BIN)/python -m counterfoil.entrypoints.manual_page > packaging/man/counterfoil.1

package: .venv/ready  ## wheel and sdist in dist, from a manual page and a settings page that are as the code is
	@$(BIN)/python -m pytest tests/packaging/test_manual_page.py tests/unit/test_settings.py -k "page_is_what_the_code_makes"
	@rm -rf dist
	@$(BIN)/python -m hatchling build
	@cp packaging/runtime.lock packaging/console.lock dist/

docs-assets:  ## fetch the documentation page's library again
	@scripts/fetch-docs-assets

console-assets:  ## fetch what the console vendors again, and compare it with its digests
	@scripts/fetch-console-assets

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Counterfoil needs Python 3.11 or newer")'
	@echo "Setting up .venv (once) ..."
	@PYTHON=$(PYTHON) scripts/environment .venv requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip check --quiet --disable-pip-version-check
	@touch .venv/ready

clean:  ## forget .venv and what tools left behind
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* build dist mutants
