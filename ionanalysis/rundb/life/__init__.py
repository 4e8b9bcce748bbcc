"""From files and processes to rows and back: results that are taken in, plugins and analyses that run."""
