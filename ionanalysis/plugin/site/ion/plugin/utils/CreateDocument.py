"""Reports from `output.json` (plugin.md 6.8)."""

from ionanalysis.plugin.document import main, write_document

__all__ = ["main", "write_document"]

if __name__ == "__main__":
    raise SystemExit(main())
