"""A plugin with all the pages that plugins can have."""

from ionanalysis.plugin.store import PluginStore

PLUGIN = """
from ion.plugin import *
class Paged(IonPlugin):
    \"\"\"Has all pages.\"\"\"
    version = "1.0.0.0"
    def custom_validation(self, configuration, run_mode):
        return ["depth must be positive"] if int(configuration.get("depth", 1)) <= 0 else []
    def barcodetable_columns(self):
        return [
            {"field": "selected", "editable": True}, {"field": "barcode_name", "editable": False},
            {"field": "reference", "editable": True}, {"field": "target_region_filepath", "editable": True},
            {"field": "note", "type": "custom_input"},
        ]
    def barcodetable_data(self, data, planconfig={}, globalconfig={}):
        for row in data:
            row["note"] = "of " + row["barcode_name"]
        return data
    def launch(self, data=None):
        with open("told_block.html", "w") as page:
            page.write("<p>%s</p>" % self.startplugin["pluginconfig"])
        return True
if __name__ == "__main__":
    PluginCLI()
"""

EXTEND = """
def twice(bucket):
    return {"twice": 2 * int(bucket["request_get"]["n"]), "posted": bucket.get("request_post")}
"""

CONFIG_PAGE = """<!DOCTYPE html><html><head>
<script src="/site_media/resources/jquery/jquery-1.8.3.min.js"></script></head>
<body><script>
$(function () {
  var escaped = "";
  try { escaped = window.top.document.title; } catch (error) { escaped = "kept in"; }
  var fields = TB_plugin.fields;
  fields.config = {depth: 30, was: fields.config, media: TB_pluginMedia, escaped: escaped, result: typeof TB_result,
                   cookie: (function () { try { return document.cookie; } catch (error) { return "none"; } })()};
  $.ajax({url: "/rundb/api/v1/plugin/" + TB_plugin.pk + "/", type: "PUT", contentType: "application/json",
          data: JSON.stringify(fields), success: function () { parent.$.fn.colorbox.close(); }});
});
</script></body></html>"""

INSTANCE_PAGE = """<html><head><title>x</title></head><body><script>
var rows = window.parent.TB_plugin_functions.get_plugin_barcodetable();
rows[0].note = "changed by the page";
window.parent.TB_plugin_functions.update_plugin_barcodetable(rows);
fetch("/rundb/api/v1/results/" + TB_result + "/plugin/", {
  method: "POST", headers: {"Content-Type": "application/json"},
  body: JSON.stringify({plugin: [TB_plugin.fields.name], pluginconfig: {barcodetable:
    window.parent.TB_plugin_functions.get_plugin_barcodetable(), reference: TB_result_json.fields.reference}}),
}).then(function (answer) { if (answer.status === 202) window.parent.$.colorbox.close(); });
</script></body></html>"""

PLAN_PAGE = """<html><body><form>
<input name="depth" value="1"><input type="checkbox" name="strict" checked><input name="run" value="">
</form><script>
document.querySelector("[name=depth]").addEventListener("change", function () {
  document.querySelector("[name=run]").value = "after " + this.value + TB_plan_json.runType;
});
</script></body></html>"""


def write_paged(folder):
    """Write it below `folder`; its own folder. One of its files is a link that leads out."""
    place = folder / "Paged"
    (place / "pluginMedia" / "sub").mkdir(parents=True)
    files = {
        "Paged.py": PLUGIN,
        "extend.py": EXTEND,
        "config.html": CONFIG_PAGE,
        "instance.html": INSTANCE_PAGE,
        "plan.html": PLAN_PAGE,
        "about.html": "<p>About it</p>",
        "pluginMedia/style.css": "b{}",
        "pluginMedia/sub/a b.js": "1",
    }
    for name, text in files.items():
        (place / name).write_text(text)
    (place / "pluginMedia" / "out.css").symlink_to("/etc/hostname")
    return place


def install_paged(home, rows, folder):
    """The row of this plugin at a server, which several test files may ask for.

    Parameters
    ----------
    home : Path
        The server's ``IONANALYSIS_HOME``.
    rows : module
        `ionanalysis.rundb.models`.
    folder : Path
        For the plugin's sources.
    """
    store = PluginStore(home / "plugins")
    record = next((one for one in store.installed() if one.name == "Paged"), None)
    if record is None:
        sources = write_paged(folder)
        (sources / "pluginMedia" / "out.css").unlink()
        record, _ = store.install(sources)
        (record.info.path / "pluginMedia" / "out.css").symlink_to("/etc/hostname")
    defaults = {"path": str(record.info.path), "config": {}, "pluginsettings": {}, "status": {}}
    row, _ = rows.Plugin.objects.get_or_create(name="Paged", version=record.version, defaults=defaults)
    rows.Plugin.objects.filter(pk=row.pk).update(selected=True)
    return row
