"""Reports as people and programs read them: on the terminal, as JSON, as a page."""
