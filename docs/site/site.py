#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the site: README.md, the other documents, and the reference of the public headers. Doxygen renders it.

Doxygen does not know GitHub's anchors, nor <picture>. So it gets a copy of each document, whose links it knows. A link to
another file of the repository leads to a page that shows that file. Afterwards, site.py mends what Doxygen's pages lack for
readers who do not see them, and writes the index of the search box. At the end, all links of the site are checked.

    site.py --version 0.1.0 <folder for the site, which is emptied first>
"""

import argparse
import html
import json
import pathlib
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\](?:\([^()]*\))?)*)\]\((?P<target>[^()\s]+)\)")
NAMES = {"faq": "Questions", "http": "HTTP", "grpc": "gRPC"}  # in the menu
LANGUAGES = {".cpp": "cpp", ".hpp": "cpp", ".py": "py", ".json": "js"}


def is_public(path):
    """Whether a file is a public header: not in detail/, and not all of it in flowguard::detail."""
    if path.suffix != ".hpp" or ROOT / "include" not in path.parents or "detail" in path.relative_to(ROOT).parts:
        return False
    text = path.read_text()
    return "\nnamespace flowguard::detail" not in text or "\nnamespace flowguard {" in text


def anchor_of(heading):
    """The anchor that GitHub gives a heading."""
    text = LINK.sub(lambda m: m["text"], heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def name_of(path):
    """The name of the page of a file, without its ending: it is also Doxygen's label of the page."""
    if path == ROOT / "README.md":
        return "index"
    relative = path.relative_to(ROOT)
    if relative.parent == pathlib.Path("docs") or relative.parent == pathlib.Path("."):
        return re.sub(r"\W", "_", relative.stem.lower())
    return re.sub(r"\W", "_", str(relative))


class Site:
    def __init__(self, pages, output):
        self.pages = pages  # the folder of the Markdown that Doxygen reads
        self.output = output
        self.done = set()
        self.titles = {}

    def add(self, path):
        """Writes the page of a document, or of any other file or folder, unless that has been done."""
        if path in self.done:
            return
        self.done.add(path)
        if path.is_dir():
            text = self.folder_page(path)
        elif path.suffix == ".md":
            text = self.document_page(path)
        else:
            text = self.source_page(path)
        (self.pages / f"{name_of(path)}.md").write_text(text)

    def folder_page(self, path):
        title = f"# {path.relative_to(ROOT)}/ {{#{name_of(path)}}}\n\n"
        files = sorted(f for f in path.iterdir() if f.is_file())
        return title + "".join(f"- [{f.name}](@ref {self.page(f)})\n" for f in files)

    def source_page(self, path):
        language = LANGUAGES.get(path.suffix, "unparsed")
        text = path.read_text(errors="replace")
        return f"# {path.relative_to(ROOT)} {{#{name_of(path)}}}\n\n~~~~{{.{language}}}\n{text}\n~~~~\n"

    def document_page(self, path):
        lines = []
        fence = False
        for line in path.read_text().split("\n"):
            if line.startswith("```"):
                # A block without a language is output: Doxygen would take it for C++.
                line = "```{.unparsed}" if not fence and line in ("```", "```sh", "```promql", "```cmake") else line
                fence = not fence
            elif not fence:
                line = self.heading(path, line)
            lines.append(line)
        # Blocks keep their place: every other part of the text is code.
        parts = re.split(r"(^```.*?^```$)", "\n".join(lines), flags=re.MULTILINE | re.DOTALL)
        parts[::2] = [self.text(path, part) for part in parts[::2]]
        return "".join(parts)

    def heading(self, path, line):
        found = re.fullmatch(r"(#+) (.*)", line)
        if not found:
            return line
        if path not in self.titles:
            self.titles[path] = found[2]
            label = "mainpage" if name_of(path) == "index" else name_of(path)
        else:
            label = self.label(path, anchor_of(found[2]))
        return f"{line} {{#{label}}}"

    @staticmethod
    def label(path, anchor):
        return f"{name_of(path)}_{anchor}"

    def text(self, path, text):
        text = re.sub(r"<picture>.*?</picture>", lambda m: self.picture(path, m[0]), text, flags=re.DOTALL)
        return LINK.sub(lambda m: self.link(path, m), text)

    def picture(self, path, tags):
        tags = re.sub(r'(src|srcset)="([^"]*)"', lambda m: f'{m[1]}="{self.image(path, m[2])}"', tags)
        return f"@htmlonly\n{tags}\n@endhtmlonly"

    def image(self, path, target):
        file = (path.parent / target).resolve()
        shutil.copy(file, self.output)
        return file.name

    def link(self, path, found):
        target = found["target"]
        text = found["text"]
        if found["image"]:
            return f'<img src="{self.image(path, target)}" alt="{html.escape(text)}"/>'
        # Doxygen shows backquotes in the text of a link, and takes a text that goes on in the next line for no link.
        text = self.text(path, text).replace("`", "").replace("\n", " ")
        if re.match(r"[a-z]+:", target):
            return f"[{text}]({target})"
        file, _, anchor = target.partition("#")
        file = (path.parent / file).resolve() if file else path
        if anchor:
            return f"[{text}](@ref {self.label(file, anchor)})"
        if file.suffix in (".svg", ".png"):
            return f'<a href="{self.image(path, target)}">{text}</a>'
        return f"[{text}](@ref {self.page(file)})"

    def page(self, file):
        """What Doxygen calls the page of a file, which is added if there is none yet."""
        if is_public(file):
            return str(file.relative_to(ROOT / "include"))
        self.add(file)
        return "mainpage" if name_of(file) == "index" else name_of(file)

    def menu(self):
        """The list of documents, in the order of README.md's table."""
        readme = (ROOT / "README.md").read_text()
        documents = list(dict.fromkeys(re.findall(r"\]\(((?:docs/)?\w+\.md)\)", readme.partition("## Where to read on")[2])))
        missing = {f"docs/{f.name}" for f in (ROOT / "docs").glob("*.md")} - set(documents)
        if missing:
            sys.exit(f"README.md has no row for {', '.join(sorted(missing))}")
        items = ""
        for document in documents:
            path = ROOT / document
            name = NAMES.get(path.stem) or path.stem.capitalize()
            items += f'<li><a href="{name_of(path)}.html" title="{html.escape(self.titles[path])}">{name}</a></li>\n'
        return items


