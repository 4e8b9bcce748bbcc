"""Helper modules that plugins import (plugin.md 7)."""
