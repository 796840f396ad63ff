"""Endless speech as one recording: the client's side of an export that streams.

Needs numpy alone. What is kept does not grow: up to two minutes of samples, and the state of the
recurrent network, which the client carries from one step to the next.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from serving.client.prediction import ANSWER_OUTPUTS

FRONT_END, STEP = "stream_front_end", "stream"
# What an export has that streams.
SIGNATURES = frozenset((FRONT_END, STEP))
# Samples of a request; a recording that is processed again from its start needs several.
REQUEST_SAMPLES = 2**19
BLOCK_SAMPLES = 2**17
SILENT_DB = np.full(1, -1000.0, np.float32)

Outputs = Mapping[str, np.ndarray]
# Takes inputs, the signature's name and the names of the outputs; returns (outputs, version).
Ask = Callable[[Mapping[str, np.ndarray], str, Iterable[str]], tuple[Outputs, int]]


class _OtherVersionError(Exception):
    """The server has changed to another version, which cannot use this state."""


@dataclass(frozen=True)
class StreamAnswer:
    """The model's answer for a stream from its start to `end`.

    Args:
        end: int. Samples from the start of the stream.
        outputs: mapping of name to array, a batch of one, as of the signature `stream`.
        version: int. The version that answered.
    """

    end: int
    outputs: Outputs
    version: int


class StreamSession:
    """Takes a stream block by block, and answers at every step for the whole stream so far.

    Every answer is that of `serving_default` for all samples up to its end, as long as those fit
    one request (two minutes). A louder sound may move the first frame that is not trimmed, or the
    level below which MFCC are cut off; the kept samples are then processed again from there. After
    two minutes the first frame stays where it is.

    Args:
        ask: runs the signatures of one model, such as `SerClient.ask`.
        hop_s: float or None. Seconds between two answers, rounded to whole steps; None answers at
            every step.
        maps: bool. Ask for the attention of the steps, too.

    Attributes:
        plan: mapping. How the model cuts a stream into steps, see
            `serving.export.stream_signatures.Stream.plan`.

    Raises:
        serving.client.client.ServerError: as of `ask`, here and in every method.
    """

    def __init__(self, ask: Ask, *, hop_s: float | None = None, maps: bool = False):
        self._raw_ask, self._hop_s, self._maps = ask, hop_s, maps
        self._blocks: list[np.ndarray] = []
        self._kept, self._start = np.zeros(0, np.float32), 0
        self._total, self._answered_to = 0, 0
        self._open()
        self._due = self._window

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the samples that the model wants."""
        return int(self.plan["sample_rate_hz"])

    @property
    def window_s(self) -> float:
        """Length of a step's window."""
        return self._window / self.sample_rate_hz

    def push(self, block: np.ndarray) -> Iterator[StreamAnswer]:
        """Yields an answer for each step that the samples (n,) complete, as soon as they do."""
        for first in range(0, len(block), BLOCK_SAMPLES):
            self._blocks.append(np.asarray(block[first:][:BLOCK_SAMPLES], np.float32))
            self._total += len(self._blocks[-1])
            while self._total >= self._due:
                yield self._answered(self._due)
                self._due += self._every
                self._forget()

    def finish(self) -> Iterator[StreamAnswer]:
        """Yields the answer for the whole stream where the last one did not reach its end."""
        if self._total > self._answered_to:
            yield self._answered(self._total)

    # === Plan and state ===

    def _open(self) -> None:
        """Reads the plan of the newest version, and begins with the samples that are kept."""
        nothing = {"waveform": np.zeros((1, 1), np.float32), "length": np.ones(1, np.int32)}
        nothing["loudest_db"] = SILENT_DB
        outputs, self._version = self._raw_ask(nothing, FRONT_END, ["plan"])
        self.plan = plan = json.loads(outputs["plan"][0])
        self._window, self._hop = plan["window_samples"], plan["hop_samples"]
        hop_s = self._hop_s or self._hop / plan["sample_rate_hz"]
        self._every = self._hop * max(1, round(hop_s * plan["sample_rate_hz"] / self._hop))
        # A request has a step at least that is final, with those before it.
        least = self._window + plan["ahead_samples"] + plan["context_steps"] * self._hop
        self._request = min(max(REQUEST_SAMPLES, least + self._hop), plan["most_samples"])
        self._loud = _LoudPart(plan["trim"], self._start)
        self._loudest_db, self._answered_end = SILENT_DB, -1
        self._restart(self._start)

    def _restart(self, first: int) -> None:
        """Begins again, at the step that starts at the sample `first`."""
        self._first, self._next = first, 0
        self._state = {
            name: np.zeros((1, size), np.float32) for name, size in self.plan["state"].items()
        }
        self._final_outputs: Outputs = {}

    def _ask(self, inputs: Mapping[str, np.ndarray], signature: str, *names: str) -> Outputs:
        outputs, version = self._raw_ask(inputs, signature, names)
        if version != self._version:
            raise _OtherVersionError
        return outputs

    def _place(self, step: int) -> int:
        """Returns the sample at which a step starts."""
        return self._first + step * self._hop

    def _samples(self, start: int, end: int) -> np.ndarray:
        if self._blocks:
            self._kept = np.concatenate([self._kept, *self._blocks])
            self._blocks = []
        return self._kept[start - self._start : end - self._start]

    def _forget(self) -> None:
        """Drops samples that no later step needs, once there are too many to begin again."""
        if self._answered_to <= self.plan["most_samples"]:
            return
        self._loud.fix()
        needed = min(self._place(max(0, self._next - self.plan["context_steps"])), self._loud.next)
        # A view would keep the whole array in memory.
        self._kept = self._samples(needed, self._total).copy()
        self._start = needed

    # === Answers ===

    def _answered(self, until: int) -> StreamAnswer:
        """Returns the answer for the first `until` samples."""
        while True:
            try:
                self._update(until)
                self._answered_to = until
                return StreamAnswer(until, self._answer, self._version)
            except _OtherVersionError:
                self._open()

    def _update(self, until: int) -> None:
        first, end = self._loud.within(self._samples(self._loud.next, until), until)
        if first != self._first:
            self._loudest_db, self._answered_end = SILENT_DB, -1
            self._restart(first)
        if until - self._place(self._next) > self.plan["most_samples"]:
            end = until  # there is more silence than can be kept
        elif end == self._answered_end:
            return  # only silence was added, and speech may follow it
        self._answer = self._through(end)
        self._answered_end = end

    def _through(self, end: int) -> Outputs:
        """Returns the answer up to the sample `end`; steps that cannot change become final."""
        plan, stop = self.plan, -1
        answer: Outputs = self._final_outputs
        while stop < end:
            place = self._place(self._next)
            if self._next and end - place < plan["least_samples"]:
                return self._final_outputs
            before = min(self._next, plan["context_steps"])
            start = place - before * self._hop
            stop = min(end, start + self._request)
            steps = self._front(start, stop)
            if steps is None:
                stop = -1
                continue
            state = self._state
            for number, inputs in enumerate(steps[before:]):
                final = place + number * self._hop + self._window + plan["ahead_samples"] <= stop
                if not final and stop < end:
                    break
                names = (*ANSWER_OUTPUTS, *state, *(["attention"] if self._maps else []))
                outputs = self._ask({**inputs, **state}, STEP, *names)
                state = {name: outputs[name] for name in state}
                answer = {name: outputs[name] for name in names if name not in state}
                if final:
                    self._next, self._state, self._final_outputs = self._next + 1, state, answer
        return answer

    def _front(self, start: int, stop: int) -> list[dict[str, np.ndarray]] | None:
        """Returns the inputs of each step of a stretch; None where all must be processed again."""
        waveform = self._samples(start, stop)[None]
        length = np.array([stop - start], np.int32)
        inputs = {"waveform": waveform, "length": length, "loudest_db": self._loudest_db}
        names = self.plan["inputs"]
        front = self._ask(inputs, FRONT_END, "steps", "loudest_db", *names)
        steps, loudest_db = int(front["steps"][0]), front["loudest_db"]
        louder, self._loudest_db = bool(loudest_db > self._loudest_db), loudest_db
        if louder and self._next and self._first >= self._start:
            self._restart(self._first)
            return None
        return [{name: front[name][:, step] for name in names} for step in range(steps)]


