"""Installing, upgrading, removing and listing plugins, as library and as commands (plugin.md 2.8)."""

import json
import multiprocessing
import shutil
from pathlib import Path

import pytest

from ionanalysis.cli.main import main
from ionanalysis.errors import InputError, OutputError
from ionanalysis.plugin.inspection import inspect_plugin
from ionanalysis.plugin.questions import PluginError
from ionanalysis.plugin.store import PluginStore, plugin_root, shipped_plugins

SOURCE = """
from ion.plugin import *

class Counts(IonPlugin):
    "Counts."
    version = "{version}"
    runlevels = [RunLevel.LAST]

    def getUserInput(self):
        return {{"from": "plugin"}}
"""


@pytest.fixture
def folder_of(tmp_path):
    """A maker of the folder of plugin Counts in a version."""

    def make(version, files=()):
        folder = tmp_path / "sources" / version.replace("/", "_") / "Counts"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "Counts.py").write_text(SOURCE.format(version=version))
        for name, content in dict(files).items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content)
        return folder

    return make


@pytest.fixture
def store(tmp_path):
    return PluginStore(tmp_path / "root")


def test_install_from_a_folder(store, folder_of):
    source = folder_of("1.0.0.0", {"pluginMedia/style.css": "", ".git": "x"})
    record, replaced = store.install(source)
    assert replaced is None and store.find("Counts") == record == store.installed()[0]
    assert (record.id, record.active, record.config, record.tier) == (1, True, {"from": "plugin"}, "compat")
    assert record.info.path == store.root / "Counts" and record.info.script.is_file()
    assert record.info.media == store.root / "Counts/pluginMedia"
    assert not (store.root / "Counts/.git").exists()
    assert sorted(path.name for path in store.root.iterdir()) == ["Counts", "plugins.json"]


def test_install_from_a_zip(store, folder_of, tmp_path):
    shutil.make_archive(str(tmp_path / "Counts"), "zip", folder_of("1.0.0.0").parent, "Counts")
    record, _ = store.install(tmp_path / "Counts.zip")
    assert (record.version, record.info.runlevels, record.info.docs) == ("1.0.0.0", ("last",), "Counts.")


def test_upgrade_keeps_configuration_and_the_old_version(store, folder_of):
    first, _ = store.install(folder_of("1.9.0.0", {"pluginconfig.json": '{"from": "file"}'}), tier="legacy")
    assert first.config == {"from": "file"}
    store.configure("Counts", {"from": "user"})
    record, replaced = store.install(folder_of("1.10.0.0"), must_exist=True)
    assert (replaced.version, record.version, record.id) == ("1.9.0.0", "1.10.0.0", 2)
    assert (record.config, record.tier) == ({"from": "user"}, "legacy")
    assert [(old.version, old.active) for old in store.records()] == [("1.9.0.0", False), ("1.10.0.0", True)]
    assert "1.9.0.0" in (store.root / "archive/Counts/1.9.0.0/Counts.py").read_text()
    assert "1.10.0.0" in (store.root / "Counts/Counts.py").read_text()


def test_large_old_versions_are_not_kept(store, folder_of, monkeypatch):
    monkeypatch.setattr("ionanalysis.plugin.store._MAX_ARCHIVED", 10)
    store.install(folder_of("1.0"))
    store.install(folder_of("2.0"))
    assert not (store.root / "archive").exists()


@pytest.mark.parametrize("version", ["1.0.0.0", "0.9", "1.0.0"])
def test_versions_that_are_not_newer_are_refused_by_both_names(store, folder_of, version):
    store.install(folder_of("1.0.0.0"))
    before = snapshot(store.root)
    with pytest.raises(PluginError, match=rf"v{version} is not newer than the installed v1\.0\.0\.0"):
        store.install(folder_of(version, {"extra": "x"}))
    assert snapshot(store.root) == before


