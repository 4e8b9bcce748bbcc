"""`startplugin.json`: what a plugin learns about the run and about its own launch (plugin.md 5.1 to 5.6)."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ionanalysis.plugin.expmeta import expmeta, json_object
from ionanalysis.plugin.ion_params import report_type

DATA_KINDS = ("Signal Processing Input", "Basecalling Input", "Output Files", "Intermediate Files")
"""Kinds of files that the original may delete while it keeps the report."""


@dataclass(frozen=True, kw_only=True)
class PluginLaunch:
    """One launch of one plugin. The defaults stand for "any plugin, before one is launched"."""

    name: str = ""
    version: str = ""
    path: str = ""
    id: int = 1
    """Place in the list of installed plugins, or its database key."""
    features: tuple[str, ...] = ()
    runtypes: tuple[str, ...] = ()
    runlevels: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    level: str = "default"
    block: str = ""
    """`X<x>_Y<y>` at level `block`."""
    mode: str = "pipeline"
    """`pipeline` or `manual`."""
    result_id: int = 1
    global_config: dict = field(default_factory=dict)
    plan_input: dict | str = ""
    instance_config: dict = field(default_factory=dict)
    file_config: dict = field(default_factory=dict)
    """`pluginconfig.json` of the plugin's directory."""
    planning_version: str = ""
    hold_jobs: tuple[int, ...] = ()
    dependencies: dict = field(default_factory=dict)
    """Results of declared dependencies by plugin name: pluginresult, version, pluginresult_path."""
    former_job: int | None = None
    """The plugin's job at the level before, in the same launch."""
    block_jobs: tuple[int, ...] = ()
    """Its jobs on blocks."""
    config_order: str = "sdk"
    """Which configuration goes first: `sdk` as the document says, `ts` as the original's code does it."""

    @property
    def config(self):
        """The first configuration that is not empty, whole; nothing is merged (plugin.md 4.1)."""
        is_manual = self.mode == "manual"
        order: list[dict | str]
        if self.config_order == "ts":
            order = [self.instance_config if is_manual else {}, self.global_config, self.plan_input, self.file_config]
        else:
            order = [self.instance_config if is_manual else self.plan_input, self.global_config, self.file_config]
        return next((config for config in order if config), {})


@dataclass(frozen=True, kw_only=True)
class ReportFacts:
    """What is known of a result when a plugin starts."""

    report_dir: str
    params: dict
    """Content of `ion_params_00.json`."""
    analysis_date: str
    """YYYY-MM-DD of `ion_params_00.json`."""
    pk: int = 1
    api_key: str = ""
    block_dirs: tuple[str, ...] = ()
    """Block directories below the report, absolute; none for whole chips."""
    folders: frozenset = frozenset({"sigproc_results", "basecaller_results"})
    """Which of the stage folders exist."""
    on_disk: dict = field(default_factory=dict)
    """Of each data kind, whether its files are still there."""
    raw_block_dir: str = ""
    """The raw directory of the launch's block, where one has been found."""
    chip_description: str = ""
    run_type_description: str = ""


def startplugin_json(report, launch=None):
    """The object of `startplugin.json`. Every documented key is there, in both spellings where two exist.

    Parameters
    ----------
    report : ReportFacts
    launch : PluginLaunch, optional
        Without one, what any plugin would get.
    """
    launch = launch or PluginLaunch()
    params = report.params
    started = {
        "runinfo": _runinfo(report, launch),
        "runplugin": _runplugin(report, launch),
        "expmeta": expmeta(params, report.analysis_date),
        "plan": _plan(report),
        "pluginconfig": launch.config,
        "globalconfig": {"debug": 0, "MEM_MAX": "15G"},
        "sampleinfo": params.get("sampleInfo") or {},
        "datamanagement": {kind: bool(report.on_disk.get(kind, True)) for kind in DATA_KINDS},
        "chefSummary": _chef_summary(json_object(params.get("exp_json"))),
    }
    if launch.depends:
        started["depends"] = launch.dependencies
    return started


def plugin_results_dir(report_dir, launch):
    """Directory of all results of a launch (`plugin_out/NAME_out.ID`), and the working directory of its level."""
    home = str(PurePosixPath(report_dir, "plugin_out", f"{launch.name}_out.{launch.result_id}"))
    if not launch.name:
        return str(report_dir), str(report_dir)
    if launch.level == "block":
        block = PurePosixPath(report_dir, f"block_{launch.block}", "plugin_out")
        return home, str(block / f"{launch.name}_out.{launch.result_id}")
    return home, f"{home}/post" if launch.level == "post" else home


