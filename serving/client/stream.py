"""Endless speech as one recording: the client's side of an export that streams.

Needs numpy alone. Memory does not grow: the session keeps up to two minutes of samples, and the
state of the recurrent network, which the client carries from one step to the next.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from serving.client.prediction import ANSWER_OUTPUTS

FRONT_END, STEP = "stream_front_end", "stream"
# The signatures of an export that streams.
SIGNATURES = frozenset((FRONT_END, STEP))
# Most samples of a request; reprocessing a recording from its start takes several requests.
REQUEST_SAMPLES = 2**19
BLOCK_SAMPLES = 2**17
SILENT_DB = np.full(1, -1000.0, np.float32)

Outputs = Mapping[str, np.ndarray]
# Takes inputs, the signature's name and the names of the outputs; returns (outputs, version).
RunSignature = Callable[[Mapping[str, np.ndarray], str, Iterable[str]], tuple[Outputs, int]]


class _VersionChangedError(Exception):
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

    An answer equals that of `serving_default` for all samples up to its end, as long as they fit
    into one request (two minutes). A louder sound may move the first frame that is not trimmed, or
    the level below which MFCC are cut off; the kept samples are then processed again from there.
    After two minutes the first frame stays where it is.

    Args:
        ask: runs the signatures of one model, such as `SerClient.ask`.
        hop_s: float or None. Seconds between two answers, rounded to whole steps; None answers at
            every step.
        maps: bool. Request the attention of the steps as well.

    Attributes:
        plan: mapping. How the model cuts a stream into steps, see
            `serving.export.stream_signatures.Stream.plan`.

    Raises:
        serving.client.connection.ServerError: as of `ask`, here and in every method.
    """

    def __init__(self, ask: RunSignature, *, hop_s: float | None = None, maps: bool = False):
        self._ask, self._hop_s, self._maps = ask, hop_s, maps
        # Blocks that are not yet appended to the kept samples, whose first is sample `_start`.
        self._blocks: list[np.ndarray] = []
        self._kept, self._start = np.zeros(0, np.float32), 0
        self._total, self._answered_to = 0, 0
        self._open()
        self._next_end = self._window

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the model's samples."""
        return int(self.plan["sample_rate_hz"])

    @property
    def window_s(self) -> float:
        """Length of a step's window, in seconds."""
        return self._window / self.sample_rate_hz

    def push(self, block: np.ndarray) -> Iterator[StreamAnswer]:
        """Yields an answer for each step that the samples (n,) complete."""
        for first in range(0, len(block), BLOCK_SAMPLES):
            self._blocks.append(np.asarray(block[first:][:BLOCK_SAMPLES], np.float32))
            self._total += len(self._blocks[-1])
            while self._total >= self._next_end:
                yield self._answer_for(self._next_end)
                self._next_end += self._interval
                self._drop_old_samples()

    def finish(self) -> Iterator[StreamAnswer]:
        """Yields the answer for the whole stream if the last one did not reach its end."""
        if self._total > self._answered_to:
            yield self._answer_for(self._total)

    # === Plan and state ===

    def _open(self) -> None:
        """Reads the plan of the newest version, and starts again with the kept samples."""
        silence = {"waveform": np.zeros((1, 1), np.float32), "length": np.ones(1, np.int32)}
        silence["loudest_db"] = SILENT_DB
        outputs, self._version = self._ask(silence, FRONT_END, ["plan"])
        self.plan = plan = json.loads(outputs["plan"][0])
        self._window, self._hop = plan["window_samples"], plan["hop_samples"]
        hop_s = self._hop_s or self._hop / plan["sample_rate_hz"]
        self._interval = self._hop * max(1, round(hop_s * plan["sample_rate_hz"] / self._hop))
        # A request holds at least one final step, with the steps of its context.
        least = self._window + plan["ahead_samples"] + plan["context_steps"] * self._hop
        self._request = min(max(REQUEST_SAMPLES, least + self._hop), plan["most_samples"])
        self._trimmer = _Trimmer(plan["trim"], self._start)
        self._loudest_db, self._answered_end = SILENT_DB, -1
        self._restart(self._start)

    def _restart(self, first: int) -> None:
        """Starts again at the step that begins with the sample `first`."""
        self._first, self._next_step = first, 0
        self._state = {
            name: np.zeros((1, size), np.float32) for name, size in self.plan["state"].items()
        }
        self._final_outputs: Outputs = {}

    def _run(self, inputs: Mapping[str, np.ndarray], signature: str, *names: str) -> Outputs:
        outputs, version = self._ask(inputs, signature, names)
        if version != self._version:
            raise _VersionChangedError
        return outputs

    def _step_start(self, step: int) -> int:
        """Returns the first sample of a step."""
        return self._first + step * self._hop

    def _samples(self, start: int, end: int) -> np.ndarray:
        if self._blocks:
            self._kept = np.concatenate([self._kept, *self._blocks])
            self._blocks = []
        return self._kept[start - self._start : end - self._start]

    def _drop_old_samples(self) -> None:
        """Drops samples that no later step needs, once there are too many to start again."""
        if self._answered_to <= self.plan["most_samples"]:
            return
        self._trimmer.fix_start()
        context_step = max(0, self._next_step - self.plan["context_steps"])
        first_needed = min(self._step_start(context_step), self._trimmer.next)
        # A view would keep the whole array in memory.
        self._kept = self._samples(first_needed, self._total).copy()
        self._start = first_needed

    # === Answers ===

    def _answer_for(self, until: int) -> StreamAnswer:
        """Returns the answer for the first `until` samples."""
        while True:
            try:
                self._update(until)
                self._answered_to = until
                return StreamAnswer(until, self._answer, self._version)
            except _VersionChangedError:
                self._open()

    def _update(self, until: int) -> None:
        first, end = self._trimmer.update(self._samples(self._trimmer.next, until), until)
        if first != self._first:
            self._loudest_db, self._answered_end = SILENT_DB, -1
            self._restart(first)
        if until - self._step_start(self._next_step) > self.plan["most_samples"]:
            end = until  # more silence than can be kept counts as part of the recording
        elif end == self._answered_end:
            return  # only silence was added, which may be trimmed or be followed by speech
        self._answer = self._answer_up_to(end)
        self._answered_end = end

    def _answer_up_to(self, end: int) -> Outputs:
        """Returns the answer for the samples up to `end`; steps that cannot change become final."""
        plan, stop = self.plan, -1
        answer: Outputs = self._final_outputs
        while stop < end:
            step_start = self._step_start(self._next_step)
            if self._next_step and end - step_start < plan["least_samples"]:
                return self._final_outputs
            context = min(self._next_step, plan["context_steps"])
            start = step_start - context * self._hop
            stop = min(end, start + self._request)
            steps = self._step_inputs(start, stop)
            if steps is None:
                stop = -1
                continue
            state = self._state
            for number, inputs in enumerate(steps[context:]):
                step_end = step_start + number * self._hop + self._window
                final = step_end + plan["ahead_samples"] <= stop
                if not final and stop < end:
                    break
                names = (*ANSWER_OUTPUTS, *state, *(["attention"] if self._maps else []))
                outputs = self._run({**inputs, **state}, STEP, *names)
                state = {name: outputs[name] for name in state}
                answer = {name: outputs[name] for name in names if name not in state}
                if final:
                    self._next_step += 1
                    self._state, self._final_outputs = state, answer
        return answer

    def _step_inputs(self, start: int, stop: int) -> list[dict[str, np.ndarray]] | None:
        """Returns the inputs of each step of a stretch; None if all must be processed again."""
        waveform = self._samples(start, stop)[None]
        length = np.array([stop - start], np.int32)
        inputs = {"waveform": waveform, "length": length, "loudest_db": self._loudest_db}
        names = self.plan["inputs"]
        front_end = self._run(inputs, FRONT_END, "steps", "loudest_db", *names)
        steps, loudest_db = int(front_end["steps"][0]), front_end["loudest_db"]
        is_louder, self._loudest_db = bool(loudest_db > self._loudest_db), loudest_db
        if is_louder and self._next_step and self._first >= self._start:
            self._restart(self._first)
            return None
        return [{name: front_end[name][:, step] for name in names} for step in range(steps)]


