"""Projects, runs ("experiments"), the settings of an analysis, and its results ("reports")."""

from django.contrib.auth.models import User

from ionanalysis.rundb.models.columns import (
    CASCADE,
    SET_NULL,
    Bool,
    Char,
    CommandLines,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    Json,
    ManyToManyField,
    OneToOneField,
    Row,
    Text,
)
from ionanalysis.rundb.models.plans import PlannedExperiment
from ionanalysis.rundb.models.site import FileMonitor


class Project(Row):
    creator = ForeignKey(User, CASCADE, related_name="projects")
    name = Char(unique=True)
    created = Date(auto_now_add=True)
    modified = Date(auto_now=True)
    public = Bool(default=True)


class ReportStorage(Row):
    name = Char()
    default = Bool(default=False)
    dirPath = Char()
    webServerPath = Char()


class Experiment(Row):
    plan = OneToOneField(PlannedExperiment, CASCADE, null=True, related_name="experiment")
    repResult = OneToOneField("Results", SET_NULL, null=True, related_name="+")
    autoAnalyze = Bool(default=True)
    baselineRun = Bool(default=False)
    chefChipExpiration1 = Char(blank=True)
    chefChipExpiration2 = Char(blank=True)
    chefChipType1 = Char(blank=True)
    chefChipType2 = Char(blank=True)
    chefExtraInfo_1 = Char(blank=True)
    chefExtraInfo_2 = Char(blank=True)
    chefInstrumentName = Char(blank=True)
    chefKitType = Char(blank=True)
    chefLastUpdate = Date(null=True)
    chefLogPath = Char(null=True)
    chefLotNumber = Char(blank=True)
    chefManufactureDate = Char(blank=True)
    chefMessage = Char(blank=True)
    chefPackageVer = Char(blank=True)
    chefProgress = Float(blank=True, default=0.0)
    chefReagentID = Char(blank=True)
    chefReagentsExpiration = Char(blank=True)
    chefReagentsLot = Char(blank=True)
    chefReagentsPart = Char(blank=True)
    chefSamplePos = Char(blank=True)
    chefScriptVersion = Char(blank=True)
    chefSolutionsExpiration = Char(blank=True)
    chefSolutionsLot = Char(blank=True)
    chefSolutionsPart = Char(blank=True)
    chefStatus = Char(blank=True)
    chefTipRackBarcode = Char(blank=True)
    chipBarcode = Char(blank=True)
    chipType = Char()
    cycles = Integer()
    date = Date(db_index=True)
    diskusage = Integer(null=True)
    displayName = Char(default="")
    expCompInfo = Char(blank=True)
    expDir = Char()
    expName = Char()
    flows = Integer()
    flowsInOrder = Char(blank=True)
    ftpStatus = Char(blank=True)
    isReverseRun = Bool(default=False)
    log = Json(blank=True)
    metaData = Json(blank=True)
    notes = Char(null=True)
    pgmName = Char()
    pinnedRepResult = Bool(default=False)
    platform = Char(blank=True)
    rawdatastyle = Char(default="single", null=True)
    reagentBarcode = Char(blank=True)
    resultDate = Date(auto_now_add=True, null=True)
    reverse_primer = Char(null=True)
    runMode = Char(blank=True)
    runtype = Char()
    seqKitBarcode = Char(blank=True)
    sequencekitbarcode = Char(null=True)
    sequencekitname = Char(null=True)
    star = Bool(default=False)
    status = Char(blank=True)
    storage_options = Char(default="A")
    storageHost = Char(null=True)
    unique = Char(unique=True)
    usePreBeadfind = Bool(default=True)
    user_ack = Char(default="U")

    class Meta:
        indexes = (
            Index(fields=("-resultDate",), name="runs_by_result"),
            Index(fields=("date",), name="runs_by_date"),
            Index(fields=("chipType",), name="runs_by_chip"),
            # Holds all that decides whether a list of runs shows one, so that they are counted without the rows.
            Index(fields=("status", "expDir", "expName"), name="runs_that_are_shown"),
        )

    @property
    def is_proton(self):
        """Whether the chip belongs to the Proton, as its platform says."""
        return self.platform.lower() == "proton"


