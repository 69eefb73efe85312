"""kiemchung: what every other package speaks; see the modules."""

__version__ = "0.1.0"
