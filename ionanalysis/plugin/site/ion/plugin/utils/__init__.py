"""Reports made from `output.json`."""
