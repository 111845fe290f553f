"""The texts: links lead somewhere, commands are ones that the command line takes, the generated pages are whole."""

import re
import shlex

import pytest
import typer

from portrait.cli import app
from tools.documentation import commands, links, pages

TEXTS = links.texts()
PORTRAIT = typer.main.get_command(app)


def typed(markdown: str) -> list[str]:
    """Lines of code blocks that begin with ``portrait``, put together where they go on in the next line."""
    joined = markdown.replace("\\\n", " ")
    return [m[1] for m in re.finditer(r"^ *(?:\$ )?(portrait [^\n]*)$", blocks(joined), re.MULTILINE)]


def mentioned(markdown: str) -> list[str]:
    """Commands within sentences and tables, of which some are without what they need."""
    without_blocks = re.sub(r"^ *```.*?^ *```", "", markdown, flags=re.DOTALL | re.MULTILINE)
    return [" ".join(m.split()) for m in re.findall(r"`(portrait [^`]*)`", without_blocks)]


def blocks(markdown: str) -> str:
    fenced = re.findall(r"^ *```(?:bash|console|sh)?\n(.*?)^ *```", markdown, re.DOTALL | re.MULTILINE)
    return "\n".join([*fenced, *re.findall(r"^    .*$", markdown, re.MULTILINE)])


def take(line: str) -> None:
    """Parses a line as `portrait` would, and runs nothing."""
    words = shlex.split(line.split(" | ", maxsplit=1)[0], comments=True)[1:]
    command, name = PORTRAIT, "portrait"
    while hasattr(command, "commands"):
        name = words.pop(0)
        command = command.commands.get(name)
        assert command is not None, f"no such command: {name}"
    command.make_context(name, words).close()


def test_links_lead_somewhere():
    assert links.broken() == []


def test_a_link_that_leads_nowhere_is_found(monkeypatch):
    text = "[a](docs/nothing.md) [b](docs/faq.md#no-such-heading) [c](docs/faq.md#it-jitters)\n\n`[d](e.md)`"
    monkeypatch.setattr(links, "texts", lambda: TEXTS | {"README.md": text})
    found = [line for line in links.broken() if line.startswith("README.md")]
    assert found == ["README.md: no docs/nothing.md", "README.md: no heading docs/faq.md#no-such-heading"]


@pytest.mark.parametrize("name", [n for n in TEXTS if typed(TEXTS[n])])
def test_commands_in_texts_are_ones_that_the_command_line_takes(name):
    wrong = []
    for line in typed(TEXTS[name]):
        if "COMMAND" in line or "..." in line or "[OPTIONS]" in line:
            continue
        try:
            take(line)
        except Exception as error:
            wrong.append(f"{line}: {error}")
    assert wrong == []


@pytest.mark.parametrize("name", [n for n in TEXTS if mentioned(TEXTS[n]) and n != "docs/commands.md"])
def test_commands_in_sentences_have_the_options_that_they_name(name):
    wrong = []
    for line in mentioned(TEXTS[name]):
        try:
            if not re.search(r"[A-Z]{4}|\.\.\.|^portrait \w+:", line):  # not a placeholder, nor what was printed
                take(line)
        except Exception as error:
            if re.search("[Nn]o such", str(error)):
                wrong.append(f"{line}: {error}")
    assert wrong == []


def test_a_wrong_command_is_noticed():
    with pytest.raises(Exception, match="--no-such-option"):
        take("portrait fit talk.mp4 -o talk.track --no-such-option")
    with pytest.raises(Exception, match="input|VIDEO"):
        take("portrait fit -o talk.track   # its clip is missing")
    with pytest.raises(AssertionError, match="no such command"):
        take("portrait fitt talk.mp4")


def test_every_command_has_its_section_with_all_its_options():
    page = commands.page()
    found = dict(commands.all_commands())
    assert {"fit", "reenact", "model import", "recognize train"} <= set(found)
    for name, command in found.items():
        section = page.split(f"\n## portrait {name}\n")[1].split("\n## ")[0]
        for parameter in command.params:
            if parameter.name != "help" and parameter.param_type_name == "option":
                assert all(f"`{o}`" in section for o in parameter.opts), (name, parameter.name)


def test_the_site_has_every_page_of_its_navigation():
    text = (pages.ROOT / "mkdocs.yml").read_text()
    named = re.findall(r"([\w/-]+\.md)$", text, re.MULTILINE)
    assert len(named) > 20
    assert [n for n in named if f"docs/{n}" not in TEXTS] == []


def test_the_readme_is_short():
    assert len((pages.ROOT / "README.md").read_text().splitlines()) <= 100
