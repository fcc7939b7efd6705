"""The manifest for KubeRay has no field that the operator or Kubernetes does not know."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")
kubernetes_validate = pytest.importorskip("kubernetes_validate")

PAGE = Path(__file__).parent.parent / "docs" / "running.md"
KUBERNETES = "1.30"
JOB = {
    "activeDeadlineSeconds", "backoffLimit", "clusterSelector", "deletionStrategy", "entrypoint",
    "entrypointNumCpus", "entrypointNumGpus", "entrypointResources", "jobId", "managedBy",
    "metadata", "rayClusterSpec", "runtimeEnvYAML", "shutdownAfterJobFinishes", "submissionMode",
    "submitterConfig", "submitterPodTemplate", "suspend", "ttlSecondsAfterFinished",
}  # fmt: skip
CLUSTER = {
    "authOptions", "autoscalerOptions", "enableInTreeAutoscaling", "headGroupSpec",
    "headServiceAnnotations", "rayVersion", "suspend", "workerGroupSpecs",
}  # fmt: skip
HEAD = {"enableIngress", "headService", "rayStartParams", "serviceType", "template"}
WORKERS = {
    "groupName", "maxReplicas", "minReplicas", "numOfHosts", "rayStartParams", "replicas",
    "scaleStrategy", "template",
}  # fmt: skip


@pytest.fixture
def manifest() -> dict:
    (text,) = re.findall(r"```yaml\n(apiVersion: ray\.io/v1.*?)```", PAGE.read_text(), re.DOTALL)
    return yaml.safe_load(text)


def pod_of(template: dict) -> dict:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": template["spec"]}


def test_the_operator_knows_every_field(manifest):
    cluster = manifest["spec"]["rayClusterSpec"]
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayJob")
    assert manifest["spec"].keys() <= JOB and cluster.keys() <= CLUSTER
    assert cluster["headGroupSpec"].keys() <= HEAD
    for group in cluster["workerGroupSpecs"]:
        assert group.keys() <= WORKERS and {"groupName", "rayStartParams", "template"} <= set(group)
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    assert "dashboard-host" not in cluster["headGroupSpec"]["rayStartParams"], "jobs come that way"


def test_kubernetes_knows_every_field_of_the_pods(manifest):
    cluster = manifest["spec"]["rayClusterSpec"]
    groups = (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])
    for group in groups:
        kubernetes_validate.validate(pod_of(group["template"]), KUBERNETES, strict=True)
        mounts = {m["name"] for c in group["template"]["spec"]["containers"]
                  for m in c["volumeMounts"]}  # fmt: skip
        assert mounts == {volume["name"] for volume in group["template"]["spec"]["volumes"]}
    wrong = pod_of(groups[0]["template"])
    wrong["spec"]["volumess"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


def test_the_command_fits_the_cluster(manifest):
    cluster, command = manifest["spec"]["rayClusterSpec"], manifest["spec"]["entrypoint"]
    (group,) = cluster["workerGroupSpecs"]
    gpus = int(group["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"])
    assert f"--gpus {gpus * group['replicas']}" in command and "--address auto" in command
