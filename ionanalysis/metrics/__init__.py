"""How the run went, as JSON."""
