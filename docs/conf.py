"""How Sphinx makes the site of docs/: `make docs` writes it to docs/_build/html."""

from __future__ import annotations

import sys
from pathlib import Path

from grokmap import __version__

sys.path.insert(0, str(Path(__file__).parent))  # for extensions/

project = "grokmap"
author = "The grokmap authors"
project_copyright = author
version = release = __version__
html_title = f"grokmap {__version__}"

extensions = [
    "myst_nb",  # pages in Markdown, and the tutorial, a notebook
    "sphinx.ext.autodoc",
    "extensions.links",
    "extensions.pictures",
    "extensions.commands",
    "extensions.docstrings",
    "extensions.tables",
]
exclude_patterns = ["_build", "generated/*.md"]

# The tutorial is shown as it was committed; tests/test_tutorial.py runs it.
nb_execution_mode = "off"
# As on GitHub: a heading is the target of links to its words.
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # headings of an included page may skip a level

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True  # as they are written, not their values
nitpick_ignore_regex = [("py:class", ".*")]  # types of other packages have no page here
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False

smartquotes = False  # two hyphens are two hyphens

html_theme = "furo"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["site.css"]

# Long tables on these pages, and on those in systems/, are folded.
evidence_pages = {
    *("claims", "reproductions", "boundaries", "laws", "order-parameters", "scaling"),
    *("transition", "comparisons", "statistics", "benchmarks", "labels", "engine"),
}
