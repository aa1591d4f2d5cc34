"""The Kubernetes manifests: schemas, linters, their own agreement, and their Secrets as the kubelet lays them out."""

import os
import re
import signal
import socket
import ssl
import stat
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from counterfoil import Client
from counterfoil.listening import refuse_clear_text
from counterfoil.private_file import PrivateFileProblem, read_private_json
from counterfoil.settings import Settings, load_settings
from counterfoil.version import __version__
from tests.packaging.container import environment, image_serving, in_it, stages, the, until_it_answers
from tests.packaging.tools import PACKAGING, linter, program, said
from tests.support.certificate import made_certificate
from tests.support.service import Deployment, made_deployment

FOLDER = PACKAGING / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
MANIFESTS = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yaml")) if path.stem != "kustomization"
}
DEPLOYMENT = MANIFESTS["deployment"]
POD = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
(COPIER,) = POD["initContainers"]
ENVIRONMENT = {each["name"]: each["value"] for each in CONTAINER["env"]}
# The digest is of your build in your registry, which kustomization.yaml names; a tag that is fixed so need not be pulled again.
YOURS = "CKV_K8S_14,CKV_K8S_15,CKV_K8S_43"


# -- schemas and linters --


@pytest.mark.parametrize("version", ["1.30", "1.37"])
@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_as_its_schema_says(name: str, version: str) -> None:
    checked = (linter("kubernetes-validate"), "--strict", "--kubernetes-version", version, str(FOLDER / f"{name}.yaml"))
    assert f"passed for resource {name}/counterfoil against version {version}" in said(*checked)


def test_control_a_name_that_the_schema_does_not_know_is_found(tmp_path: Path) -> None:
    spoilt = tmp_path / "deployment.yaml"
    spoilt.write_text((FOLDER / "deployment.yaml").read_text().replace("readOnlyRootFilesystem", "readonlyRootFilesystem"))
    said(linter("kubernetes-validate"), "--strict", str(spoilt), status=1)


def test_yamllint_finds_nothing() -> None:
    assert said(linter("yamllint"), "--strict", "--config-file", str(FOLDER / ".yamllint"), str(FOLDER)) == ""


@pytest.mark.slow
def test_checkov_finds_nothing_but_what_is_yours() -> None:
    shown = said(
        *(linter("checkov"), "--framework", "kubernetes", "--directory", str(FOLDER), "--compact", "--skip-download"),
        *("--skip-check", YOURS),
    )
    assert re.search(r"Passed checks: \d{2,}, Failed checks: 0", shown)


def test_kustomize_puts_them_together_with_your_image(tmp_path: Path) -> None:
    together = tmp_path / "together.yaml"
    together.write_text(said(program("kubectl", "kubernetes-client"), "kustomize", str(FOLDER)))
    applied = list(yaml.safe_load_all(together.read_text()))
    assert sorted(each["kind"] for each in applied) == sorted(manifest["kind"] for manifest in MANIFESTS.values())
    pod = next(each for each in applied if each["kind"] == "Deployment")["spec"]["template"]["spec"]
    (named,) = KUSTOMIZATION["images"]
    assert {each["image"] for each in (*pod["containers"], *pod["initContainers"])} == {f"{named['newName']}:{named['newTag']}"}
    assert named["newTag"] == __version__
    assert pod["volumes"] == POD["volumes"]
    said(linter("kubernetes-validate"), "--strict", str(together))


# -- agreement --


def test_every_manifest_is_applied_in_the_one_namespace() -> None:
    assert sorted(KUSTOMIZATION["resources"]) == sorted(f"{name}.yaml" for name in MANIFESTS)
    for name, manifest in MANIFESTS.items():
        assert manifest["metadata"].get("namespace") == (None if name == "namespace" else KUSTOMIZATION["namespace"])
    assert {each["name"] for each in KUSTOMIZATION["images"]} == {CONTAINER["image"], COPIER["image"]}


def test_there_is_one_pod_on_one_volume_and_never_two() -> None:
    assert DEPLOYMENT["spec"]["replicas"] == 1
    assert DEPLOYMENT["spec"]["strategy"] == {"type": "Recreate"}
    assert MANIFESTS["persistentvolumeclaim"]["spec"]["accessModes"] == ["ReadWriteOncePod"]


def test_labels_ports_and_volumes_fit_together() -> None:
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    policy = MANIFESTS["networkpolicy"]["spec"]
    for selector in (
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        MANIFESTS["service"]["spec"]["selector"],
        policy["podSelector"]["matchLabels"],
    ):
        assert selector == labels
    ports = {each["name"]: each["containerPort"] for each in CONTAINER["ports"]}
    asked = {MANIFESTS["service"]["spec"]["ports"][0]["targetPort"], policy["ingress"][0]["ports"][0]["port"]}
    assert asked | {CONTAINER[probe]["httpGet"]["port"] for probe in _probes()} == set(ports)
    assert ENVIRONMENT["COUNTERFOIL_PORT"] == str(ports["https"])
    mounted = {each["name"] for container in (CONTAINER, COPIER) for each in container["volumeMounts"]}
    assert mounted == {each["name"] for each in POD["volumes"]}


def _probes() -> list[str]:
    return [name for name in CONTAINER if name.endswith("Probe")]


def test_a_pod_lives_by_healthz_and_is_ready_by_readyz() -> None:
    asked = {name: (CONTAINER[name]["httpGet"]["path"], CONTAINER[name]["httpGet"]["scheme"]) for name in _probes()}
    assert asked == {
        "startupProbe": ("/healthz", "HTTPS"),
        "livenessProbe": ("/healthz", "HTTPS"),
        "readinessProbe": ("/readyz", "HTTPS"),
    }


