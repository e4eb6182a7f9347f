"""Configuration of Sphinx for the help pages."""

from sphinx.application import Sphinx

from bongsu import __version__
from scripts.help.korean import SearchKorean

project = "Bongsu"
author = "Bongsu"
version = release = __version__
extensions = ["myst_parser"]
exclude_patterns = ["_files"]
templates_path = ["templates"]
highlight_language = "text"
# Anchors as on GitHub, so that the same links work there.
myst_heading_anchors = 4
html_theme = "furo"
html_title = "Bongsu"
html_static_path = ["static"]
html_css_files = ["help.css"]
html_favicon = "../../frontend/public/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_use_index = False
html_domain_indices = False
html_theme_options = {"top_of_page_buttons": []}
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/language.html",
        "sidebar/scroll-end.html",
    ]
}


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_search_language(SearchKorean)
