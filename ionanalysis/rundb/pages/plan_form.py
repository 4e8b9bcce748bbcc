"""The form of a plan: the fields that a run needs, as the API names them (rest-api.md 7)."""

import re

from django import forms

from ionanalysis.rundb.api.plans import OF_RUN, OF_SETTINGS
from ionanalysis.rundb.models import (
    ApplicationGroup,
    Chip,
    Content,
    DnaBarcode,
    KitInfo,
    ReferenceGenome,
    RunType,
)
from ionanalysis.rundb.pages.installed import plugins, selection

_KITS = {
    "templatingKitName": ("TemplatingKit", "IonChefPrepKit"),
    "sequencekitname": ("SequencingKit",),
    "librarykitname": ("LibraryKit",),
    "samplePrepKitName": ("SamplePrepKit",),
}
_SAMPLES_HELP = (
    "One line for each barcode: its name, then the sample; lines copied from a table do. "
    "DNA or RNA may stand behind a second comma."
)
_COLUMN = re.compile(r"\s*[\t,;]\s*")


class PlanForm(forms.Form):
    """Checks shapes only: what may go together is for the API to say."""

    planName = forms.CharField(label="Name", max_length=60, help_text="Letters, digits, spaces and . - _")
    isReusable = forms.BooleanField(label="This is a template, for plans to be made of", required=False)
    applicationGroupDisplayedName = forms.ChoiceField(label="Application group", required=False)
    runType = forms.ChoiceField(label="Run type")
    chipType = forms.ChoiceField(label="Chip", required=False)
    flows = forms.IntegerField(label="Flows", min_value=0, max_value=2000, initial=500)
    templatingKitName = forms.ChoiceField(label="Templating kit", required=False)
    sequencekitname = forms.ChoiceField(label="Sequencing kit", required=False)
    librarykitname = forms.ChoiceField(label="Library kit", required=False)
    samplePrepKitName = forms.ChoiceField(label="Sample preparation kit", required=False)
    library = forms.ChoiceField(label="Reference", required=False)
    bedfile = forms.ChoiceField(label="Target regions", required=False)
    regionfile = forms.ChoiceField(label="Hot spots", required=False)
    barcodeId = forms.ChoiceField(label="Barcode set", required=False)
    sample = forms.CharField(label="Sample", max_length=127, required=False, help_text="Of a run without barcodes.")
    samples = forms.CharField(
        label="Samples by barcode",
        required=False,
        help_text=_SAMPLES_HELP,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "placeholder": "IonXpress_001, liver"}),
    )
    selectedPlugins = forms.MultipleChoiceField(
        label="Plugins that run on the result", required=False, widget=forms.CheckboxSelectMultiple
    )
    projects = forms.CharField(label="Projects", max_length=1000, required=False, help_text="Separated by commas.")
    notes = forms.CharField(label="Notes", max_length=1024, required=False, widget=forms.Textarea(attrs={"rows": 3}))

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name, choices in _choices().items():
            held = self.initial.get(name)
            known = {value for value, _ in _flat(choices)}
            # What a plan holds stays to be chosen, though it is offered no more.
            extra = [(held, held)] if isinstance(held, str) and held and held not in known else []
            self.fields[name].choices = [*choices, *extra]
        for name, field in self.fields.items():
            if field.help_text and not isinstance(field.widget, forms.CheckboxSelectMultiple):
                field.widget.attrs["aria-describedby"] = f"help_{name}"

    def clean_samples(self):
        """Barcode, sample and kind of nucleic acid of each line."""
        lines = []
        for number, line in enumerate(self.cleaned_data["samples"].splitlines(), 1):
            if not line.strip():
                continue
            words = [word.strip() for word in _COLUMN.split(line.strip(), 2)]
            if len(words) == 1:
                words = line.split(None, 1)
            if len(words) < 2 or not words[1]:
                raise forms.ValidationError(
                    f"Line {number}: write a barcode and its sample, such as IonXpress_001, liver."
                )
            kind = words[2].upper() if len(words) == 3 else ""
            if kind not in ("", "DNA", "RNA"):
                raise forms.ValidationError(f"Line {number}: {words[2]!r} is neither DNA nor RNA.")
            lines.append((words[0], words[1], kind))
        barcodes = [barcode for barcode, _, _ in lines]
        twice = next((one for one in barcodes if barcodes.count(one) > 1), None)
        if twice:
            raise forms.ValidationError(f"{twice} has more than one sample.")
        return lines

    def clean(self):
        data = super().clean()
        if data.get("samples") and not data.get("barcodeId"):
            self.add_error("barcodeId", "Choose the set to which these barcodes belong.")
        return data

    def told(self, kept_plugins):
        """What the API is sent.

        Parameters
        ----------
        kept_plugins : dict
            What the plan holds of plugins already; configurations of those that stay are kept.
        """
        data = dict(self.cleaned_data)
        lines = data.pop("samples")
        data["projects"] = [name for word in data["projects"].split(",") if (name := word.strip())]
        data["selectedPlugins"] = _plugins(data["selectedPlugins"], kept_plugins)
        data["barcodedSamples"] = _barcoded(lines, data) if data["barcodeId"] else {}
        if data["barcodeId"]:
            data["sample"] = ""
        # Reads are trimmed and aligned with what the group of the run type does by itself where none is named.
        if not data["applicationGroupDisplayedName"]:
            del data["applicationGroupDisplayedName"]
        return data