def _runinfo(report, launch):
    params, root = report.params, report.report_dir
    experiment = json_object(params.get("exp_json"))
    block = f"/block_{launch.block}" if launch.level == "block" else ""
    raw_dir = params.get("pathToData", "")
    _, working_dir = plugin_results_dir(root, launch)
    location = params.get("net_location") or "http://localhost"
    platform = params.get("platform", "")
    return {
        "raw_data_dir": (report.raw_block_dir or raw_dir + block) if block else raw_dir,
        "report_root_dir": root,
        "analysis_dir": root,
        "sigproc_dir": _stage_dir(report, "sigproc_results") + block,
        "basecaller_dir": _stage_dir(report, "basecaller_results") + block,
        "alignment_dir": root + block,
        "results_dir": working_dir,
        "library_key": params.get("libraryKey") or "TCAG",
        "testfrag_key": params.get("tfKey") or "ATCG",
        "library": params.get("referenceName") or params.get("libraryName") or "none",
        "barcodeId": params.get("barcodeId") or "",
        "chipType": params.get("chiptype", ""),
        "chipDescription": report.chip_description,
        "platform": platform,
        "systemType": json_object(experiment.get("log")).get("systemtype") or platform,
        "tmap_version": params.get("tmap_version", ""),
        "net_location": location,
        "api_url": f"{location}/rundb/api",
        "api_key": report.api_key,
        "url_root": params.get("url_path", ""),
        "pk": report.pk,
        "pluginresult": launch.result_id,
        "username": params.get("username", ""),
        "plugin_dir": launch.path,
        "plugin_name": launch.name,
        "plugin": _plugin(report, launch),
    }


def _stage_dir(report, folder):
    return f"{report.report_dir}/{folder}" if folder in report.folders else report.report_dir


def _plugin(report, launch):
    home, _ = plugin_results_dir(report.report_dir, launch)
    plugin = {
        "name": launch.name,
        "version": launch.version,
        "path": launch.path,
        "id": launch.id,
        "pluginconfig": launch.global_config,
        "userInput": launch.plan_input,
        "features": list(launch.features),
        # The document spells singular, the code plural; plugins read either.
        "runtypes": list(launch.runtypes),
        "runtype": list(launch.runtypes),
        "runlevels": list(launch.runlevels),
        "runlevel": list(launch.runlevels),
        "depends": list(launch.depends),
        "results_dir": home,
        "pluginresult": launch.result_id,
        "hold_jid": list(launch.hold_jobs),
    }
    if launch.planning_version:
        plugin["planning_version"] = launch.planning_version
    if launch.former_job is not None:
        plugin["jid"] = launch.former_job
    if launch.block_jobs:
        plugin["block_jid"] = list(launch.block_jobs)
    return plugin


def _runplugin(report, launch):
    # The original gives "." without blocks, relative to nothing useful.
    block_dirs = list(report.block_dirs) or [report.report_dir]
    return {
        "run_type": report_type(report.params),
        "runlevel": launch.level,
        "blockId": launch.block if launch.level == "block" else "",
        "block_dirs": block_dirs,
        "numBlocks": len(block_dirs),
        "run_mode": launch.mode,
    }


def _plan(report):
    plan = report.params.get("plan") or {}
    settings = report.params.get("experimentAnalysisSettings") or {}
    experiment = json_object(report.params.get("exp_json"))
    nullable = (
        "controlSequencekitname",
        "planName",
        "reverse_primer",
        "runMode",
        "runType",
        "samplePrepKitName",
        "templatingKitName",
        "username",
        "sampleGrouping",
        "sampleTubeLabel",
        "sampleSet_name",
        "sampleSet_uid",
    )
    return {
        "barcodeId": settings.get("barcodeKitName") or "",
        "endBarcodeKitName": settings.get("endBarcodeKitName") or "",
        "barcodedSamples": settings.get("barcodedSamples") or {},
        "bedfile": settings.get("targetRegionBedFile") or "",
        "regionfile": settings.get("hotSpotRegionBedFile") or "",
        "sseBedFile": settings.get("sseBedFile") or "",
        "librarykitname": settings.get("libraryKitName") or "",
        "threePrimeAdapter": settings.get("threePrimeAdapter") or "",
        **{key: plan.get(key) for key in nullable},
        "sampleSet_planIndex": plan.get("sampleSet_planIndex") or 0,
        "sampleSet_planTotal": plan.get("sampleSet_planTotal") or 0,
        "applicationGroup_id": plan.get("applicationGroup") or 1,
        "runTypeDescription": report.run_type_description,
        "sequencekitname": experiment.get("sequencekitname") or "",
    }


def _chef_summary(experiment):
    if not experiment.get("chefInstrumentName"):
        return {}
    return {key: value for key, value in experiment.items() if key.startswith("chef")}
