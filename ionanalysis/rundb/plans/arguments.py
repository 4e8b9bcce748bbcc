"""Choice of an analysis' command lines (rest-api.md 7.4)."""

from dataclasses import dataclass

from ionanalysis.rundb import models
from ionanalysis.rundb.plans.names import ARGUMENTS


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """What the choice depends on: names of kits, a run type's and an application group's key."""

    sequenceKitName: str = ""
    templateKitName: str = ""
    libraryKitName: str = ""
    samplePrepKitName: str = ""
    applType_id: int | None = None
    applGroup_id: int | None = None


def chosen_row(rows, criteria):
    """The row of a chip that fits best, or None.

    Parameters
    ----------
    rows : list
        Rows of `analysisargs` of one chip, newest first.
    criteria : Criteria
        Of the plan.
    """
    if len(rows) == 1:
        return rows[0]
    wanted = vars(criteria)
    fitting = [
        row for row in rows if all(not getattr(row, name) or getattr(row, name) == wanted[name] for name in wanted)
    ]

    def met(row):
        return sum(bool(value) and getattr(row, name) == value for name, value in wanted.items())

    best = max(fitting, key=met, default=None)
    if best is not None and met(best):
        return best
    return next((row for row in rows if row.chip_default), None)


def arguments_for(chip, criteria):
    """The 14 command lines of a chip under these criteria; empty texts where nothing is known of the chip."""
    system = models.AnalysisArgs.objects.filter(isSystem=True).order_by("-pk")
    rows = list(system.filter(chipType=chip)) if chip else []
    if not rows and chip:
        rows = list(system.filter(chipType=chip[:3]))
    # Chips that are no longer sold have rows that are not active, and no others.
    row = chosen_row([row for row in rows if row.active] or rows, criteria)
    return {name: getattr(row, name) if row is not None else "" for name in ARGUMENTS}


def criteria_of(values, lists, group=None):
    """The criteria of a plan.

    Parameters
    ----------
    values : callable
        ``name -> value`` under the API's names.
    lists : Lists
    group : int, optional
        Key of its application group.
    """
    run_type = lists.run_type(values("runType"))
    return Criteria(
        sequenceKitName=values("sequencekitname"),
        templateKitName=values("templatingKitName"),
        libraryKitName=values("librarykitname"),
        samplePrepKitName=values("samplePrepKitName"),
        applType_id=run_type and run_type.pk,
        applGroup_id=group,
    )
