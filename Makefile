# make demo    the environment, the whole grid on the embedded demo, and its report
# make test    the environment, and every test
# make doctor  what is there, missing and needed, before a long run; ARGS="--hashes" reads
#              the files, ARGS="--configfile mine.yaml" looks at another configuration
# make clean   what the demo made; make distclean: the environment as well
#
# PYTHON=python3.12 chooses the Python (3.11 or later) that makes the environment, CORES
# the cores that the demo takes.

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

.PHONY: demo test doctor clean distclean

demo: $(VENV)/run.stamp
	$(SNAKEMAKE) --cores $(CORES)
	$(SNAKEMAKE) --cores 1 --report results/demo/report.html
	@echo
	@echo "Tables    results/demo/tables/     table2, table3, table4 (.md .csv .tex), metrics.csv"
	@echo "Figures   results/demo/figures/    figure4, figure7, figure8 (.png .pdf)"
	@echo "Ablations results/demo/ablations/  pooled, transfer (.md .csv .tex)"
	@echo "All of it on one page, in a browser: results/demo/report.html"

test: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile

doctor: $(VENV)/run.stamp
	@PYTHONPATH=workflow $(VENV)/bin/python -m mlrpl doctor $(ARGS)

# A stamp is older than its requirements only if these have changed.
$(VENV)/run.stamp: envs/requirements.txt
	$(if $(FOUND),,$(error $(NO_PYTHON)))
	$(FOUND) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --requirement $<
	touch $@

$(VENV)/test.stamp: envs/requirements-test.txt $(VENV)/run.stamp
	$(VENV)/bin/python -m pip install --quiet --requirement $<
	touch $@

clean:
	rm -rf results/demo logs/demo

distclean: clean
	rm -rf $(VENV)
