"""The steps of an article's way: gather, decide in the core, apply."""
