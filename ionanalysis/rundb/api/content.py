"""Files that publishers keep, and the uploads that brought them."""

from ionanalysis.rundb import models
from ionanalysis.rundb.protocol import RESOURCES, One, Refusal, String, Table, body_of, demand, route


class _Registering(Table):
    """Where a publisher's own code tells of files that it has made of an upload."""

    @route("register/<upload_id>/", "POST")
    def register(self, request, upload_id):
        """Note a file; it is only noted: whoever reads it checks that it lies among the publisher's."""
        demand(request.user, "add", models.Content)
        upload = RESOURCES["contentupload"]().find(upload_id)
        body = body_of(request)
        file, path, meta = body.get("file"), body.get("path"), body.get("meta") or {}
        if not (isinstance(file, str) and file and isinstance(path, str) and path and isinstance(meta, dict)):
            raise Refusal(400, {"error": "'file' and 'path' take texts, 'meta' an object."})
        if upload is None or upload.publisher is None:
            raise Refusal(400, {"error": "There is no such upload, or it belongs to no publisher."})
        models.Content.objects.create(publisher=upload.publisher, contentupload=upload, file=file, path=path, meta=meta)
        return 202

    @route("install/", "POST")
    def install(self, request):
        raise Refusal(501, {"error": "Publishers come with the package."})


class Publisher(_Registering, rows=models.Publisher, key="name"):
    pass


class ContentUpload(Table, rows=models.ContentUpload, max_limit=0, order=("-id",)):
    pub = String(readonly=True)

    def dehydrate_pub(self, bundle):
        return bundle.obj.publisher.name if bundle.obj.publisher_id else None

    def dehydrate(self, bundle):
        """Add what the upload's own description says of it."""
        meta = bundle.obj.meta if isinstance(bundle.obj.meta, dict) else {}
        bundle.data.update({name: meta.get(name, "") for name in ("name", "upload_type", "upload_date")})
        return bundle


class Content(_Registering, rows=models.Content, max_limit=0):
    publisher = One("publisher")
    contentupload = One("contentupload")

    def narrow(self, request, rows):
        """Files of sequence-specific errors are left out unless asked for."""
        return rows if request.GET.get("include_sse") else rows.exclude(meta__contains='"sse":true')


class Log(Table, rows=models.UserEventLog):
    upload = One("contentupload")
