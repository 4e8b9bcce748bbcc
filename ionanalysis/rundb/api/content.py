"""Files that publishers keep, and the uploads that brought them."""

from ionanalysis.rundb import models
from ionanalysis.rundb.protocol import One, String, Table


class Publisher(Table, rows=models.Publisher, key="name"):
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


class Content(Table, rows=models.Content, max_limit=0):
    publisher = One("publisher")
    contentupload = One("contentupload")

    def narrow(self, request, rows):
        """Files of sequence-specific errors are left out unless asked for."""
        return rows if request.GET.get("include_sse") else rows.exclude(meta__contains='"sse":true')


class Log(Table, rows=models.UserEventLog):
    upload = One("contentupload")