def test_nobody_gets_in_but_callers_and_nothing_gets_out() -> None:
    policy = MANIFESTS["networkpolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    ((callers,),) = [rule["from"] for rule in policy["ingress"]]
    assert callers.keys() == {"namespaceSelector", "podSelector"}


@pytest.mark.parametrize("container", [CONTAINER, COPIER], ids=lambda each: each["name"])
def test_a_container_is_confined_as_the_restricted_standard_says(container: dict[str, Any]) -> None:
    """Kubernetes' Pod Security Standards, profile "restricted", and a root file system that is read-only."""
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"].keys() == {"requests", "limits"}
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    user = f"{POD['securityContext']['runAsUser']}:{POD['securityContext']['runAsGroup']}"
    assert user == the("USER", stages()[1]).rest
    assert POD["automountServiceAccountToken"] is False
    assert MANIFESTS["namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_its_settings_are_settings_and_no_secret_and_it_speaks_tls() -> None:
    assert ENVIRONMENT.keys() <= {f"COUNTERFOIL_{each.name.upper()}" for each in fields(Settings)}
    assert "COUNTERFOIL_SERVICE_CONTEXT" not in ENVIRONMENT
    refuse_clear_text(load_settings(None, ENVIRONMENT))
    assert "COUNTERFOIL_TLS_TERMINATED_UPSTREAM" not in ENVIRONMENT
    # Keys and store are apart: a snapshot of the volume has no key.
    paths = {"COUNTERFOIL_KEYS": "/run/counterfoil", "COUNTERFOIL_CREDENTIALS": "/run/counterfoil", "COUNTERFOIL_DATA": "/data"}
    for name, folder in paths.items():
        assert Path(ENVIRONMENT[name].removeprefix("file:")).parent == Path(folder)
    assert {each["name"]: each for each in POD["volumes"]}["own-secrets"]["emptyDir"]["medium"] == "Memory"


def test_the_group_gets_no_right_on_the_store_at_a_later_mount() -> None:
    assert POD["securityContext"]["fsGroup"] == POD["securityContext"]["runAsGroup"]
    assert POD["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


# -- Secrets as the kubelet lays them out --


def _laid_out(folder: Path, files: dict[str, bytes], mode: int, group: int) -> None:
    """A Secret's volume: links to a folder whose name is exchanged at each update, root's, with the group's right."""
    inside = folder / "..2026_11_24_10_00_00.1"
    inside.mkdir(parents=True)
    (folder / "..data").symlink_to(inside.name)
    for name, content in files.items():
        path = inside / name
        path.write_bytes(content)
        path.chmod(mode)
        if os.geteuid() == 0:
            os.chown(path, 0, group)
        (folder / name).symlink_to(f"..data/{name}")


def test_control_a_secret_with_a_groups_right_is_refused_where_it_is_mounted(tmp_path: Path) -> None:
    for name, mode in (("alone", 0o400), ("with fsGroup", 0o440)):
        _laid_out(tmp_path / name, {"keyset.json": b"{}"}, mode, os.getgid())
    # The links are followed: it is the file's own mode that counts.
    assert read_private_json(tmp_path / "alone" / "keyset.json") == {}
    with pytest.raises(PrivateFileProblem, match="0600"):
        read_private_json(tmp_path / "with fsGroup" / "keyset.json")


@pytest.mark.slow
def test_the_pods_containers_serve_from_secrets_that_are_laid_out_so(image: Path, tmp_path: Path) -> None:
    made = made_deployment(tmp_path / "made")
    secrets, own, store = image / "data" / "secrets", image / "data" / "own", image / "data" / "volume"
    group = POD["securityContext"]["fsGroup"]
    _laid_out(secrets, {name: (made.folder / name).read_bytes() for name in ("keyset.json", "credentials.json")}, 0o440, group)
    certificate, key = made_certificate(tmp_path)
    _laid_out(image / "data" / "tls", {"tls.crt": certificate.read_bytes(), "tls.key": key.read_bytes()}, 0o440, group)
    for volume, mode in ((own, 0o2777), (store, 0o2775)):
        volume.mkdir()
        os.chown(volume, 0, group)
        volume.chmod(mode)

    # Only one folder can be written in the image as it is played; the pod has several volumes.
    moved = {"/secrets": "/data/secrets", "/run/counterfoil": "/data/own", "/data": "/data/volume", "/tls": "/data/tls"}

    def placed(text: str) -> str:
        return re.sub(rf"^((?:file:)?)({'|'.join(moved)})\b", lambda match: match[1] + moved[match[2]], text)

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    variables = {name: placed(value) for name, value in ENVIRONMENT.items()} | {"COUNTERFOIL_PORT": port}
    within = {**environment(stages()[1]), **variables}
    copied = in_it(image, " ".join(map(placed, COPIER["command"])), within, as_image=True)
    assert copied.returncode == 0, copied.stderr
    assert [stat.S_IMODE(path.stat().st_mode) for path in own.iterdir()] == [0o400, 0o400]
    with image_serving(image, **variables) as process:
        url = f"https://127.0.0.1:{port}"
        trusting = ssl.create_default_context(cafile=str(certificate))
        until_it_answers(url, process, trusting)
        for probe in _probes():
            assert httpx2.get(url + CONTAINER[probe]["httpGet"]["path"], verify=trusting).status_code == 200
        _used(made, url, trusting)
        examined = in_it(image, "counterfoil doctor", within, as_image=True)
        assert examined.returncode == 0, examined.stdout
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=POD["terminationGracePeriodSeconds"]) == 0


def _used(made: Deployment, url: str, trusting: ssl.SSLContext) -> None:
    with Client(url, made.issuer, tls=trusting) as issuing, Client(url, made.validator, tls=trusting) as validating:
        assert validating.validate("shop-1", issuing.issue("shop-1").passcode).replayed is False
