"""The page's file: template, style, scripts, facts and data in one HTML text that asks for nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np

from portrait.page.pack import pack
from portrait.page.pictures import Pictures

HERE = Path(__file__).parent
MARK = re.compile(r"\{\{(\w+)\}\}")


def document(
    facts: dict, arrays: Mapping[str, np.ndarray], pictures: Pictures | None = None, connect: str = "'none'"
) -> str:
    """The HTML.

    facts: what ``src/main.js`` reads, of any text: it's escaped. connect: whom its scripts may talk to, as a content
    security policy has it. Only the page's own script runs: the policy names its hash.
    """
    table, data = pack(arrays)
    script = (HERE / "built" / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data: blob:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": escape(policy),
        "title": escape(facts["title"]),
        "style": (HERE / "src" / "style.css").read_text(encoding="utf-8"),
        "facts": _json(facts | {"table": table, "pictures": pictures.facts if pictures else None}),
        "data": data,
        "pictures": pictures.text if pictures else "",
        "script": script,
    }
    template = (HERE / "src" / "index.html").read_text(encoding="utf-8")
    return MARK.sub(lambda found: parts[found[1]], template)  # once: what is put in isn't looked at again


def _json(value: object) -> str:
    """JSON that may stand in a script element, whatever it says."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
