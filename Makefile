# Two commands do everything, set-up included: `make demo` runs the study in miniature, `make test` the tests.
PYTHON ?= python3
DATA ?= ../shared/data
RUNS ?= runs
VENV := .venv
QALIGN := $(VENV)/bin/qalign
READY := $(VENV)/.ready
SITE_READY := $(VENV)/.site-ready
VLLM := .venv-vllm
VLLM_READY := $(VLLM)/.ready

.PHONY: demo sample test test-trackers test-neighbours test-vllm test-slurm test-ray hostile documents docs reference lint setup clean
.DELETE_ON_ERROR:

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "qalign needs Python 3.11 or newer; name one with PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY)
	$(QALIGN) demo --runs "$(RUNS)"

sample: $(READY)
	@test -d "$(DATA)/train" || { echo "make sample: no data at '$(DATA)'; give the folder with DATA=... (its layout: docs/data.md)" >&2; exit 2; }
	$(QALIGN) run monoreason qalign-mono --base tiny --scale sample --data "$(DATA)" --runs "$(RUNS)" \
	  --languages de,es,fr,ja,ru,sw,zh --tokens-per-micro-batch 2048 $(OPTIONS)

test: $(READY)
	QALIGN_DATA="$(abspath $(DATA))" $(VENV)/bin/python -m pytest -n 2 --dist worksteal

# Other software, each in an environment on top of that of .venv, for they need other versions of some packages. Not in .ci/run.
test-trackers: build/trackers/.ready
	build/trackers/bin/python -m pytest tests/training/test_reports.py

test-neighbours: build/neighbours/.ready
	QALIGN_DATA="$(abspath $(DATA))" build/neighbours/bin/python -m pytest tests/test_lm_eval.py

build/trackers/.ready: PACKAGES := wandb==0.31.0 mlflow-skinny==3.17.2 sqlalchemy==2.1.9 alembic==1.20.1 trackio==0.43.0
build/neighbours/.ready: PACKAGES := lm-eval==0.4.13
build/ray/.ready: PACKAGES := -c constraints.txt ray
build/trackers/.ready build/neighbours/.ready build/ray/.ready: $(READY)
	rm -rf $(@D)
	$(VENV)/bin/python -m venv $(@D)
	echo "import site; site.addsitedir('$$($(VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
	  > "$$($(@D)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/below.pth"
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check $(PACKAGES)
	@touch $@

# The real vLLM, on a CPU, in an environment of its own: about 4 GB.
test-vllm: $(VLLM_READY)
	$(VLLM)/bin/python -m pytest tests/real_vllm

$(VLLM_READY): pyproject.toml constraints.txt tests/real_vllm/environment.py
	$(PYTHON) tests/real_vllm/environment.py $(VLLM)
	@touch $@

# The tests that start a real Slurm or Ray here. Slurm is Debian's: a controller and two nodes, without systemd. It needs root.
test-slurm: $(READY)
	@test -x /usr/sbin/slurmd || { apt-get update && apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge; }
	QALIGN_CLUSTER=1 $(VENV)/bin/python -m pytest tests/cluster/test_slurm.py

test-ray: build/ray/.ready
	QALIGN_CLUSTER=1 build/ray/bin/python -m pytest tests/cluster/test_ray.py

hostile: $(READY)
	PYTHONPATH=tests $(VENV)/bin/python -m hostile --output "$(RUNS)/hostile" $(HOSTILE)

# What the documents name and the tests do not run: the sample with fewer steps and problems, and the world's corpora.
documents: $(READY)
	rm -rf build/documents
	$(QALIGN) world write build/documents/world --languages sw
	@if test -d "$(DATA)/train"; then $(MAKE) sample RUNS=build/documents/runs \
	  OPTIONS="--set training.max_steps=2 --set data.problems_per_language=2 --set generation.max_new_tokens=16"; \
	else echo "make documents: no data at '$(DATA)', so the sample is not run" >&2; fi

# The pages that are made from the code: docs/settings.md and docs/cli.md.
reference: $(READY)
	$(VENV)/bin/python docs/generate.py

# The site in build/site. A link or an anchor that leads nowhere is an error. Its generator is installed for this target alone.
docs: $(SITE_READY)
	$(VENV)/bin/python docs/site.py build/site-source
	$(VENV)/bin/zensical build --clean --strict

$(SITE_READY): $(READY)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

clean:
	rm -rf $(VENV) $(VLLM) .cache build dist