class _LoudPart:
    """The first and the last loud frame of a recording that goes on; what lies outside is trimmed.

    Args:
        trim: mapping or None, see `serving.export.stream_signatures.Stream.plan`.
        origin: int. Sample at which the recording starts.
    """

    def __init__(self, trim: Mapping[str, float] | None, origin: int):
        self._trim, self.next = trim, origin
        self._first, self._end, self._loudest = origin, origin, -1.0
        self._origin = origin
        self._energies: list[np.ndarray] | None = []

    def fix(self) -> None:
        """Leaves the beginning where it is."""
        self._energies = None

    def within(self, samples: np.ndarray, until: int) -> tuple[int, int]:
        """Returns the first sample of the recording and the one behind its last.

        Args:
            samples: float32 (n,). From `next`, which this then moves, to `until`.
            until: int. Sample at which the recording ends so far.
        """
        if self._trim is None:
            self.next = until
            return self._first, until
        frame, hop = int(self._trim["frame_samples"]), int(self._trim["hop_samples"])
        if until - self._origin < frame:
            return self._first, until
        count = 1 + (len(samples) - frame) // hop if len(samples) >= frame else 0
        if count:
            quiet = 10.0 ** (-self._trim["db"] / 10.0)
            self._take(_energies(samples, frame, hop, count), frame, hop, quiet)
        return self._first, self._end

    def _take(self, energies: np.ndarray, frame: int, hop: int, quiet: float) -> None:
        """Takes the energies of the next frames; `quiet` of the loudest is still loud."""
        louder = energies.max() > self._loudest
        self._loudest = max(self._loudest, float(energies.max()))
        least = self._loudest * quiet
        if self._energies is not None:
            self._energies.append(energies)
            if louder:
                everything = np.concatenate(self._energies)
                self._energies = [everything]
                self._first = self._origin + hop * int(np.argmax(everything >= least))
        loud = np.flatnonzero(energies >= least)
        if len(loud):
            self._end = self.next + hop * int(loud[-1]) + frame
        self.next += hop * len(energies)


def _energies(samples: np.ndarray, frame: int, hop: int, count: int) -> np.ndarray:
    """Returns the sum of the squares of each frame, float64 (count,)."""
    squares = np.square(samples.astype(np.float64))
    frames = np.lib.stride_tricks.sliding_window_view(squares, frame)[::hop][:count]
    return frames.sum(axis=1)
