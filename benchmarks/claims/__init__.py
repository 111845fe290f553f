"""What each paper of reenactment claims, as numbers: a file a method, asked for by ``benchmarks.methods``.

A file is named as its method, with underscores, and has a function ``claims`` that returns numbers by name. It takes
what it needs by its parameters' names: ``weights`` as the method loads them; ``trained`` and ``unseen``, the `Faces` of
the people that methods learn from and of others, with their action units; ``clips``, those of ``unseen`` in the order
of `Faces.clip`; ``work``, a folder. Where it compares with another training, ``VARIANTS`` says with which options, and
the weights come by that name: ``VARIANTS = {"without": {"temporal": False}}``.

The landmark error over that of the still picture is measured for every method and needn't be among them.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def claims_of(method: str) -> ModuleType | None:
    """A method's file; None where there is none."""
    name = f"{__name__}.{method.replace('-', '_')}"
    return import_module(name) if find_spec(name) else None