def _barcoded(lines, data):
    """Samples in the API's form: each with its barcodes, and what is known of each of these."""
    default = "RNA" if RunType.objects.filter(runType=data["runType"], nucleotideType="rna").exists() else "DNA"
    samples: dict[str, dict] = {}
    for barcode, sample, kind in lines:
        one = samples.setdefault(sample, {"barcodes": [], "barcodeSampleInfo": {}})
        one["barcodes"].append(barcode)
        one["barcodeSampleInfo"][barcode] = {
            "reference": data["library"],
            "targetRegionBedFile": data["bedfile"],
            "hotSpotRegionBedFile": data["regionfile"],
            "nucleotideType": kind or default,
            "controlSequenceType": "",
            "controlType": "",
            "description": "",
            "externalId": "",
        }
    return samples


def _plugins(numbers, kept):
    chosen = plugins().filter(pk__in=numbers)
    return {plugin.name: {**selection(plugin), **kept.get(plugin.name, {})} for plugin in chosen}


def _flat(choices):
    for value, label in choices:
        if isinstance(label, list | tuple):
            yield from label
        else:
            yield value, label


def _choices():
    """What each field offers."""
    empty = ("", "\u2013 none \u2013")
    kits: dict[str, list] = {kind: [] for kinds in _KITS.values() for kind in kinds}
    for kind, name, description in (
        KitInfo.objects.filter(isActive=True, kitType__in=kits)
        .order_by("name")
        .values_list("kitType", "name", "description")
    ):
        kits[kind].append((name, description or name))
    chips: dict[str, list] = {}
    for name, description, instrument in (
        Chip.objects.filter(isActive=True).order_by("name").values_list("name", "description", "instrumentType")
    ):
        chips.setdefault(instrument or "any instrument", []).append((name, description or name))
    references = ReferenceGenome.objects.filter(enabled=True).order_by("short_name").values_list("short_name", "name")
    regions = _bed_files()
    return {
        "applicationGroupDisplayedName": [
            ("", "\u2013 that of the run type \u2013"),
            *_named(ApplicationGroup.objects.filter(isActive=True).order_by("name"), "name", "description"),
        ],
        "runType": _named(RunType.objects.filter(isActive=True).order_by("pk"), "runType", "description"),
        "chipType": [empty, *sorted(chips.items())],
        **{name: [empty, *(kit for kind in kinds for kit in kits[kind])] for name, kinds in _KITS.items()},
        "library": [empty, *((short, f"{short} ({long})") for short, long in references)],
        "bedfile": [empty, *regions],
        "regionfile": [empty, *regions],
        "barcodeId": [
            empty,
            *(
                (name, name)
                for name in DnaBarcode.objects.filter(active=True)
                .order_by("name")
                .values_list("name", flat=True)
                .distinct()
            ),
        ],
        "selectedPlugins": [
            (str(plugin.pk), f"{plugin.name} {plugin.version}") for plugin in plugins().filter(selected=True)
        ],
    }


def _named(rows, value, label):
    return [(one[value], one[label] or one[value]) for one in rows.values(value, label)]


def _bed_files():
    paths = Content.objects.filter(publisher__name="BED", path__contains="/unmerged/detail/").order_by("path")
    return [
        (path.rpartition("/")[2], path.lstrip("/").replace("/unmerged/detail/", ": "))
        for path in paths.values_list("path", flat=True)
    ]


def held_by(plan):
    """What a plan's rows hold, by the names of the form's fields."""
    run, settings = getattr(plan, "experiment", None), plan.latestEAS
    held = {
        "planName": plan.planDisplayedName or plan.planName or "",
        "applicationGroupDisplayedName": plan.applicationGroup.name if plan.applicationGroup else "",
        **{name: getattr(plan, name) for name in ("isReusable", "runType", "templatingKitName", "samplePrepKitName")},
        "projects": ", ".join(plan.projects.order_by("name").values_list("name", flat=True)),
    }
    fields = PlanForm.base_fields
    for row, columns in ((run, OF_RUN), (settings, OF_SETTINGS)):
        held |= {name: getattr(row, column) for name, column in columns.items() if row is not None and name in fields}
    for name in ("bedfile", "regionfile"):
        held[name] = (held.get(name) or "").rpartition("/")[2]
    chosen = held.pop("selectedPlugins", None) or {}
    held["selectedPlugins"] = [str(pk) for pk in plugins().filter(name__in=list(chosen)).values_list("pk", flat=True)]
    samples = settings.barcodedSamples if settings is not None and isinstance(settings.barcodedSamples, dict) else {}
    held["samples"] = "\n".join(
        _line(name, barcode, one) for name, one in samples.items() for barcode in _barcodes(one)
    )
    if run is not None and not samples:
        held["sample"] = run.samples.order_by("pk").values_list("displayedName", flat=True).first() or ""
    return held


def _barcodes(sample):
    barcodes = sample.get("barcodes") if isinstance(sample, dict) else None
    return barcodes if isinstance(barcodes, list) else []


def _line(name, barcode, sample):
    info = sample.get("barcodeSampleInfo", {})
    kind = info.get(barcode, {}).get("nucleotideType", "") if isinstance(info, dict) else ""
    return f"{barcode}, {name}" + (f", {kind}" if kind in ("DNA", "RNA") else "")
