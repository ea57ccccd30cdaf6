"""How the documentation is built."""

import sys
from pathlib import Path

from torc_core import __version__

project = "torc"
release = version = __version__
sys.path.insert(0, str(Path(__file__).parent / "_ext"))
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated"]
exclude_patterns = ["_build", "changes"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "alabaster"
html_theme_options = {"description": "Workflows of many jobs", "fixed_sidebar": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
nitpicky = False
