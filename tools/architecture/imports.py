"""The import graph of the packages, from their source alone: nothing is imported.

`read` takes the repository's folder and gives modules with what they import, inside functions as well; imports for
type checkers alone don't count. `faults` lists what is against the rules: an arrow against the order of `STAGES`, a
circle between modules or between sub-packages, a private name of another module or a private module of another folder.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

STAGES = (
    "foundation", "geometry", "facemodel", "renderer", "fitting", "synthetic", "neural_render", "recognition",
    "portrait",
)  # fmt: skip
"""The packages; each imports only those before it."""


@dataclass(frozen=True)
class Import:
    """One module's use of another."""

    target: str  # a module: "facemodel.track"
    line: int
    names: tuple[str, ...]  # what is taken from it; none where the module itself is


@dataclass(frozen=True)
class Module:
    """A source file."""

    name: str  # "facemodel.editing.mixing"; a package's __init__ has the package's name
    path: Path  # in the repository
    tree: ast.Module
    lines: int
    imports: tuple[Import, ...]


def read(root: Path, stages: Iterable[str] = STAGES) -> dict[str, Module]:
    """Modules by name of the packages ``stages`` in the folder ``root``."""
    files = {}
    for stage in stages:
        for path in sorted((root / stage).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    modules = {}
    for name, path in files.items():
        text = path.read_text()
        tree = ast.parse(text)
        found = tuple(_imports(tree, set(files)))
        modules[name] = Module(name, path.relative_to(root), tree, len(text.splitlines()), found)
    return modules


def _imports(tree: ast.Module, known: set[str]) -> Iterable[Import]:
    """Of known modules; ``from package import module`` is an import of the module."""
    typing = {node for branch in ast.walk(tree) if _for_types(branch) for node in ast.walk(branch)}
    for node in ast.walk(tree):
        if node in typing:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in known:
                    yield Import(alias.name, node.lineno, ())
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module in known:
            inner = [a.name for a in node.names if f"{node.module}.{a.name}" in known]
            for name in inner:
                yield Import(f"{node.module}.{name}", node.lineno, ())
            rest = tuple(a.name for a in node.names if a.name not in inner)
            if rest:
                yield Import(node.module, node.lineno, rest)


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def package(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def sub_package(module: str) -> str:
    """Two names at most: "fitting.energy", "facemodel.track" for a module beside the sub-packages, "facemodel"."""
    return ".".join(module.split(".")[:2])


def arrows(modules: Mapping[str, Module], of) -> Counter[tuple[str, str]]:
    """How often a group imports another; ``of`` gives a module's group."""
    return Counter(
        (of(name), of(found.target))
        for name, module in modules.items()
        for found in module.imports
        if of(name) != of(found.target)
    )


def circles(edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Groups of nodes that reach each other: strongly connected components of more than one node (Tarjan)."""
    after: dict[str, list[str]] = {}
    for a, b in edges:
        after.setdefault(a, []).append(b)
        after.setdefault(b, [])
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in after[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in after:
        if node not in index:
            visit(node)
    return sorted(found)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def faults(modules: Mapping[str, Module], stages: tuple[str, ...] = STAGES) -> list[str]:
    """What is against the rules, a line each; empty where all is well."""
    lines = []
    for name, module in modules.items():
        for found in module.imports:
            where = f"{module.path}:{found.line}"
            if stages.index(package(found.target)) > stages.index(package(name)):
                lines.append(f"{where}: {package(name)} imports {found.target}, which comes after it")
            private = [n for n in found.names if _is_private(n)]
            if private:
                lines.append(f"{where}: imports the private name {private[0]} of {found.target}")
            folder, _, last = found.target.rpartition(".")
            if _is_private(last) and not name.startswith(folder + "."):
                lines.append(f"{where}: imports {found.target}, which is its folder's own")
    lines += [f"modules in a circle: {', '.join(c)}" for c in circles(arrows(modules, str))]
    inner = {pair for pair in arrows(modules, sub_package) if package(pair[0]) == package(pair[1])}
    lines += [f"sub-packages in a circle: {', '.join(c)}" for c in circles(inner)]
    return lines
