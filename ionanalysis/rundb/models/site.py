"""What the server knows of itself and its surroundings: settings, places, instruments, messages, events, downloads."""

from datetime import UTC, datetime

from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType

from ionanalysis.rundb.models.columns import (
    CASCADE,
    SET_NULL,
    BigInteger,
    Bool,
    Char,
    Date,
    Float,
    ForeignKey,
    Integer,
    Json,
    Model,
    OneToOneField,
    Row,
)

LONG_AGO = datetime(1984, 11, 6, tzinfo=UTC)


class GlobalConfig(Row):
    name = Char()
    auto_archive_ack = Bool(default=False)
    auto_archive_enable = Bool(default=False)
    base_recalibration_mode = Char(default="standard_recal")
    check_news_posts = Bool(default=True)
    cluster_auto_disable = Bool(default=True)
    default_flow_order = Char(blank=True)
    default_library_key = Char(blank=True)
    default_storage_options = Char(blank=True, default="D")
    default_test_fragment_key = Char(blank=True)
    enable_auto_pkg_dl = Bool(default=True)
    enable_auto_security = Bool(default=True)
    enable_compendia_OCP = Bool(default=False)
    enable_nightly_email = Bool(default=True)
    enable_support_upload = Bool(default=False)
    enable_version_lock = Bool(default=False)
    mark_duplicates = Bool(default=False)
    plugin_output_folder = Char(blank=True)
    realign = Bool(default=False)
    records_to_display = Integer(blank=True, default=20)
    sec_update_status = Char(blank=True)
    selected = Bool()
    site_name = Char(blank=True)
    ts_update_status = Char(blank=True)
    web_root = Char(blank=True)


class Location(Row):
    name = Char()
    comments = Char(blank=True)
    defaultlocation = Bool(default=False, help_text="Only one location can be the default")


class Rig(Model):
    location = ForeignKey(Location, CASCADE, related_name="rigs")
    name = Char(primary_key=True)
    alarms = Json(blank=True)
    comments = Char(blank=True)
    ftppassword = Char(default="ionguest")
    ftprootdir = Char(default="results")
    ftpserver = Char(default="192.168.201.1")
    ftpusername = Char(default="ionguest")
    host_address = Char(blank=True)
    last_clean_date = Char(blank=True)
    last_experiment = Char(blank=True)
    last_init_date = Char(blank=True)
    serial = Char(null=True)
    state = Char(blank=True)
    type = Char(blank=True)
    updateCommand = Json(blank=True)
    updateflag = Bool(default=False)
    updatehome = Char(default="192.168.201.1")
    version = Json(blank=True)


class FileServer(Row):
    location = ForeignKey(Location, SET_NULL, null=True, related_name="+")
    name = Char()
    comments = Char(blank=True)
    filesPrefix = Char()
    percentfull = Float(default=0.0, null=True)


class EmailAddress(Row):
    email = Char(blank=True)
    selected = Bool()


class Message(Row):
    body = Char(blank=True)
    expires = Char(blank=True, default="read")
    level = Integer(default=20)
    route = Char(blank=True)
    status = Char(blank=True, default="unread")
    tags = Char(blank=True)
    time = Date(auto_now_add=True)


class EventLog(Row):
    content_type = ForeignKey(ContentType, CASCADE, null=True, related_name="+")
    created = Date(auto_now_add=True)
    object_pk = Integer()
    text = Char(default="")
    username = Char(blank=True, default="ION")


class MonitorData(Row):
    name = Char(default="")
    treeDat = Json(blank=True)


class FileMonitor(Row):
    name = Char(default="")
    celery_task_id = Char(blank=True)
    created = Date(auto_now_add=True)
    local_dir = Char(default="")
    md5sum = Char(default=None, null=True)
    progress = BigInteger(default=0)
    size = BigInteger(default=None, null=True)
    status = Char(default="")
    tags = Char(default="")
    updated = Date(auto_now=True)
    url = Char()


class IonMeshNode(Row):
    apikey_local = Char(null=True)
    apikey_remote = Char(null=True)
    hostname = Char(unique=True)
    share_data = Bool(default=True)
    share_monitoring = Bool(default=True)
    share_plans = Bool(default=True)
    system_id = Char(unique=True)


class Cruncher(Row):
    """A node that computes; events about it are listed by `clusterinfohistory`."""

    name = Char(unique=True)
    state = Char(blank=True)
    comments = Char(blank=True)
    date = Date(auto_now_add=True)


class UserProfile(Row):
    user = OneToOneField(User, CASCADE, related_name="profile")
    name = Char(blank=True)
    title = Char(blank=True, default="user")
    phone_number = Char(blank=True)
    note = Char(blank=True)
    last_read_news_post = Date(default=LONG_AGO)
