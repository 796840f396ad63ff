"""What the adapted track gains, by how much of a test speaker is known."""

from ser_keras.experiments.enrolment.curve import SECONDS, enrolment_curve

__all__ = ["SECONDS", "enrolment_curve"]
