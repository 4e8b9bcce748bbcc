"""The run database, the REST API over it and the pages that show it (spec rest-api.md; the document's second part)."""
