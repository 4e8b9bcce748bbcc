"""The original's programs by their old names: same options, same files, our engine."""
