"""The audit: finds how test data could influence training, before it does.

It compares recordings (not file names), speakers and sentences between the parts of every fold. It
looks for one person or class under two names, for classes that nothing trains, and checks what the
normaliser was fitted on and what chose the epoch. `enforce` stops a run that would leak.
"""

from ser_keras.audit.checks import audit_audio, audit_labels, audit_protocol, audit_rows
from ser_keras.audit.duplicates import AudioRow, duplicate_groups, row_of, rows_of
from ser_keras.audit.findings import Finding, enforce
from ser_keras.audit.fingerprint import fingerprint
from ser_keras.audit.lookalikes import audit_names
from ser_keras.audit.settings import audit_settings
from ser_keras.audit.track import KNOWN, audit_track
from ser_keras.audit.training_record import audit_training
from ser_keras.audit.unlabelled import Overlap, audit_unlabelled

__all__ = [
    "KNOWN",
    "AudioRow",
    "Finding",
    "Overlap",
    "audit_audio",
    "audit_labels",
    "audit_names",
    "audit_protocol",
    "audit_rows",
    "audit_settings",
    "audit_track",
    "audit_training",
    "audit_unlabelled",
    "duplicate_groups",
    "enforce",
    "fingerprint",
    "row_of",
    "rows_of",
]
