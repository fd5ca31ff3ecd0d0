"""A hook of mkdocs: links from docs/ to other files of the repository lead to copies of them in the site.

The pages are written for the repository, where `../examples/ask.py` is a file. The site has a copy of
each such file under `repository/`. A link to a folder leads to its README.md, or
to a list of its files.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)#\s]+)")
FOLDER, README = "repository", "README.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a copy of each file outside docs/ that a page links, also from such a copy."""
    pages = [file for file in files if file.is_documentation_page()]
    while pages:
        page = pages.pop()
        source = _source(page, config)
        for link in LINK.findall(page.content_string):
            target = _target(source, link)
            uri = _uri(target, config)
            if uri is not None and uri.startswith(FOLDER) and files.get_file_from_path(uri) is None:
                copy = _copy(target, uri, config)
                files.append(copy)
                pages += [copy] if copy.is_documentation_page() else []
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Changes the links of a page to those of the site."""
    source = _source(page.file, config)

    def change(link: re.Match[str]) -> str:
        uri = _uri(_target(source, link[0]), config)
        if uri is None:
            return link[0]
        return posixpath.relpath(uri, posixpath.dirname(page.file.src_uri))

    return LINK.sub(change, markdown)


def _copy(target: Path, uri: str, config: MkDocsConfig) -> File:
    """Returns the copy of a file, or a list of the files in a folder that has no README.md."""
    if target.exists() or target.name != README:
        return File.generated(config, uri, abs_src_path=str(target))
    names = sorted(path.name for path in target.parent.iterdir() if path.is_file())
    links = "".join(f"- [{name}]({name})\n" for name in names)
    return File.generated(
        config, uri, content=f"# {posixpath.dirname(uri).removeprefix(f'{FOLDER}/')}\n\n{links}"
    )


def _source(page: File, config: MkDocsConfig) -> Path:
    """Returns the file in the repository of which a page is made."""
    documents, uri = Path(config.docs_dir), str(page.src_uri)
    if uri.startswith(f"{FOLDER}/"):
        return documents.parent / uri.removeprefix(f"{FOLDER}/")
    return documents / uri


def _target(source: Path, link: str) -> Path:
    """Returns the file that a link leads to."""
    target = (source.parent / link).resolve()
    return target / README if target.is_dir() else target


def _uri(target: Path, config: MkDocsConfig) -> str | None:
    """Returns the place of a file in the site; None if it is not a file of the repository."""
    documents = Path(config.docs_dir)
    if target.is_relative_to(documents):
        return target.relative_to(documents).as_posix()
    if target.is_relative_to(documents.parent):
        return f"{FOLDER}/{target.relative_to(documents.parent).as_posix()}"
    return None
