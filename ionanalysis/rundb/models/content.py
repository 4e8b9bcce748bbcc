"""Files that publishers keep, such as target regions, and the uploads that brought them."""

from ionanalysis.rundb.models.columns import CASCADE, SET_NULL, Char, Date, ForeignKey, Json, Row


class Publisher(Row):
    name = Char(unique=True)
    date = Date()
    global_meta = Json(blank=True)
    path = Char()
    version = Char()


class ContentUpload(Row):
    publisher = ForeignKey(Publisher, SET_NULL, null=True, related_name="uploads")
    file_path = Char()
    meta = Json(blank=True)
    status = Char(blank=True)


class Content(Row):
    publisher = ForeignKey(Publisher, CASCADE, related_name="contents")
    contentupload = ForeignKey(ContentUpload, CASCADE, related_name="contents")
    file = Char()
    meta = Json(blank=True)
    path = Char()


class UserEventLog(Row):
    upload = ForeignKey(ContentUpload, CASCADE, related_name="logs")
    text = Char(blank=True)
    timeStamp = Date(auto_now_add=True)
