"""What a REST server allows its clients."""

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class RestOptions:
    """Limits of REST, and what it adds to answers.

    Half a minute of speech at 16 kHz is 480,000 numbers. Written by Python with all their digits
    they take up to 11 MB, as a WAV file in base 64 1.3 MB.

    Args:
        max_body_bytes: int. Largest body, before and after decompression.
        bodies_bytes: int. Disk that all bodies may take together; other large ones are refused.
        header_s: float. Most time for the header of a request, and how long a body may be slow.
        body_s: float. Most time for a whole request to arrive.
        min_bytes_per_s: float. Least average rate of a body that takes longer than `header_s`.
        idle_s: int. Most time without any progress on a connection.
        connections: int. Connections at once.
        prediction_s: float. Limit of one prediction.
        cors: bool. Whether pages of other origins may ask.
    """

    max_body_bytes: int = 12 * MIB
    bodies_bytes: int = 2048 * MIB
    header_s: float = 10.0
    body_s: float = 120.0
    min_bytes_per_s: float = 1000.0
    idle_s: int = 30
    connections: int = 1000
    prediction_s: float = 30.0
    cors: bool = False
