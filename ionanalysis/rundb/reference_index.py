"""Which index of a reference is current; rows of other kinds are not listed."""

CURRENT_INDEX = "minimap2-sr"
