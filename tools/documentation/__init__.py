"""The site of `docs/`: pages that are made from the code, and a check of links. `make docs` builds it.

`mkdocs.yml` has the order of the pages, `hook` gives mkdocs what `pages` makes, `links` needs no mkdocs.
"""
