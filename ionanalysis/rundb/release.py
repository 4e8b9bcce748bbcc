"""Which release of Torrent Suite the API is that of."""

RELEASE = "5.4.0"
