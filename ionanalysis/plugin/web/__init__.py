"""Configuration pages, the barcode table and plugin results in a browser, until a full server runs (plugin.md 4)."""
