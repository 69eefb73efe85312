"""Every error that kiemchung raises on purpose.

```
KiemchungError               what went wrong, where, and what to do about it
├── InputError               a file, line or record given by a person cannot be used
│   ├── BadReferenceError    a line of the reference base
│   ├── OutletFileError      an outlet file
│   ├── ConfigError          kiemchung.toml or the environment
│   ├── RecordError          a line of a JSONL input
│   ├── WeekError            a week that is no ISO week
│   ├── UnknownOutletError   an outlet without a file
│   ├── MissingExtraError    an optional package that is not installed
│   └── LeaseError           a claim that somebody else has open
├── PageError                a page that is quarantined, with its reason
├── ModelError               model files missing, changed or of another kind
│   └── TaggerFileError      the word tagger of the installed underthesea
├── StoreError               the store
│   ├── StoreLockedError     another process owns it
│   ├── StoreVersionError    a newer or changed schema
│   └── BatchError           an inbox batch that is incomplete or damaged
├── DamagedFileError         a file of the program's own that is not as it was written
├── AccountingError          a sum that does not match
├── DiskFullError            no room for a file
├── WorkerError              a worker process that dies again and again
└── UnsafeAddressError       an address that must not be fetched
```
"""

from __future__ import annotations


class KiemchungError(Exception):
    """Base of all; ``where`` names file, line or record, ``remedy`` what to do."""

    def __init__(self, message: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        """Return one line: where, what, and the remedy; a library's message may have several."""
        place = f"{self.where}: " if self.where else ""
        advice = f" ({self.remedy})" if self.remedy else ""
        return " ".join(f"{place}{self.message}{advice}".splitlines())


class InputError(KiemchungError):
    """Something given by a person cannot be used."""


class BadReferenceError(InputError):
    """A line of the reference base cannot be used."""


class OutletFileError(InputError):
    """An outlet file cannot be used."""


class ConfigError(InputError):
    """The configuration cannot be used."""


class RecordError(InputError):
    """A line of a JSONL input cannot be used."""


class WeekError(InputError):
    """Not an ISO week such as 2026-W40."""


class UnknownOutletError(InputError):
    """No outlet file has this name."""


class MissingExtraError(InputError):
    """What was asked for needs a package that is not installed."""


class LeaseError(InputError):
    """Somebody else has the claim open; what was sent is not kept."""


class PageError(KiemchungError):
    """A page that is quarantined; ``reason`` is the named state it ends in."""

    def __init__(self, reason: str, message: str = "", *, where: str = "") -> None:
        super().__init__(message or reason, where=where)
        self.reason = reason


class ModelError(KiemchungError):
    """Model files are missing, changed or of another kind."""


class TaggerFileError(ModelError):
    """The word tagger that the installed underthesea ships cannot be read."""


class StoreError(KiemchungError):
    """The store cannot do what was asked."""


class StoreMemoryError(StoreError):
    """The database wants more memory than it was given."""


class StoreLockedError(StoreError):
    """Another process owns the store; ``pid`` names it where known."""

    def __init__(
        self, message: str, *, pid: int | None = None, where: str = "", remedy: str = ""
    ) -> None:
        super().__init__(message, where=where, remedy=remedy)
        self.pid = pid


class StoreVersionError(StoreError):
    """The schema is newer than this program, or a migration was changed after it ran."""


class BatchError(StoreError):
    """An inbox batch is incomplete or damaged."""


class DamagedFileError(KiemchungError):
    """A file that the program wrote is gone, or not as it was written."""


class AccountingError(KiemchungError):
    """A sum of the run's accounting does not match; the run stops."""


class DiskFullError(KiemchungError):
    """A file could not be written for want of room; what was finished before is whole."""


class WorkerError(KiemchungError):
    """A worker process died over the same shard more often than chance explains."""


class UnsafeAddressError(KiemchungError):
    """An address outside the public network, or of a scheme that is never fetched."""