def mend(page):
    """Makes the title of a page of Doxygen's its one <h1>, and an empty head of a column a plain cell."""
    text, nav, menu = page.read_text().partition("<nav ")
    if "<h1>" in text:  # Doxygen makes that of ##.
        text = re.sub(r"(</?h)([1-5])\b", lambda m: f"{m[1]}{int(m[2]) + 1}", text)
    text, titles = re.subn(r'<div class="title">(.*?)</div>', r'<h1 class="title">\1</h1>', text)
    if not titles:  # The lists of members have none.
        title = re.search(r"<title>(.*) – ", text)[1]
        text = re.sub(r"(</?)h3>", r"\1h2>", text)
        text = text.replace('<div class="contents">', f'<div class="contents">\n<h1 class="title">{title}</h1>', 1)
    text = re.sub(r"<th [^>]*></th>", "<td></td>", text)
    page.write_text(text + nav + menu)


def search_index(tags):
    """What the search box finds: each name and each heading, where it is, and its address."""
    found = {}
    for compound in ElementTree.parse(tags).iter("compound"):
        kind, page = compound.get("kind"), compound.findtext("filename")
        name = compound.findtext("name").removeprefix("flowguard::")
        if kind == "page":
            title = compound.findtext("title")
            found.setdefault((title, "page"), page)
            for anchor in compound.iterfind("docanchor[@title]"):
                heading = re.sub("</?tt>", "", anchor.get("title"))
                found.setdefault((heading, title), f"{anchor.get('file')}#{anchor.text}")
        elif kind == "file":  # Its members are those of a namespace or of a class.
            folder = pathlib.Path(compound.findtext("path")).relative_to(ROOT / "include")
            found.setdefault((str(folder / name), "header"), page)
        elif kind != "dir":
            found.setdefault((name, kind), page)
            for member in compound.iterfind("member"):
                place = member.get("kind") if kind == "namespace" else name
                address = f"{member.findtext('anchorfile')}#{member.findtext('anchor')}"
                found.setdefault((member.findtext("name"), place), address)
                for value in member.iterfind("enumvalue"):
                    found.setdefault((value.text, member.findtext("name")), f"{value.get('file')}#{value.get('anchor')}")
    return [[name, place, page] for (name, place), page in found.items()]


def broken_links(output, index):
    """All links in the site that lead to no file, or to no anchor of it."""
    pages = {f.name: f.read_text() for f in output.glob("*.html")}
    pages["the search index"] = "".join(f'<a href="{html.escape(page)}">' for _, _, page in index)
    ids = {name: set(re.findall(r'\b(?:id|name)="([^"]+)"', text)) for name, text in pages.items()}
    broken = []
    for name, text in pages.items():
        for target in re.findall(r'\b(?:href|src|srcset)="([^"]+)"', text):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = html.unescape(target).partition("#")
            file = file or name
            if not (output / file).is_file() or (anchor and file in ids and anchor not in ids[file]):
                broken.append(f"{name}: {target}")
    return broken


def main():
    parser = argparse.ArgumentParser(description="Makes the site of FlowGuard's documents and headers.")
    parser.add_argument("--doxygen", default="doxygen")
    parser.add_argument("--version", required=True)
    parser.add_argument("output", type=pathlib.Path)
    options = parser.parse_args()
    output = options.output.resolve()
    pages = output.parent / f"{output.name}_pages"
    for folder in (output, pages):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    site = Site(pages, output)
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        site.add(document)
    (pages / "footer.html").write_text((HERE / "footer.html").read_text().replace("@MENU@", site.menu()))

    headers = " ".join(str(h) for h in sorted((ROOT / "include").rglob("*.hpp")) if is_public(h))
    config = (HERE / "Doxyfile").read_text() + f"""
PROJECT_NUMBER = {options.version}
INPUT = {HERE}/namespace.dox {headers} {pages}
OUTPUT_DIRECTORY = {output}
STRIP_FROM_PATH = {ROOT}/include {pages}
STRIP_FROM_INC_PATH = {ROOT}/include
LAYOUT_FILE = {HERE}/layout.xml
HTML_HEADER = {HERE}/header.html
HTML_FOOTER = {pages}/footer.html
HTML_STYLESHEET = {HERE}/style.css
HTML_EXTRA_FILES = {HERE}/page.js
GENERATE_TAGFILE = {pages}/tags.xml
"""
    subprocess.run([options.doxygen, "-"], input=config, text=True, check=True)
    for page in output.glob("*.html"):
        mend(page)
    index = search_index(pages / "tags.xml")
    (output / "search_index.js").write_text(f"const search_index = {json.dumps(index, indent=0)};\n")
    broken = broken_links(output, index)
    for link in broken:
        print(f"broken link in {link}", file=sys.stderr)
    if broken:
        sys.exit(1)
    print(f"{output}/index.html")


if __name__ == "__main__":
    main()
