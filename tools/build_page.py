"""Bundles the editor page's scripts: ``portrait/page/src`` and three.js to ``portrait/page/built``.

    python -m tools.build_page [--npm FOLDER]

Needs node and npm; what it makes is committed, so that nobody else needs them. Versions are pinned by
``portrait/page/package.json`` and its lock. The first line of what it makes is a digest of what went in, by which a
test knows a bundle that is older than its sources.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from foundation.atomic import write_file

PAGE = Path(__file__).parents[1] / "portrait" / "page"
BUILT = PAGE / "built" / "page.js"
LOCK = ("package.json", "package-lock.json")


def digest() -> str:
    """Of everything that goes in."""
    total = hashlib.sha256()
    for path in [*(PAGE / name for name in LOCK), *sorted((PAGE / "src").glob("*.js"))]:
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:32]


def banner() -> str:
    return f"/* video-portraits; with three.js, MIT License, see THREE-LICENSE.txt; sources {digest()} */"


def build(npm: Path) -> None:
    """npm: a folder to install into; what is there already is used."""
    for name in LOCK:
        if (PAGE / name).exists():
            shutil.copy(PAGE / name, npm)
    if not (npm / "node_modules" / "three").exists():
        _run(["npm", "ci", "--no-audit", "--no-fund"], npm)
    shutil.rmtree(npm / "src", ignore_errors=True)
    shutil.copytree(PAGE / "src", npm / "src")
    out = npm / "page.js"
    options = ["--bundle", "--minify", "--format=iife", "--target=es2022", "--legal-comments=none", "--charset=utf8"]
    _run(["npx", "esbuild", "src/main.js", *options, f"--outfile={out}", "--log-level=warning"], npm)
    write_file(BUILT, f"{banner()}\n{out.read_text(encoding='utf-8')}", "bundle")
    shutil.copy(npm / "node_modules" / "three" / "LICENSE", BUILT.with_name("THREE-LICENSE.txt"))
    print(f"{BUILT}: {BUILT.stat().st_size:,} bytes")


def _run(command: list[str], folder: Path) -> None:
    if subprocess.run(command, cwd=folder, check=False).returncode:
        sys.exit(f"error: '{' '.join(command[:3])}' failed; node and npm have to be there (see CONTRIBUTING.md)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--npm", type=Path, help="a folder that keeps node_modules for the next time")
    chosen = parser.parse_args().npm
    if chosen is not None:
        chosen.mkdir(parents=True, exist_ok=True)
        return build(chosen.resolve())
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))


if __name__ == "__main__":
    main()
