PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin

.PHONY: run test lint fast clean

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
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow and not browser and not alone"

clean:
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
