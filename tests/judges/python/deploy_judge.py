"""What others' checkers say of deploy/: hadolint of the Dockerfiles, Kubernetes' schemas of the manifests."""

import os
import pathlib
import subprocess
import sys
from importlib import metadata

import kubernetes_validate
import yaml
from judge import feature, run

DEPLOY = pathlib.Path(os.environ["DEPLOY"])
# Native sidecars came with 1.29.
KUBERNETES = ["1.29", "1.37"]


@feature("Dockerfiles")
def dockerfiles():
    files = sorted(str(file) for file in DEPLOY.rglob("*Dockerfile"))
    assert len(files) == 2, files
    hadolint = pathlib.Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, *files], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@feature("Kubernetes")
def kubernetes():
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes/legacy-app.yaml").read_text()))
    assert [document["kind"] for document in documents] == ["ServiceAccount", "ConfigMap", "Deployment"]
    for document in documents:
        for version in KUBERNETES:
            kubernetes_validate.validate(document, version, strict=True)


@feature("Kubernetes: a mistake is found")
def mistake():
    wrong = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "dataa": {}}
    try:
        kubernetes_validate.validate(wrong, KUBERNETES[0], strict=True)
    except kubernetes_validate.ValidationError:
        return
    raise AssertionError("an unknown field went through")


run(metadata.version("kubernetes-validate"))
