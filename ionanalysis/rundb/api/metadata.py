"""Free metadata of runs and reports (rest-api.md 5)."""

from ionanalysis.rundb.protocol import Refusal, Table, body_of, demand, json_response, route


class WithMetaData(Table):
    """A resource whose rows have free metadata."""

    @route("<pk>/metadata/", "GET", "POST")
    def metadata(self, request, pk):
        """The metadata; POST adds to them and removes keys."""
        row = self.found(pk)
        kept = row.metaData if isinstance(row.metaData, dict) else {}
        if request.method == "GET":
            return json_response(request, kept)
        demand(request.user, "change", type(row))
        body = body_of(request)
        added, removed = body.get("metadata") or {}, body.get("remove") or []
        if not isinstance(added, dict) or not isinstance(removed, list):
            raise Refusal(400, {"error": "'metadata' takes an object, 'remove' a list of keys."})
        row.metaData = {key: value for key, value in {**kept, **added}.items() if key not in removed}
        row.save(update_fields=("metaData",))
        return 202
