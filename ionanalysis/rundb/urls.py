"""Addresses of the server."""

from django.urls import include, path, re_path

from ionanalysis.rundb import api  # noqa: F401  (declares the resources)
from ionanalysis.rundb.protocol import serve, top_level

handler500 = "ionanalysis.rundb.pages.failures.failed"
urlpatterns = [
    path("", include("ionanalysis.rundb.pages.urls")),
    path("rundb/api/v1/", top_level),
    path("rundb/api/mesh/v1/", top_level, {"mesh": True}),
    re_path(r"^rundb/api/v1/(?P<name>[^/]+)/(?P<rest>.*)$", serve),
    re_path(r"^rundb/api/mesh/v1/(?P<name>[^/]+)/(?P<rest>.*)$", serve, {"mesh": True}),
]
