"""Links between the repository's texts: files and headings that they name have to be there. Needs no mkdocs."""

from __future__ import annotations

import re

from markdown.extensions.toc import slugify

from tools.documentation.pages import DOCS, ROOT, for_site, generated

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")


def texts() -> dict[str, str]:
    """Path from the repository's root -> Markdown, of all texts, those that are generated included."""
    found = {p.relative_to(ROOT).as_posix(): p.read_text() for p in sorted(DOCS.rglob("*.md"))}
    found |= {name: (ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md")}
    return found | {f"docs/{path}": text for path, text in generated().items()}


def without_code(markdown: str) -> str:
    """Without fenced and inline code, in which brackets are no links."""
    return re.sub(r"`[^`\n]*`", "code", re.sub(r"^( *)(```+).*?^\1\2", "", markdown, flags=re.DOTALL | re.MULTILINE))


def anchors(markdown: str) -> set[str]:
    """What a link may name after #: headings as mkdocs and GitHub name them, and explicit ids."""
    fenced = re.sub(r"^( *)(```+).*?^\1\2", "", markdown, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#{1,6} +(.*?)(?: *\{#[\w-]+\})?$", fenced, re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", h) for h in headings]
    return {slugify(h, "-") for h in plain} | set(re.findall(r"(?:\{#|id=\")([\w-]+)", fenced))


def broken() -> list[str]:
    """A line for every link that leads nowhere."""
    pages = texts()
    faults = []
    for name, markdown in pages.items():
        on_site = for_site(markdown) if name.startswith("docs/") else markdown
        for match in LINK.finditer(without_code(on_site)):
            target, _, anchor = (match[1] or match[2]).partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            path = ((ROOT / name).parent / target).resolve() if target else ROOT / name
            key = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
            if key not in pages and not path.exists():
                faults.append(f"{name}: no {match[1] or match[2]}")
            elif anchor and key in pages and anchor not in anchors(pages[key]):
                faults.append(f"{name}: no heading {match[1] or match[2]}")
    return faults
