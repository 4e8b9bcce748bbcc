"""A plan between what was sent and what is stored."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Draft:
    """Values under the API's names, with what is to be said of them.

    Attributes
    ----------
    given : dict of str to object
        What is to be stored.
    stored : dict of str to object
        What the plan has; empty for a new one.
    errors, warnings : dict of str to list of str
        Messages by field.
    """

    given: dict[str, Any]
    stored: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_new(self):
        return not self.stored

    @property
    def is_template(self):
        return bool(self.value("isReusable"))

    @property
    def group(self):
        """Key of the application group, or None; it may be a row, or the address of one."""
        found = self.value("applicationGroup")
        key = str(getattr(found, "pk", None) or str(found).rstrip("/").rsplit("/", 1)[-1])
        return int(key) if key.isascii() and key.isdigit() and len(key) < 10 else None

    @property
    def barcoded(self):
        """The barcoded samples by their names; settings that were written directly may hold anything else."""
        found = self.value("barcodedSamples")
        return found if isinstance(found, dict) else {}

    def value(self, name):
        """What the plan will have; the empty text where nothing is known."""
        found = self.given.get(name, self.stored.get(name))
        return "" if found is None else found

    def touches(self, *names):
        """Whether one of these is given; all of a new plan counts as given."""
        return self.is_new or any(name in self.given for name in names)

    def refuse(self, name, message):
        """Note an error."""
        self.errors.setdefault(name, []).append(message)

    def warn(self, name, message):
        """Note a warning."""
        self.warnings.setdefault(name, []).append(message)

    def doubt(self, name, message):
        """Note what is an error in a new plan, and a warning when a plan is changed (rest-api.md 7.2)."""
        (self.refuse if self.is_new else self.warn)(name, message)
