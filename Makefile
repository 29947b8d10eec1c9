# The ways in: demo, test, lint, docs, suite, bench, soak, test-matrix. Each makes its own virtual environment first.

PYTHON ?= python3
DJANGO ?=
VENV ?= .venv$(addprefix -django-,$(DJANGO))
# More than a machine has cores: the tests wait for servers, timeouts and each other most of the time.
PYTEST_ARGS ?= --numprocesses=4
SUITE_ARGS ?=
DEMO_ARGS ?=
BENCH_ARGS ?=
SOAK_ARGS ?=
PAIRS ?= all
TARGETS ?= test

BIN = $(VENV)/bin
INSTALLED = $(VENV)/installed
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
REQUIREMENTS = $(if $(DJANGO),"Django==$(DJANGO).*") --group dev
WITHOUT_PYLIBMC = redis,memcached,lmdb,msgpack,zstd,lz4

.PHONY: help demo test suite suite-databases bench soak lint docs test-matrix clean

help:
	@echo "make demo         a blog on cacheplus: filled, warmed, changed, served (DEMO_ARGS=--no-serve: not served)"
	@echo "make test         the tests (PYTHON=python3.12 DJANGO=6.0 for another pair, PYTEST_ARGS=... for pytest)"
	@echo "make suite        Django's own cache tests against cacheplus (SUITE_ARGS='--areas locmem')"
	@echo "make bench        measures caches against each other (BENCH_ARGS='redis --only get')"
	@echo "make soak         faults at full size, against the figures of the promise (SOAK_ARGS='redis --only partition')"
	@echo "make lint         ruff and mypy"
	@echo "make docs         the documentation, into build/docs"
	@echo "make test-matrix  the tests on every pair of a Python that is here and a Django (PAIRS=ends: two of them)"

# pip reads dependency groups since 25.1. pylibmc compiles where it has no wheel and needs the headers of libmemcached:
# a laptop without them can do without, a CI run cannot.
$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --upgrade "pip>=25.1"
	$(PIP_INSTALL) --editable ".[all]" $(REQUIREMENTS) || { \
	  test -z "$(filter true 1,$(CI))" && \
	  echo "*** The install with every extra failed; trying without pylibmc (it wants libmemcached-dev). ***" && \
	  $(PIP_INSTALL) --editable ".[$(WITHOUT_PYLIBMC)]" $(REQUIREMENTS); }
	touch $@

demo: $(INSTALLED)
	$(BIN)/python manage.py demo $(DEMO_ARGS)

test: $(INSTALLED)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

suite: $(INSTALLED)
	$(BIN)/python -m tests.django_suite $(SUITE_ARGS)

suite-databases: $(INSTALLED)
	$(BIN)/python -m tests.django_suite --database postgres $(SUITE_ARGS)
	$(BIN)/python -m tests.django_suite --database mariadb $(SUITE_ARGS)

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

soak: $(INSTALLED)
	$(BIN)/python -m tests.faults $(SOAK_ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

test-matrix:
	$(PYTHON) .ci/matrix.py --pairs $(PAIRS) $(TARGETS)

clean:
	rm -rf .venv* build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
