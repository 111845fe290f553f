"""Pages of the site that no file in `docs/` has: all commands, the Python reference, how to contribute."""

from __future__ import annotations

import re
from pathlib import Path

from tools.documentation import commands

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

REFERENCE = {
    "foundation": [f"foundation.{name}" for name in ("errors", "atomic", "tensors", "registry", "progress")],
    "geometry": [f"geometry.{name}" for name in ("camera", "rotation", "color", "spherical_harmonics", "mesh")],
    "facemodel": ["facemodel"],
    "renderer": ["renderer", "renderer.rasterizers.base"],
    "fitting": ["fitting", "fitting.landmarks.base"],
    "synthetic": ["synthetic"],
    "neural_render": ["neural_render.methods.base", "neural_render.methods.clip", "neural_render.losses.base"],
    "recognition": ["recognition.settings", "recognition.protocols"],
    "services": [],
}
"""Page of the reference -> modules whose docstrings it shows; an empty list: all of `portrait.services`."""


def generated() -> dict[str, str]:
    """Path in the site -> Markdown."""
    made = {"commands.md": commands.page(), "contributing.md": contributing()}
    return made | {f"reference/{name}.md": reference(name) for name in REFERENCE}


def reference(name: str) -> str:
    """Directives of mkdocstrings, which reads the modules without importing them."""
    services = sorted(f"portrait.services.{p.stem}" for p in (ROOT / "portrait" / "services").glob("[a-z]*.py"))
    modules = REFERENCE[name] or services
    title = "portrait.services" if name == "services" else name
    bare = "    options: {show_root_heading: false, show_root_toc_entry: false}\n" if modules == [title] else ""
    return f"# {title}\n\n" + "\n".join(f"::: {module}\n{bare}" for module in modules)


def contributing() -> str:
    """CONTRIBUTING.md, whose links start from the repository's root."""
    return re.sub(r"\]\(docs/", "](", (ROOT / "CONTRIBUTING.md").read_text())


def for_site(markdown: str) -> str:
    """A page of `docs/` with its links out of that folder turned to the site's own pages."""
    return markdown.replace("](../CONTRIBUTING.md", "](contributing.md")
