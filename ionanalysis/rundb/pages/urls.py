"""Addresses of the pages; those below configure, output, pluginMedia and site_media are the original's."""

from django.urls import path, re_path

from ionanalysis.rundb.pages import accounts, downloads, plans, plugins, report, runs

_FRAME_TOKEN = r"(?P<token>output\.[0-9.]+~[0-9a-f]+)"

urlpatterns = [
    path("", runs.run_list, name="runs"),
    path("login/", accounts.log_in, name="login"),
    path("logout/", accounts.log_out, name="logout"),
    path("account/", accounts.account, name="account"),
    path("account/key/", accounts.renew_key, name="renew_key"),
    path("report/<int:pk>/", report.report_page, name="report"),
    path("report/<int:pk>/launch/", report.launch, name="launch"),
    path("report/<int:pk>/stop/<int:number>/", report.stop, name="stop"),
    path("report/<int:pk>/plugin/<str:key>/", plugins.launch_page, name="launch_page"),
    path("report/<int:pk>/plugin/<str:key>/plugin_barcodes_table", plugins.barcode_table),
    path("plans/", plans.plan_list, name="plans"),
    path("plans/new/", plans.new_plan, name="new_plan"),
    path("plans/<int:pk>/", plans.edit_plan, name="plan"),
    path("plans/<int:pk>/delete/", plans.delete_plan, name="delete_plan"),
    path("plans/<int:pk>/plugin/<str:key>/", plugins.plan_plugin, name="plan_plugin"),
    path("plans/<int:pk>/plugin/<str:key>/save/", plugins.save_plan_plugin),
    path("plugins/", plugins.plugin_list, name="plugins"),
    path("plugins/<str:key>/<str:action>/", plugins.plugin_page, name="plugin_page"),
    path("configure/plugins/", plugins.plugin_list),
    path("configure/plugins/plugin/<str:key>/configure/<str:action>/", plugins.frame),
    re_path(rf"^output/{_FRAME_TOKEN}/(?P<path>.*)$", downloads.framed_output),
    re_path(r"^output/(?P<storage>[^/]+)/(?P<directory>[^/]+)/(?P<path>.*)$", downloads.output),
    path("pluginMedia/<str:name>/<path:path>", downloads.plugin_media),
    path("rundb/api/v1/plugin/<str:key>/validate/", plugins.validate),
    path("site_media/<path:path>", downloads.site_media),
    path("static/<str:name>", downloads.static),
]
