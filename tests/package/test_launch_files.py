"""The files in launch/ parse, and the commands in them are real ones with options that these know."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from seedstock import cli

FOLDER = Path(__file__).resolve().parents[2] / "launch"
SCRIPTS = sorted(FOLDER.glob("*.sbatch"))


def seedstock(words: list[str]) -> object:
    """The options of a command line from its word ``seedstock`` on; argparse ends the test where it does not parse."""
    return cli.parser().parse_args(words[words.index("seedstock") + 1 :])


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_slurm_script_parses_and_runs_a_real_command(path):
    subprocess.run(["bash", "-n", str(path)], check=True)
    text = path.read_text()
    assert text.startswith("#!/bin/bash\n")
    directives = re.findall(r"^#SBATCH (--[a-z-]+)=\S+$|^#SBATCH (--[a-z-]+)$", text, re.M)
    assert len(directives) == text.count("\n#SBATCH") > 4
    commands = [line for line in text.splitlines() if line.startswith("srun ")]
    assert len(commands) == 1
    words = [word for word in shlex.split(commands[0]) if word != "$@"]
    assert seedstock(words).run
    # What Slurm sends, every task must hear: the batch shell alone would leave the training running.
    assert "--signal=B:" not in text


def test_the_kubernetes_file_parses_and_runs_a_real_command():
    pytest.importorskip("torch")
    from torch.distributed.run import get_args_parser

    service, job = YAML(typ="safe").load_all((FOLDER / "kubernetes.yaml").read_text())
    assert (service["kind"], job["kind"], job["apiVersion"]) == ("Service", "Job", "batch/v1")
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    words = container["command"]
    assert words[0] == "torchrun"
    words = [word.replace("$(JOB_COMPLETION_INDEX)", "1") for word in words]  # which Kubernetes fills in
    asked = get_args_parser().parse_args(words[1:])
    assert asked.no_python and asked.training_script == "seedstock"
    assert int(asked.nnodes) == job["spec"]["completions"] == job["spec"]["parallelism"]
    assert int(asked.nproc_per_node) == container["resources"]["limits"]["nvidia.com/gpu"]
    # The first pod's name, by the Job's and the headless service's.
    assert asked.master_addr == f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    assert pod["subdomain"] == service["metadata"]["name"] and service["spec"]["clusterIP"] == "None"
    options = seedstock(words)
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {str(options.runs), str(Path(options.recipe).parent)} <= mounts
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
