# make demo    the environment, the whole grid on the embedded demo, and its report
# make test    the environment, and every test
# make doctor  what is there, missing and needed, before a long run; ARGS="--hashes" reads
#              the files, ARGS="--configfile mine.yaml" looks at another configuration
# make help    these lines
# make clean   what the demo made; make distclean: the environment as well
#
# PYTHON=python3.12 chooses the Python (3.11 or later) that makes the environment, CORES
# the cores that the demo takes.

.DEFAULT_GOAL := help
CORES ?= all
VENV := .venv
SNAKEMAKE := $(VENV)/bin/snakemake --workflow-profile profiles/demo
CANDIDATES := $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14)
RECENT := import sys; sys.exit(sys.version_info < (3, 11))
# The first candidate that is recent enough; looked for only if the environment is made.
FOUND = $(firstword $(foreach python,$(CANDIDATES),$(shell \
	$(python) -c '$(RECENT)' 2>/dev/null && echo $(python))))
NO_PYTHON = no Python 3.11 or later among: $(CANDIDATES). Install one, or name it: \
	make PYTHON=/path/to/python3

.PHONY: help demo test doctor clean distclean

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/run.stamp
	$(SNAKEMAKE) --cores $(CORES) --logger rich
	@$(SNAKEMAKE) --cores 1 --quiet all --report results/demo/report.html
	@echo "All of it on one page, in a browser: results/demo/report/index.html"
	@echo "The same in Snakemake's report, in a browser: results/demo/report.html"

test: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n auto --maxprocesses 4 \
		--dist loadfile --no-loadscope-reorder

doctor: $(VENV)/run.stamp
	@PYTHONPATH=workflow $(VENV)/bin/python -m mlrpl doctor $(ARGS)

# A stamp is older than its requirements only if these have changed.
$(VENV)/run.stamp: envs/requirements.txt
	$(if $(FOUND),,$(error $(NO_PYTHON)))
	$(FOUND) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --requirement $<
	$(VENV)/bin/python -m pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/test.stamp: envs/requirements-test.txt $(VENV)/run.stamp
	$(VENV)/bin/python -m pip install --quiet --requirement $<
	touch $@

clean:
	rm -rf results/demo logs/demo

distclean: clean
	rm -rf $(VENV)
