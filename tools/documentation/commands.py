"""The page of all commands, from the command line itself: nothing on it is typed twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from portrait.cli import GOES_ON, app

HEAD = """# All commands

This page is made from the command line itself; `portrait COMMAND --help` says the same. Options are checked before any
work begins. What can't be used is said in one line, with exit code 2. Commands that are marked *goes on* keep
their work and, run again after a stop, go on where they were.
"""


# Typer's own objects, or click's, as its version has it: what is asked of them, both have.
Command = Parameter = Any


def all_commands(group: Command = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Command]]:
    """Every command with its words, such as ``model import``, in the order of `portrait --help`."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from all_commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


def page() -> str:
    """The page in Markdown."""
    commands = list(all_commands())
    rows = "".join(f"| [`portrait {name}`](#{anchor(name)}) | {first(command.help)} |\n" for name, command in commands)
    sections = "\n".join(section(name, command) for name, command in commands)
    return f"{HEAD}\n| command | what it does |\n| --- | --- |\n{rows}\n{sections}"


def anchor(name: str) -> str:
    return f"portrait-{name.replace(' ', '-')}"


def section(name: str, command: Command) -> str:
    """A command's heading, use, help, arguments, options and examples."""
    shown = [p for p in command.params if p.name != "help" and not getattr(p, "hidden", False)]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if p.param_type_name == "option"]
    required = "".join(f" {min(p.opts, key=len)} {value(p)}" for p in options if p.required)
    use = f"portrait {name}{''.join(f' {label(p)}' for p in arguments)}{required} [OPTIONS]"
    goes_on = "\n*Goes on* after a stop.\n" if name in GOES_ON else ""
    parts = [f"## portrait {name}\n", f"```bash\n{use}\n```\n", f"{escape(command.help)}\n{goes_on}"]
    if arguments:
        parts.append(table("argument", [(f"`{label(p)}`", p) for p in arguments]))
    if options:
        parts.append(table("option", [(names(p), p) for p in options]))
    examples = re.sub(r"^Examples?:\s*", "", command.epilog or "")
    if examples:
        lines = "\n".join(e.strip() for e in re.split(r"\s{2,}\|\s{2,}", examples))
        parts.append(f"```bash\n{lines}\n```\n")
    return "\n".join(parts)


def table(title: str, rows: list[tuple[str, Parameter]]) -> str:
    body = "".join(f"| {left} | {explanation(p)} |\n" for left, p in rows)
    return f"| {title} | |\n| --- | --- |\n{body}"


def names(option: Parameter) -> str:
    """``--output, -o TRACK``; a switch has no value, perhaps a name that turns it off."""
    text = ", ".join(f"`{n}`" for n in [*option.opts, *option.secondary_opts])
    return text if option.is_flag else f"{text} `{value(option)}`"


def value(option: Parameter) -> str:
    """What stands for the value: the command's own word, or the type's."""
    kind = option.type_descriptor.annotation.__name__ if hasattr(option, "type_descriptor") else option.type.name
    return option.metavar or {"str": "NAME", "text": "NAME", "Path": "FILE"}.get(kind, "NUMBER")


def label(argument: Parameter) -> str:
    return argument.metavar or argument.name.upper()


def explanation(parameter: Parameter) -> str:
    said = escape(getattr(parameter, "help", None) or "")
    if parameter.required:
        return f"{said} *Required.*".strip()
    default = parameter.default
    shown = default is not None and default is not False and default not in ((), [], "")
    return f"{said} Default: `{'yes' if default is True else default}`." if shown and not callable(default) else said


def first(text: str | None) -> str:
    """The first sentence of a help text."""
    return escape(re.split(r"(?<=[.;])\s", " ".join((text or "").split()), maxsplit=1)[0].rstrip(";"))


def escape(text: str | None) -> str:
    """Help texts are plain words: nothing in them is Markdown or rich's markup."""
    bare = re.sub(r"\[/?(bold|italic)\]", "", text or "")
    return re.sub(r"([*_<>|\[\]])", r"\\\1", bare)
