"""What MkDocs calls to build the site (``hooks`` in mkdocs.yml).

Pages that lie outside docs/ are included, not copied; the commands, the numbers of the results and a page
for each package of the library are made from the code. A link into the checkout leads to a copy of that file.
At the end every page is read once more: what it loads lies in the site.
"""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
INCLUDED = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}


def list_packages() -> list[str]:
    """Return the names of the packages and modules right below ``verdict3d``."""
    found = (path for path in (ROOT / "verdict3d").iterdir() if not path.name.startswith(("_", ".")))
    return sorted(
        f"verdict3d.{path.stem}" for path in found if path.suffix == ".py" or (path / "__init__.py").is_file()
    )


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the packages into the navigation."""
    assert config.nav
    (reference,) = (entry["Reference"] for entry in config.nav if "Reference" in entry)
    (library,) = (entry["Library"] for entry in reference if "Library" in entry)
    library += [{name: f"reference/{name}.md"} for name in list_packages()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie in docs/."""
    made = {place: (ROOT / name).read_text(encoding="utf-8") for name, place in INCLUDED.items()}
    made |= {
        f"reference/{name}.md": f"# `{name}`\n\n::: {name}\n    options: {{show_root_heading: false}}\n"
        for name in list_packages()
    }
    made["reference/commands.md"] = document_commands()
    made["reference/numbers.md"] = tabulate_numbers()
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    return files


def document_commands() -> str:
    """Return the page of the commands, as Typer writes it."""
    command = [
        sys.executable,
        "-m",
        "typer",
        "verdict3d.cli.main",
        "utils",
        "docs",
        "--name",
        "verdict3d",
        "--title",
        "Commands",
    ]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def tabulate_numbers() -> str:
    """Return the page of the numbers that rows are kept of.

    Raises:
        PluginError: A document has another number.
    """
    from benchmarks.recompute import list_missing, recompute_all

    text = [
        "# Numbers",
        "",
        "Computed from the kept rows while this page was built, with intervals over objects.",
    ]
    for run, numbers in recompute_all().items():
        if missing := list_missing(run, numbers):
            raise PluginError(f"{run.document} has other numbers than {run.rows}: {', '.join(missing)}")
        page, rows = posixpath.relpath(run.document, "docs"), run.rows.relative_to(ROOT / "docs").as_posix()
        text += ["", f"## {run.name}", "", f"Of [{page}](../{page}); rows: [{rows}](../{rows}).", ""]
        text += [
            "| what | number |",
            "|---|---|",
            *("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in numbers.items()),
        ]
    return "\n".join([*text, ""])


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links into the checkout to the page of that file, or to a copy of it."""
    places = {place: name for name, place in INCLUDED.items()}
    here = places.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def lead(found: re.Match[str]) -> str:
        target, hash_, anchor = found[2].partition("#")
        if not target or urlsplit(target).scheme:
            return found[0]
        name = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        if name.startswith("docs/"):
            place = name.removeprefix("docs/")
        elif name in INCLUDED:
            place = INCLUDED[name]
        elif (ROOT / name).is_file():
            place = f"files/{name}"
            if not files.get_file_from_path(place):
                files.append(File.generated(config, place, abs_src_path=str(ROOT / name)))
        else:
            return found[0]  # MkDocs reports it
        return (
            found[1]
            + posixpath.relpath(place, posixpath.dirname(page.file.src_uri) or ".")
            + hash_
            + anchor
            + found[3]
        )

    return LINK.sub(lead, markdown)


class Loads(HTMLParser):
    """Collects what a page loads by itself and where it leads."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        given = dict(attrs)
        if (address := given.get(LOADED.get(tag, ""))) and given.get("rel") not in (
            "canonical",
            "prev",
            "next",
        ):
            self.loaded.append(address)
        if tag == "a" and (address := given.get("href")):
            self.linked.append(address)


def on_post_build(config: MkDocsConfig) -> None:
    """Read every page that was built.

    Raises:
        PluginError: A page or style loads something from elsewhere, or leads to a file that is not there.
    """
    site, wrong = Path(config.site_dir), []
    for path in sorted(site.rglob("*.html")):
        page = Loads()
        page.feed(path.read_text(encoding="utf-8"))
        wrong += [f"{path.name} loads {one}" for one in page.loaded if urlsplit(one).netloc]
        for address in [*page.loaded, *page.linked]:
            parts = urlsplit(address)
            if not (parts.scheme or parts.netloc or path.name == "404.html") and parts.path:
                target = Path(os.path.normpath(path.parent / unquote(parts.path)))
                wrong += [] if target.exists() else [f"{path.relative_to(site)} leads to {address}"]
    for path in sorted(site.rglob("*.css")):
        wrong += [
            f"{path.name} loads {one}"
            for one in re.findall(r"url\([\"']?(https?://[^)]+)", path.read_text(encoding="utf-8"))
        ]
    if wrong:
        raise PluginError("\n".join(wrong))