def snapshot(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_anything_goes_after_removal_and_the_same_version_gets_its_record_back(store, folder_of):
    store.install(folder_of("2.0"))
    store.configure("Counts", {"from": "user"})
    store.remove("Counts")
    assert store.installed() == () and not (store.root / "Counts").exists()
    assert [(record.version, record.active, record.to_json()["path"]) for record in store.records()] == [
        ("2.0", False, "")
    ]
    with pytest.raises(PluginError, match="not installed"):
        store.find("Counts")
    older, _ = store.install(folder_of("1.0"))
    store.remove("Counts")
    again, _ = store.install(folder_of("2.0"))
    assert (older.id, again.id, again.config) == (2, 1, {"from": "user"})


def test_upgrade_wants_something_installed(store, folder_of):
    with pytest.raises(PluginError, match="not installed, so it cannot be upgraded"):
        store.install(folder_of("1.0"), must_exist=True)
    assert not store.root.exists()


def test_a_plugin_without_version_is_refused(store, tmp_path):
    folder = tmp_path / "Counts"
    folder.mkdir()
    (folder / "Counts.py").write_text("from ion.plugin import *\nclass Counts(IonPlugin): pass\n")
    with pytest.raises(PluginError, match="Counts has no version"):
        store.install(folder)
    assert not store.root.exists()


def test_a_broken_plugin_is_named_where_the_user_has_it(store, folder_of):
    folder = folder_of("1.0")
    (folder / "Counts.py").write_text("import nowhere\n")
    with pytest.raises(PluginError, match=r"Counts/Counts\.py: cannot be imported") as caught:
        store.install(folder)
    assert str(caught.value).startswith(f"{folder}: ") and ".staging" not in str(caught.value)


def test_broken_initial_configuration_undoes_everything(store, folder_of):
    store.install(folder_of("1.0"))
    store.remove("Counts")
    before = snapshot(store.root)
    with pytest.raises(PluginError, match=r"pluginconfig\.json of Counts"):
        store.install(folder_of("2.0", {"pluginconfig.json": "{"}))
    assert snapshot(store.root) == before


def test_links_in_a_folder_are_refused(store, folder_of):
    folder = folder_of("1.0")
    (folder / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(PluginError, match="is a link"):
        store.install(folder)
    assert not store.root.exists()


def test_odd_versions_do_not_leave_the_archive(store, folder_of):
    for version in ("../../1", "3.6.0-r57238", "<filter object at 0x4>"):
        store.install(folder_of(version))
    kept = [path.name for path in (store.root / "archive/Counts").iterdir()]
    assert len(kept) == 2 and all("/" not in name and not name.startswith(".") for name in kept)


def test_rescan(store, folder_of, tmp_path):
    store.install(folder_of("1.0"))
    store.configure("Counts", {"from": "user"})
    (store.root / "Counts/Counts.py").write_text(SOURCE.format(version="0.5"))
    (store.root / "Broken").mkdir()
    (store.root / "scratch").mkdir()
    added, missing, refused = store.rescan()
    assert [(record.version, record.config) for record in added] == [("0.5", {"from": "user"})]
    assert missing == [] and len(refused) == 1 and "Broken" in refused[0]
    shutil.rmtree(store.root / "Counts")
    assert [record.version for record in store.rescan()[1]] == ["0.5"]
    assert store.installed() == ()


def test_a_folder_that_nobody_knows_is_not_overwritten(store, folder_of):
    shutil.copytree(folder_of("0.1"), store.root / "Counts")
    with pytest.raises(PluginError, match="is there but not known"):
        store.install(folder_of("1.0"))
    assert "0.1" in (store.root / "Counts/Counts.py").read_text()


def test_what_a_killed_installation_left_is_undone(store, folder_of):
    store.install(folder_of("1.0"))
    (store.root / ".replaced-x").mkdir()
    (store.root / "Counts").rename(store.root / ".replaced-x/Counts")
    (store.root / ".staging-y").mkdir()
    store.configure("Counts", None)
    assert sorted(path.name for path in store.root.iterdir()) == ["Counts", "plugins.json"]


def test_a_damaged_record_file_is_one_sentence(store, folder_of):
    store.install(folder_of("1.0"))
    for content in ("{", "[]", '{"format": 2, "records": []}', '{"format": 1, "records": [{}]}'):
        (store.root / "plugins.json").write_text(content)
        with pytest.raises(InputError, match=r"plugins\.json"):
            store.records()


@pytest.mark.parametrize("change", [{"name": "../Counts"}, {"name": "a\nb"}, {"name": 7}, {"script": "/bin/sh"}])
def test_records_lead_nowhere_else(store, folder_of, change):
    store.install(folder_of("1.0"))
    path = store.root / "plugins.json"
    content = json.loads(path.read_text())
    content["records"][0] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"plugins\.json: is no list of installed plugins"):
        store.records()


def test_a_root_may_be_moved(store, folder_of, tmp_path):
    store.install(folder_of("1.0"))
    store.root.rename(tmp_path / "moved")
    record = PluginStore(tmp_path / "moved").find("Counts")
    assert record.info.script == tmp_path / "moved/Counts/Counts.py" and record.info.script.is_file()


def test_a_root_that_cannot_be_made(tmp_path, folder_of):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="--root DIR"):
        PluginStore(tmp_path / "file/root").install(folder_of("1.0"))


def _install(root, folder):
    PluginStore(root).install(folder)


def test_two_processes_install_at_a_time(store, tmp_path):
    folders = []
    for name in ("First", "Second", "Third"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.py").write_text(SOURCE.replace("Counts", name).format(version="1"))
        folders.append(folder)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_install, args=(store.root, folder)) for folder in folders]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert [record.name for record in store.installed()] == ["First", "Second", "Third"]
    assert sorted(record.id for record in store.records()) == [1, 2, 3]


