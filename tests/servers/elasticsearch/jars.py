"""Knows how the jars of a real Elasticsearch are fetched from Maven Central and laid out: once per cache folder."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

from tests.servers.fetched import copy_jars, fetched, run
from tests.servers.java import java_home

VERSION = "9.5.3"
JAVA = 21  # what that version needs
HERE = Path(__file__).resolve().parent
PLUGINS = ("transport-netty4", "x-pack-core", "x-pack-security")
# The security plugin's SAML actions name OpenSAML types, which are not on Maven Central. Empty types of the same
# names let those classes link; SAML itself does not work.
SAML_TYPES = {
    "org.opensaml.core.xml.XMLObject": "interface XMLObject",
    "org.opensaml.saml.saml2.core.StatusResponseType": "interface StatusResponseType",
    "org.opensaml.saml.saml2.core.LogoutResponse": "interface LogoutResponse extends StatusResponseType",
    "org.opensaml.saml.saml2.core.RequestAbstractType": "interface RequestAbstractType",
    "org.opensaml.saml.saml2.core.AuthnRequest": "interface AuthnRequest extends RequestAbstractType",
    "org.opensaml.saml.saml2.core.LogoutRequest": "interface LogoutRequest extends RequestAbstractType",
    "org.opensaml.saml.saml2.core.NameID": "interface NameID",
    "org.opensaml.saml.saml2.metadata.EntityDescriptor": (
        "interface EntityDescriptor extends org.opensaml.core.xml.XMLObject"
    ),
}


def prepared() -> Path:
    """The folder with lib/, plugins/ and native/."""
    return fetched(f"elasticsearch-{VERSION}", _make)


def _make(build: Path) -> None:
    _fetch(build)
    _compile_all(build)
    if zstd := _system_zstd():
        (build / "native").mkdir()
        (build / "native" / "libzstd.so").symlink_to(zstd)


def _fetch(build: Path) -> None:
    jars, lib, plugins = build / "jars", build / "lib", build / "plugins"
    for folder in (jars, lib, plugins):
        folder.mkdir()
    copy_jars(HERE / "pom.xml", f"es.version={VERSION}", jars)
    for jar in jars.glob("*.jar"):
        plugin = next((name for name in PLUGINS if jar.name.startswith(name + "-")), None)
        jar.rename(plugins / f"{plugin}.jar" if plugin else lib / jar.name)
    jars.rmdir()


def _compile_all(build: Path) -> None:
    _compile(build, "node", [HERE / "EsNode.java"], build / "lib")
    _compile(build, "mini-analysis", [HERE / "MiniAnalysis.java"], build / "plugins")
    _compile(build, "saml-types", _saml_sources(build / "src"), build / "plugins")


def _saml_sources(folder: Path) -> list[Path]:
    sources = []
    for name, declaration in SAML_TYPES.items():
        package, _, simple = name.rpartition(".")
        source = folder / package / f"{simple}.java"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(f"package {package};\npublic {declaration} {{}}\n")
        sources.append(source)
    return sources


def _compile(build: Path, name: str, sources: list[Path], target: Path) -> None:
    javac = java_home(JAVA, compiler=True) / "bin" / "javac"
    out = build / "classes" / name
    classpath = os.pathsep.join((f"{build / 'lib'}/*", f"{build / 'plugins'}/*"))
    run([str(javac), "-nowarn", "--release", str(JAVA), "-cp", classpath, "-d", str(out), *map(str, sources)])
    with zipfile.ZipFile(target / f"{name}.jar", "w") as jar:
        for path in sorted(out.rglob("*.class")):
            jar.write(path, path.relative_to(out).as_posix())


def _system_zstd() -> str | None:
    """The system's libzstd: without one, index.codec=best_compression fails at the first refresh."""
    ldconfig = shutil.which("ldconfig") or "/sbin/ldconfig"
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        out = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=True).stdout
        match = re.search(r"libzstd\.so\.1 \(.*?\) => (\S+)", out)
        return match.group(1) if match else None
    return None
