"""``python -m tools.architecture``: who imports whom, and how much there is; exit code 1 where the order is broken."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from tools.architecture.counts import by_package, count
from tools.architecture.imports import STAGES, Module, arrows, faults, package, read, sub_package

ROOT = Path(__file__).parents[2]


def main() -> int:
    modules = read(ROOT)
    print("imports of packages: a row imports a column, so often\n")
    print(package_table(modules))
    print("\nimports within packages\n")
    print(inner_table(modules))
    print("\nhow much there is\n")
    print(count_table(modules))
    found = faults(modules)
    print(f"\n{len(found)} against the order" + "".join(f"\n  {line}" for line in found))
    return 1 if found else 0


def package_table(modules: Mapping[str, Module]) -> str:
    counted = arrows(modules, package)
    width = max(map(len, STAGES))
    rows = [" " * width + "".join(f"{name[:10]:>11}" for name in STAGES)]
    for row in STAGES:
        rows.append(f"{row:{width}}" + "".join(f"{counted.get((row, column), '.'):>11}" for column in STAGES))
    return "\n".join(rows)


def inner_table(modules: Mapping[str, Module]) -> str:
    """Rows "a -> b 3, c 1" for everything beside or below each other in one package."""
    used: dict[str, list[str]] = {}
    for (a, b), times in sorted(arrows(modules, sub_package).items()):
        if package(a) == package(b):
            used.setdefault(a, []).append(f"{b.split('.', 1)[-1]} {times}")
    width = max(map(len, used), default=0)
    return "\n".join(f"{a:{width}} -> {', '.join(targets)}" for a, targets in used.items())


def count_table(modules: Mapping[str, Module]) -> str:
    rows = [f"{'':14}{'files':>7}{'lines':>8}{'constants':>11}{'widest':>8}  function"]
    for name, c in {**by_package(modules.values()), "all": count(modules.values())}.items():
        rows.append(f"{name:14}{c.files:7}{c.lines:8}{c.constants:11}{c.widest:8}  {c.widest_name}")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
