"""The files of reports, whether they are kept, and the space that they take (rest-api.md 2.9, 3.2)."""

from django.db.models import Q

from ionanalysis.plugin.startplugin import DATA_KINDS
from ionanalysis.rundb import models
from ionanalysis.rundb.protocol import Boolean, Refusal, String, Table, pattern_of

_LISTED = ("id", "resultsName", "timeStamp", "diskusage", "expDir", "expName")
_SETS = dict(zip(("sigproc", "basecall", "output", "misc"), DATA_KINDS, strict=True))
_STATES = {
    "L": "Local",
    "AD": "Archived",
    "DD": "Deleted",
    "AG": "Archiving",
    "DG": "Deleting",
    "EG": "Exporting",
    "IG": "Importing",
    "E": "Error",
}
_AT_WORK = ("AG", "DG", "EG", "IG")


class CompositeDataManagement(
    Table,
    rows=models.Results,
    only=("id", "resultsName", "timeStamp", "diskusage"),
    where=Q(experiment__isnull=False) & ~Q(experiment__expDir=""),
    filters=_LISTED,
    orders=_LISTED,
):
    expName = String("experiment__expName", readonly=True)
    expDir = String("experiment__expDir", readonly=True)
    in_process = Boolean(default=False)
    sigproc_state = String(default="Unknown", readonly=True)
    sigproc_keep = String(null=True, readonly=True)
    basecall_state = String(default="Unknown", readonly=True)
    basecall_keep = String(null=True, readonly=True)
    output_state = String(default="Unknown", readonly=True)
    output_keep = String(null=True, readonly=True)
    misc_state = String(default="Unknown", readonly=True)
    misc_keep = String(null=True, readonly=True)

    @classmethod
    def with_relations(cls, rows):
        return super().with_relations(rows).select_related("experiment").prefetch_related("dmfilestat_set")

    def narrow(self, request, rows):
        """By name, and by state of each set of files: kept (K), to be disposed of (P), or a state's letter."""
        pattern = pattern_of(request.GET, "search_name")
        if pattern:
            rows = rows.filter(Q(experiment__expName__regex=pattern) | Q(resultsName__regex=pattern))
        for name in _SETS:
            letter = request.GET.get(f"{name}_filter")
            if letter:
                rows = rows.filter(pk__in=_in_state(name, letter))
        return rows

    def dehydrate(self, bundle):
        """Add state, keeping and space of each set of files."""
        row = bundle.obj
        known = {stat.dmfileset: stat for stat in row.dmfilestat_set.all()}
        for name, kind in _SETS.items():
            stat = known.get(kind)
            bundle.data[f"{name}_diskspace"] = stat.diskspace if stat else None
            if stat:
                bundle.data[f"{name}_state"] = _STATES.get(stat.action_state, stat.action_state)
                bundle.data[f"{name}_keep"] = _is_kept(row, name, stat)
        bundle.data["in_process"] = any(stat.action_state in _AT_WORK for stat in known.values())
        return bundle


def _is_kept(report, name, stat):
    """Whether the files are never disposed of; raw images where the run says so."""
    return bool(stat.user_keep) or (name == "sigproc" and report.experiment.storage_options == "KI")


def _in_state(name, letter):
    """Numbers of reports whose set of files is in a state."""
    if len(letter) > 2:
        raise Refusal(400, {"error": f"'{name}_filter' takes K, P or the letters of a state."})
    stats = models.DMFileStat.objects.filter(dmfileset=_SETS[name])
    kept = Q(user_keep=True)
    if name == "sigproc":
        kept |= Q(result__experiment__storage_options="KI")
    if letter == "K":
        stats = stats.filter(kept)
    elif letter == "P":
        stats = stats.filter(action_state="L").exclude(kept)
    else:
        stats = stats.filter(action_state=letter)
    return stats.values("result_id")
