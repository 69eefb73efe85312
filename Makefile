PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin

.PHONY: run test lint fast coverage mutants fuzz figures lock audit licences sbom clean

# Set up, run the main job on the embedded sample week, open the review page.
run:
	@$(PYTHON) tools/bootstrap.py run
	@$(BIN)/kiemchung demo --port $(PORT)

# Set up with the development set and run everything that CI runs.
test:
	@$(PYTHON) tools/bootstrap.py test
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python tools/run_tests.py

lint:
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# The tests of a few seconds, for every save.
fast:
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow and not browser and not alone"

# Which lines and branches the tests reach, by package; TESTS names a part of them.
TESTS ?= tests
coverage:
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not browser and not alone" $(TESTS) \
	    --cov --cov-report=json:var/coverage.json
	@$(BIN)/python tools/covered.py var/coverage.json

# How many small faults the tests of the six watched modules find; minutes each.
mutants:
	@$(BIN)/python tools/mutate.py --sample 60

# The long runs of CI's fuzz and stateful tests.
fuzz:
	@PYTHONPATH=. $(BIN)/python benchmarks/fuzz.py --inputs 1000000
	@PYTHONPATH=. $(BIN)/python benchmarks/stateful.py --steps 10000

# Hold the figures of the docs against the stored results; CONTRIBUTING says how to measure anew.
figures:
	@$(BIN)/python tools/figures.py

# Pin every package anew, with hashes; needs uv. UPGRADE=1 takes the newest versions.
lock:
	@$(PYTHON) tools/lock.py $(if $(UPGRADE),--upgrade)

# Known vulnerabilities of every locked package, and bandit. Exit 3: nobody could be asked.
audit:
	@test -x .venv-audit/bin/python || $(PYTHON) -m venv .venv-audit
	@.venv-audit/bin/python -m pip install --quiet --require-hashes -r requirements/audit.txt
	@.venv-audit/bin/python tools/audit.py

licences:
	@$(BIN)/python tools/licences.py

# What is inside, for other people's scanners: dist/sbom.json in CycloneDX.
sbom:
	@mkdir -p dist
	@.venv-audit/bin/cyclonedx-py requirements requirements/default.txt --pyproject pyproject.toml \
	    --output-reproducible --of JSON -o dist/sbom.json

clean:
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
