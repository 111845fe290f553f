"""How much there is: files, lines, module constants, the widest function, by package."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from tools.architecture.imports import Module, package


@dataclass(frozen=True)
class Counts:
    """Of one package, or of all."""

    files: int
    lines: int
    constants: int  # names in capitals that a module assigns
    widest: int  # parameters of the function that has most
    widest_name: str


def count(modules: Iterable[Module]) -> Counts:
    modules = list(modules)
    widths = [(width, f"{m.name}.{name}") for m in modules for width, name in _widths(m.tree)]
    constants = sum(len(constants_of(m.tree)) for m in modules)
    return Counts(len(modules), sum(m.lines for m in modules), constants, *max(widths, default=(0, "")))


def by_package(modules: Iterable[Module]) -> dict[str, Counts]:
    groups: dict[str, list[Module]] = {}
    for module in modules:
        groups.setdefault(package(module.name), []).append(module)
    return {name: count(group) for name, group in groups.items()}


def constants_of(tree: ast.Module) -> list[str]:
    """Names in capitals, private ones too, that are assigned at a module's top."""
    found = []
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets if isinstance(node, ast.Assign | ast.AnnAssign) else ():
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            found += [n.id for n in names if isinstance(n, ast.Name) and n.id.strip("_").isupper()]
    return found


def _widths(tree: ast.Module) -> list[tuple[int, str]]:
    """Parameters of every function, without self and cls."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            a = node.args
            names = [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs) if p.arg not in ("self", "cls")]
            found.append((len(names) + (a.vararg is not None) + (a.kwarg is not None), node.name))
    return found
