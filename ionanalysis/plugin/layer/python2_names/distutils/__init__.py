"""What plugins use of `distutils`, which left the standard library with Python 3.12."""