def test_where_plugins_are_installed(monkeypatch, tmp_path):
    monkeypatch.delenv("IONANALYSIS_PLUGINS", raising=False)
    monkeypatch.delenv("IONANALYSIS_HOME", raising=False)
    assert plugin_root() == Path.home() / ".ionanalysis/plugins"
    monkeypatch.setenv("IONANALYSIS_HOME", str(tmp_path / "home"))
    assert plugin_root() == tmp_path / "home/plugins"
    monkeypatch.setenv("IONANALYSIS_PLUGINS", str(tmp_path / "own"))
    assert plugin_root() == tmp_path / "own" and plugin_root(tmp_path / "given") == tmp_path / "given"


# The commands


@pytest.fixture
def at_home(monkeypatch, tmp_path):
    monkeypatch.delenv("IONANALYSIS_PLUGINS", raising=False)
    monkeypatch.setenv("IONANALYSIS_HOME", str(tmp_path / "home"))
    return tmp_path / "home/plugins"


def test_a_new_plugin_installs_and_runs_as_it_is(at_home, tmp_path, run_plugin, capsys):
    assert main(["plugin", "new", "MyCounts", "-o", str(tmp_path / "mine")]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert folder == tmp_path / "mine/MyCounts"
    assert sorted(path.name for path in folder.iterdir()) == ["MyCounts.py", "about.html"]
    assert inspect_plugin(folder).problems == ()
    assert main(["plugin", "install", str(folder)]) == 0
    installed = Path(capsys.readouterr().out.strip())
    assert installed == at_home / "MyCounts"
    barcodes = {
        name: {"barcode_index": index, "read_count": 7 * index, "sample": "<S>", "bam_filepath": "/x"}
        for index, name in ((33, "IonXpress_033"), (1, "IonXpress_001"))
    }
    done = run_plugin(installed, barcodes=barcodes, startplugin={"pluginconfig": {"least_reads": 7}})
    assert done.returncode == 0, done.stderr
    page = (done.results / "MyCounts_block.html").read_text()
    assert page.index("IonXpress_001") < page.index("IonXpress_033") and "&lt;S&gt;" in page
    results = json.loads((done.results / "results.json").read_text())
    assert results["barcodes"]["IonXpress_033"] == {"sample": "<S>", "reads": 231}
    assert main(["plugin", "new", "MyCounts", "-o", str(tmp_path / "mine")]) == 3
    assert main(["plugin", "new", "my-counts", "-o", str(tmp_path / "mine")]) == 3


def test_commands_from_install_to_remove(at_home, folder_of, capsys):
    assert main(["plugin", "list"]) == 0
    told = capsys.readouterr()
    assert told.out == "" and "no plugins" in told.err
    assert main(["plugin", "upgrade", str(folder_of("1.0"))]) == 3
    assert main(["plugin", "install", str(folder_of("1.0"))]) == 0
    assert main(["plugin", "upgrade", str(folder_of("2.0"))]) == 0
    assert "upgraded from v1.0" in capsys.readouterr().err
    assert main(["plugin", "install", str(folder_of("2.0"))]) == 3
    assert "not newer" in capsys.readouterr().err
    assert main(["plugin", "list"]) == 0
    assert capsys.readouterr().out.split() == ["Counts", "2.0", "last", "-", "compat", str(at_home / "Counts")]
    assert main(["plugin", "list", "--all", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(entry["version"], entry["active"]) for entry in listed] == [("1.0", False), ("2.0", True)]
    assert main(["plugin", "remove", "Counts"]) == 0
    assert main(["plugin", "remove", "Counts"]) == 3
    assert not (at_home / "Counts").exists()


def test_shipped_plugins_are_installed_by_name(at_home, capsys):
    assert main(["plugin", "list", "--available"]) == 0
    assert capsys.readouterr().out.split() == list(shipped_plugins()) == ["Coverage", "Export", "RunQC"]
    assert main(["plugin", "install", *shipped_plugins()]) == 0
    records = PluginStore().installed()
    assert [record.tier for record in records] == ["native"] * 3 and all(record.info.docs for record in records)
    assert not any(record.info.problems for record in records)
    assert main(["plugin", "install", "Nothing"]) == 3
    assert "none of the plugins that come with" in capsys.readouterr().err


def test_lines_for_python_2_are_warned_of(at_home, folder_of, capsys):
    assert main(["plugin", "install", str(folder_of("1.0", {"child.py": "print 'x'\n"}))]) == 0
    assert "warning: Counts: child.py, line 1: a print statement" in capsys.readouterr().err


def test_the_path_for_running_by_hand(capsys):
    assert main(["plugin", "path", "--tier", "native"]) == 0
    assert (Path(capsys.readouterr().out.strip()) / "ion/plugin/__init__.py").is_file()


def test_a_full_disk_is_one_sentence_and_leaves_the_old_version(store, folder_of, monkeypatch):
    store.install(folder_of("1.0"))
    before = snapshot(store.root)
    source = folder_of("2.0")

    def full(*_):
        raise OSError(28, "No space left on device", "plugins.json")

    monkeypatch.setattr("ionanalysis.plugin.store.write_records", full)
    with pytest.raises(OutputError, match=r"plugins\.json: cannot be read or written \(No space left"):
        store.install(source)
    assert snapshot(store.root) == before
