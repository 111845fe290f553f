"""What mkdocs calls while it builds the site: adds the generated pages, and refuses a page that asks the network."""

from __future__ import annotations

import logging
import re

from mkdocs.structure.files import File

from tools.documentation.pages import for_site, generated

log = logging.getLogger("mkdocs.hooks.documentation")
OUTSIDE = re.compile(
    r"<(?:script|img|iframe|source|video)[^>]*\ssrc=\"?https?:|<link[^>]*rel=\"?stylesheet[^>]*https?:"
)


def on_files(files, config):
    for path, text in generated().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    return for_site(markdown)


def on_post_page(output, page, config):
    if found := OUTSIDE.search(output):
        log.warning("%s loads something from another server: %s", page.file.src_path, found[0])
    return output