class ExperimentAnalysisSettings(CommandLines):
    experiment = ForeignKey(Experiment, CASCADE, null=True, related_name="eas_set")
    barcodedSamples = Json(null=True)
    barcodeKitName = Char(null=True)
    base_recalibration_mode = Char(default="standard_recal")
    custom_args = Bool(default=False)
    date = Date(null=True)
    hotSpotRegionBedFile = Char(null=True)
    isDuplicateReads = Bool(default=False)
    isEditable = Bool(default=False)
    isOneTimeOverride = Bool(default=False)
    libraryKey = Char(blank=True)
    libraryKitBarcode = Char(null=True)
    libraryKitName = Char(null=True)
    mixedTypeRNA_hotSpotRegionBedFile = Char(null=True)
    mixedTypeRNA_reference = Char(null=True)
    mixedTypeRNA_targetRegionBedFile = Char(null=True)
    realign = Bool(default=False)
    reference = Char(null=True)
    selectedPlugins = Json(null=True)
    sseBedFile = Text(null=True)
    status = Char(blank=True)
    targetRegionBedFile = Char(null=True)
    tfKey = Char(blank=True)
    threePrimeAdapter = Char(null=True)


class Results(Row):
    folder = Char(blank=True)
    experiment = ForeignKey(Experiment, CASCADE, null=True, related_name="results_set")
    eas = ForeignKey(ExperimentAnalysisSettings, SET_NULL, null=True, related_name="results_set")
    projects = ManyToManyField(Project, related_name="results")
    reportstorage = ForeignKey(ReportStorage, CASCADE, related_name="+")
    parentResult = ForeignKey("self", SET_NULL, null=True, related_name="childResults")
    analysismetrics = OneToOneField("AnalysisMetrics", SET_NULL, null=True, related_name="+")
    libmetrics = OneToOneField("LibMetrics", SET_NULL, null=True, related_name="+")
    qualitymetrics = OneToOneField("QualityMetrics", SET_NULL, null=True, related_name="+")
    analysisVersion = Char()
    autoExempt = Bool(default=False)
    diskusage = Integer(null=True)
    framesProcessed = Integer()
    log = Char(blank=True)
    metaData = Json(blank=True)
    parentIDs = Char(blank=True)
    processedCycles = Integer()
    processedflows = Integer()
    reference = Char(null=True)
    reportLink = Char()
    reportStatus = Char(default="Nothing", null=True)
    representative = Bool(default=False)
    resultsName = Char()
    resultsType = Char(blank=True)
    runid = Char(blank=True)
    status = Char()
    timeStamp = Date(auto_now_add=True)
    timeToComplete = Char()

    class Meta:
        indexes = (
            Index(fields=("timeStamp",), name="reports_by_time"),
            Index(fields=("status", "timeStamp"), name="reports_by_status"),
            Index(fields=("resultsName",), name="reports_by_name"),
        )


class SupportUpload(Row):
    result = ForeignKey(Results, CASCADE, related_name="+")
    file = ForeignKey(FileMonitor, SET_NULL, null=True, related_name="+")
    celery_task_id = Char(blank=True)
    contact_email = Char(default="")
    created = Date(auto_now_add=True)
    description = Char(default="")
    local_message = Char(blank=True)
    local_status = Char(blank=True)
    ticket_id = Char(blank=True)
    ticket_message = Char(blank=True)
    ticket_status = Char(blank=True)
    updated = Date(auto_now=True)


class DMFileStat(Row):
    """Disk space and keeping of one of the four sets of files of a report."""

    result = ForeignKey(Results, CASCADE, related_name="dmfilestat_set")
    dmfileset = Char()
    action_state = Char(default="L")
    user_keep = Bool(null=True)
    diskspace = Float(null=True)
    created = Date(auto_now_add=True)
