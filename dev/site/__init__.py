"""Extensions of Sphinx for the documentation site, see docs/conf.py."""
