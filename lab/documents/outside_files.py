"""A hook of mkdocs: links from docs/ to other files of the repository lead to copies of them in the site.

The pages are written for the repository, where `../examples/ask.py` is a file. The site has a copy of
each such file under `repository/`. Links to folders lead to the page README.md in them.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)#\s]+)")
FOLDER = "repository"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a copy of each file outside docs/ that a page links, also from such a copy."""
    pages = [file for file in files if file.is_documentation_page()]
    while pages:
        source = Path(str(pages.pop().abs_src_path))
        for link in LINK.findall(source.read_text()):
            target = _target(source, link)
            uri = _uri(target, config)
            if uri is not None and target.is_file() and files.get_file_from_path(uri) is None:
                copy = File.generated(config, uri, abs_src_path=str(target))
                files.append(copy)
                pages += [copy] if copy.is_documentation_page() else []
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Changes the links of a page to those of the site."""
    source = Path(str(page.file.abs_src_path))

    def change(link: re.Match[str]) -> str:
        uri = _uri(_target(source, link[0]), config)
        if uri is None:
            return link[0]
        return posixpath.relpath(uri, posixpath.dirname(page.file.src_uri))

    return LINK.sub(change, markdown)


def _target(source: Path, link: str) -> Path:
    """Returns the file that a link leads to."""
    target = (source.parent / link).resolve()
    return target / "README.md" if target.is_dir() else target


def _uri(target: Path, config: MkDocsConfig) -> str | None:
    """Returns the place of a file in the site; None if it is not a file of the repository."""
    documents = Path(config.docs_dir)
    if target.is_relative_to(documents):
        return target.relative_to(documents).as_posix()
    if target.is_relative_to(documents.parent):
        return f"{FOLDER}/{target.relative_to(documents.parent).as_posix()}"
    return None
