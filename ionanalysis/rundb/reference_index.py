"""Which index of a reference is current; rows of other kinds are not listed."""

# The original's, because scripts post and filter references by it; ours is made from the FASTA when it is needed.
CURRENT_INDEX = "tmap-f3"