class _Trimmer:
    """Trims the silence before and after the speech of a recording that is still growing.

    Args:
        trim: mapping or None, see `serving.export.stream_signatures.Stream.plan`.
        origin: int. First sample of the recording.

    Attributes:
        next: int. First sample of the next frame.
    """

    def __init__(self, trim: Mapping[str, float] | None, origin: int):
        self._trim, self.next = trim, origin
        self._first, self._end, self._loudest = origin, origin, -1.0
        self._origin = origin
        # Of all frames so far, as long as a louder one may still move the start.
        self._energies: list[np.ndarray] | None = []

    def fix_start(self) -> None:
        """Keeps the first sample where it is, whatever follows."""
        self._energies = None

    def update(self, samples: np.ndarray, until: int) -> tuple[int, int]:
        """Returns (first sample of the trimmed recording, sample after its last).

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
            self._add(_energies(samples, frame, hop, count), frame, hop, quiet)
        return self._first, self._end

    def _add(self, energies: np.ndarray, frame: int, hop: int, quiet: float) -> None:
        """Adds the energies of the next frames; a frame of `quiet` of the loudest is speech."""
        is_louder = energies.max() > self._loudest
        self._loudest = max(self._loudest, float(energies.max()))
        threshold = self._loudest * quiet
        if self._energies is not None:
            self._energies.append(energies)
            if is_louder:
                all_energies = np.concatenate(self._energies)
                self._energies = [all_energies]
                self._first = self._origin + hop * int(np.argmax(all_energies >= threshold))
        loud = np.flatnonzero(energies >= threshold)
        if len(loud):
            self._end = self.next + hop * int(loud[-1]) + frame
        self.next += hop * len(energies)


def _energies(samples: np.ndarray, frame: int, hop: int, count: int) -> np.ndarray:
    """Returns the sum of the squares of each frame, float64 (count,)."""
    squares = np.square(samples.astype(np.float64))
    frames = np.lib.stride_tricks.sliding_window_view(squares, frame)[::hop][:count]
    return frames.sum(axis=1)
